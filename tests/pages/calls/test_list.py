"""The list of calls: filters, pages, the file."""

import asyncio
import csv
import io
from typing import Any

import pytest
from django.test import Client

from tenex.workspaces.models import AuditEntry, Workspace
from tests import rows
from tests.pages import desk
from tests.pages.calls.looks import L, queries, text_of
from voice.models import Batch, Call, PhoneNumber, Verdict

pytestmark = pytest.mark.django_db


def found(client: Client, query: str) -> int:
    """How many rows a filtered list has."""
    return text_of(client, f"{L}?{query}").count('class="main-link"')


def test_filters_leave_what_they_say(space: Workspace, client: Client) -> None:
    agent = rows.version(space)
    one = desk.judged(space, agent=agent)
    other = desk.judged(space, agent=agent, outcome="busy", direction="outbound")
    Verdict.objects.filter(call=other).update(needs_review=True)
    Call.objects.filter(pk=other.pk).update(created_at="2026-03-02T04:30:00Z")  # Sunday evening in New York
    assert found(client, "") == 2
    assert found(client, "outcome=qualified&outcome=busy") == 2
    assert found(client, "outcome=qualified,failed") == 1
    assert found(client, "needs_review=true") == 1
    assert found(client, f"agent_id={agent.agent_id}&version=1") == 2
    assert found(client, "version=2") == 0
    assert found(client, f"number_id={one.number_id}") == 2
    assert found(client, "from=2026-03-01&to=2026-03-01") == 1, (
        "a day of the workspace's zone, both ends in it"
    )
    assert found(client, "from=2026-03-02&to=2026-03-02") == 0
    assert found(client, "weekday=7&hour=23") == 1
    assert found(client, "weekday=1&hour=4") == 0
    assert found(client, "direction=outbound&q=0101") == 1


def test_each_filter_is_a_chip_that_takes_it_away(space: Workspace, client: Client) -> None:
    agent = rows.version(space)
    page = text_of(client, f"{L}?outcome=busy&outcome=failed&agent_id={agent.agent_id}&q=&cursor=")
    assert f'href="?agent_id={agent.agent_id}&amp;outcome=failed"' in page or (
        f'href="?outcome=failed&amp;agent_id={agent.agent_id}"' in page
    )
    assert "Remove filter: Agent: Ava" in page
    assert "“”" not in page, "an empty field is no filter"


def test_pages_follow_each_other_with_the_filters(space: Workspace, client: Client) -> None:
    agent = rows.version(space)
    for _ in range(3):
        desk.judged(space, agent=agent)
    first = client.get(f"{L}?limit=2&outcome=qualified")
    cursor = first.context["next_cursor"]
    second = client.get(f"{L}?limit=2&outcome=qualified&cursor={cursor}")
    seen = {call.pk for call in [*first.context["calls"], *second.context["calls"]]}
    assert len(seen) == 3


def test_the_list_costs_the_same_for_one_and_for_many(space: Workspace, client: Client) -> None:
    agent = rows.version(space)
    desk.judged(space, agent=agent)
    batch = Batch.objects.create(
        workspace=space, objective="o", agent=agent.agent, number=PhoneNumber.objects.get()
    )
    one = queries(client, L)
    for n in range(9):
        lead = rows.lead(space, phone=f"+1415555020{n}", company_name=f"Firm {n}")
        desk.judged(space, agent=agent, lead=lead, batch=batch)
    assert queries(client, L) == one


@pytest.mark.django_db(transaction=True)
def test_the_file_has_what_the_filters_leave_and_is_noted(space: Workspace, client: Client) -> None:
    agent = rows.version(space)
    lead = rows.lead(space, first_name="=cmd", last_name="|' /C calc'!A0")
    for _ in range(3):
        desk.judged(space, agent=agent, lead=lead)
    desk.judged(space, agent=agent, outcome="busy")
    answer: Any = client.get("/console/calls.csv?outcome=qualified&limit=1")
    assert answer.status_code == 200

    async def read() -> bytes:
        return b"".join([part async for part in answer.streaming_content])

    table = list(csv.DictReader(io.StringIO(asyncio.run(read()).decode())))
    assert [row["outcome"] for row in table] == ["qualified"] * 3
    assert table[0]["lead_name"].startswith("'="), "a spreadsheet reads it as text"
    assert (table[0]["agent"], table[0]["first_audio_ms"], table[0]["answer_p50_ms"]) == ("Ava", "120", "640")
    assert AuditEntry.objects.filter(action="calls.exported").count() == 1
    assert client.get("/console/calls.csv?outcome=nonsense").status_code == 422
