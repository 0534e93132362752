"""Finding calls: by a part of a number or name, and by the agent whatever its version."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from crm.services import leads
from tests.api.world import Tenant
from voice.models import AgentVersion, Call

URL = "/api/v1/voice/calls"


def called(tenant: Tenant, phone: str, first: str = "", last: str = "", **fields: Any) -> str:
    """An outbound call to somebody; its id."""
    lead = leads.create(tenant.workspace, actor="t", first_name=first, last_name=last, phone=phone)
    call = Call.objects.create(
        workspace=tenant.workspace,
        direction="outbound",
        from_number=tenant.number.e164,
        to_number=phone,
        lead=lead if first else None,
        agent_version=tenant.agent.current_version,
        **fields,
    )
    return str(call.id)


def found(tenant: Tenant, q: str, **more: str) -> list[str]:
    answer = tenant.api.request(
        "GET", f"{URL}?" + "&".join([f"q={q}", *(f"{k}={v}" for k, v in more.items())])
    )
    assert answer.status_code == 200, answer.content
    return [item["id"] for item in answer.json()["items"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("%2B442079460123", ["ann"]),
        ("20%207946%20(0123)", ["ann"]),
        ("79460", ["ann", "li"]),
        ("44", ["44"]),  # two digits: where numbers end
        ("nn%20smit", ["ann"]),
        ("SMITHERS", ["ann"]),
        ("smithers%20ann", ["ann"]),
        ("li", ["li"]),  # two letters: where words begin, so not "Julia"
        ("l", ["li"]),
        ("jul", ["julia"]),
        ("nobody", []),
        ("%25", []),
        ("_i", []),
    ],
)
def test_a_part_of_a_number_or_name(alice: Tenant, charlie: Tenant, q: str, expected: list[str]) -> None:
    ids = {
        called(alice, "+442079460123", "Ann", "Smithers"): "ann",
        called(alice, "+442079460999", "Li", "Wong"): "li",
        called(alice, "+12025550144"): "44",
        called(alice, "+12025550177", "Julia", "Q"): "julia",
    }
    called(charlie, "+442079460123", "Ann", "Smithers")
    assert sorted(ids[one] for one in found(alice, q) if one in ids) == expected
    assert str(charlie.call.id) not in found(alice, q)


def test_pages_of_a_search_hold_each_call_once_and_in_order(alice: Tenant) -> None:
    start = timezone.now() - timedelta(hours=1)
    for n in range(12):  # found by number, by name, by both
        name = "Fivefivefive" if n % 3 else ""
        phone = f"+4420794600{n:02d}" if n % 2 else f"+12025550{n:03d}"
        called(alice, phone, name, created_at=start + timedelta(minutes=n))
    whole = alice.api.get(f"{URL}?q=555").json()["items"]
    assert len(whole) > 8
    walked, cursor = [], ""
    while True:
        answer = alice.api.get(f"{URL}?q=555&limit=2{cursor}").json()
        walked += answer["items"]
        if answer["next_cursor"] is None:
            break
        cursor = f"&cursor={answer['next_cursor']}"
    assert walked == whole
    assert whole == sorted(whole, key=lambda one: (one["created_at"], one["id"]), reverse=True)
    assert len({one["id"] for one in whole}) == len(whole)


def test_a_search_narrows_with_other_filters(alice: Tenant) -> None:
    one = called(alice, "+442079460123", "Ann", "Smithers")
    assert found(alice, "smithers", status="queued") == [one]
    assert found(alice, "smithers", status="ringing") == []


def test_calls_of_an_agent_are_those_of_all_its_versions(alice: Tenant) -> None:
    other = called(alice, "+442079460123")
    second = AgentVersion.objects.create(agent=alice.agent, number=2, system_prompt="x")
    later = called(alice, "+442079460124")
    Call.objects.filter(pk=later).update(agent_version=second)
    none = called(alice, "+442079460125")
    Call.objects.filter(pk=none).update(agent_version=None)
    ids = {item["id"] for item in alice.api.get(f"{URL}?agent_id={alice.agent.id}").json()["items"]}
    assert ids == {other, later, str(alice.call.id)}
    Call.objects.filter(pk=later).update(agent=None)  # nobody can make the two disagree
    assert Call.objects.get(pk=later).agent_id == alice.agent.id


@pytest.mark.django_db(transaction=True)
def test_calls_of_the_release_before_get_their_agent(alice: Tenant) -> None:
    from importlib import import_module

    one = called(alice, "+442079460123")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE voice_call DISABLE TRIGGER call_agent")
        cursor.execute("UPDATE voice_call SET agent_id = NULL")
        cursor.execute("ALTER TABLE voice_call ENABLE TRIGGER call_agent")
    with connection.schema_editor(atomic=False) as editor:
        import_module("voice.migrations.0005_call_agent_filled").fill(None, editor)
    assert Call.objects.get(pk=one).agent_id == alice.agent.id
