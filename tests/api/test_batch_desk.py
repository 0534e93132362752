"""Batches as a sales lead uses them over the API: upload, preview, start, progress, results, figures."""

import csv
import io
import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import AsyncClient, Client
from django.utils import timezone

from crm.models import Consent, Lead
from crm.services import import_run, imports, leads
from tenex.workspaces.models import AuditEntry, Membership, Workspace
from tests import rows
from tests.api.world import Api, Tenant, finished_call, person
from voice.models import AgentVersion, Batch, Call, Decision, Recipient
from voice.outbound import settle
from voice.services import batch_filling

pytestmark = pytest.mark.django_db
B = "/api/v1/voice/batches"
SF = "America/Los_Angeles"


def people(tenant: Tenant, count: int, *, agreed: bool = True, **fields: Any) -> list[Lead]:
    made = [
        leads.create(
            tenant.workspace,
            actor="test",
            first_name=f"L{n}",
            phone=f"+1415555{2000 + n}",
            **{"time_zone": SF, **fields},
        )
        for n in range(count)
    ]
    if agreed:
        rows.agree(*made)
    return made


def at_any_hour(tenant: Tenant) -> None:
    """By our own choice; the law's hours hold all the same."""
    Workspace.objects.filter(pk=tenant.workspace.pk).update(
        calling_window_start="00:00", calling_window_end="00:00"
    )


def work() -> None:
    for _ in range(20):
        for import_id in imports.due():
            import_run.run(import_id, slice_s=60)
        if not batch_filling.fill() and not imports.due():
            return


# --- making ---------------------------------------------------------------------------------------


def test_from_draft_to_running(alice: Tenant) -> None:
    first, second = people(alice, 2, agreed=False)
    body = {
        "objective": "Sell {{variables.plan}}",
        "draft": True,
        "leads": [{"lead_id": str(first.pk), "variables": {"plan": "gold", "seats": 3}}],
        "lead_ids": [str(second.pk)],
        "window_start": "10:00",
        "window_end": "12:30",
        "window_days": [5, 1, 1],
        "retry_policy": {"no-answer": [3600, 7200], "busy": []},
        "voicemail_policy": "leave_message",
        "voicemail_message": "Hello {{lead.first_name}}",
        "calls_per_second": 0.5,
        "priority": 7,
        "budget_soft_minor": 100,
        "budget_hard_minor": 200,
        "purpose": "informational",
    }
    made = alice.api.post(B, body)
    assert made.status_code == 201, made.content
    shown = made.json()
    assert (shown["status"], shown["accepted"], len(shown["rejected"])) == ("draft", 0, 2)
    assert {one["code"] for one in shown["rejected"]} == {"no_consent"}
    assert (shown["window_start"], shown["window_end"], shown["window_days"]) == ("10:00", "12:30", [1, 5])
    assert shown["retry_policy"] == {"no-answer": [3600, 7200]}
    same = ("voicemail_message", "calls_per_second", "priority", "budget_soft_minor", "purpose")
    assert {name: shown[name] for name in same} == {name: body[name] for name in same}
    path = f"{B}/{shown['id']}"
    assert alice.api.post(f"{path}/start").json()["code"] == "batch_empty"
    rows.agree(first, second, purpose="informational")
    more = {"leads": [{"lead_id": str(first.pk), "variables": {"plan": "gold"}}]}
    assert alice.api.post(f"{path}/leads", more).json()["accepted"] == 1
    assert alice.api.get(f"{path}/results").json()["items"][0]["variables"] == {"plan": "gold"}
    for _ in range(2):
        assert alice.api.post(f"{path}/start").json()["status"] == "queued"
    settle.start_due()
    shown = alice.api.get(path).json()
    assert shown["status"] == "running"
    assert shown["progress"] | {"expected": 0} == {
        "done": 0, "waiting": 1, "waiting_until": None, "refused": {}, "live": 0, "cost_minor": 0,
        "over_soft_budget": False, "expected": 0,
    }  # fmt: skip
    refused = alice.api.patch(path, {"agent_id": str(alice.agent.pk), "name": "n"})
    assert (refused.status_code, refused.json()["code"], refused.json()["fields"]) == (
        409,
        "batch_started",
        ["agent"],
    )


@pytest.mark.parametrize(
    ("body", "loc", "kind"),
    [
        ({"retry_policy": {"no-answer": [59]}}, ["retry_policy", "no-answer", 0], "min_value"),
        ({"retry_policy": {"qualified": [60]}}, ["retry_policy", "qualified"], "extra_forbidden"),
        ({"retry_policy": {"busy": [60] * 8}}, ["retry_policy", "busy"], "max_length"),
        ({"window_start": "9am"}, ["window_start"], "invalid"),
        ({"window_days": [0]}, ["window_days", 0], "min_value"),
        ({"leads": [{"lead_id": "L", "variables": {"a b": 1}}]}, ["leads", 0, "variables"], "name"),
        ({"leads": [{"lead_id": "L", "variables": {"a": [1]}}]}, ["leads", 0, "variables"], "value"),
        ({"leads": [{"variables": {}}]}, ["leads", 0, "lead_id"], "missing"),
        ({"versions": [{"agent_version_id": "V"}]}, ["versions", 0, "weight"], "missing"),
        ({"purpose": "fun"}, ["purpose"], "invalid_choice"),
        ({"voicemail_policy": "leave_message"}, ["voicemail_message"], "missing"),
        ({"calls_per_second": 0}, ["calls_per_second"], "min_value"),
    ],
)
def test_what_makes_no_sense_is_said_where(
    alice: Tenant, body: dict[str, Any], loc: list[Any], kind: str
) -> None:
    text = json.dumps({"objective": "x", "lead_ids": [str(alice.lead.pk)], **body})
    text = text.replace('"L"', f'"{alice.lead.pk}"').replace('"V"', f'"{alice.agent.current_version_id}"')
    answer = alice.api.post(B, text.encode())
    assert answer.status_code == 422, answer.content
    found = answer.json()["detail"][0]
    assert (found["loc"], found["type"]) == (["body", *loc], kind)
    wanted = [("draft", True)] if "leads" in body else []
    patched = alice.api.patch(f"{B}/{alice.batch.pk}", {**json.loads(text), **dict(wanted)})
    assert patched.status_code == 422


def test_a_dry_run_makes_nothing_and_says_what_would_be(alice: Tenant) -> None:
    at_any_hour(alice)
    fine = people(alice, 2)
    unheard = leads.create(alice.workspace, actor="test", first_name="U", phone="+14155552999")
    before = (Batch.objects.count(), Recipient.objects.count(), Decision.objects.count())
    ids = [str(one.pk) for one in (*fine, unheard)]
    answer = alice.api.post(B, {"objective": "x", "lead_ids": ids, "dry_run": True})
    assert answer.status_code == 200, answer.content
    shown = answer.json()
    assert (shown["total"], shown["refused"]) == (3, 1)
    assert [one["lead_id"] for one in shown["not_called"]] == [str(unheard.pk)]
    assert {one["code"]: one["final"] for one in shown["reasons"]}["no_consent"] is True
    assert shown["expected"]["end_at"] is None
    assert (Batch.objects.count(), Recipient.objects.count(), Decision.objects.count()) == before


# --- preview --------------------------------------------------------------------------------------


def test_a_preview_tells_of_everybody_and_keeps_its_decisions(alice: Tenant) -> None:
    Batch.objects.filter(pk=alice.batch.pk).update(status="draft", purpose="marketing")
    good = people(alice, 3)
    Consent.objects.filter(lead=alice.lead).delete()
    for place, lead in enumerate(good, 2):
        Recipient.objects.create(workspace=alice.workspace, batch=alice.batch, lead=lead, position=place)
    later = timezone.now() + timedelta(days=30)
    Recipient.objects.filter(batch=alice.batch, position=4).update(next_at=later)
    path = f"{B}/{alice.batch.pk}/preview"
    for _ in range(2):
        shown = alice.api.post(path).json()
        assert (shown["total"], shown["refused"]) == (4, 1)
        assert shown["call_now"] + shown["wait"] == 3
        assert sum(one["count"] for one in shown["hours"]) == 3
        assert sum(one["count"] for one in shown["reasons"]) == 1 + shown["wait"]
        assert Decision.objects.filter(batch=alice.batch, stage="preview").count() == 4
    assert shown["not_called"][0]["code"] == "no_consent"
    items, cursor = [], ""
    while True:
        one = alice.api.get(f"{path}/leads?limit=1{cursor}").json()
        items += one["items"]
        if one["next_cursor"] is None:
            break
        cursor = f"&cursor={one['next_cursor']}"
    assert [one["position"] for one in items] == [1, 2, 3, 4]
    assert items[3]["at"] is not None
    never = alice.api.get(f"{path}/leads?when=never").json()["items"]
    assert [(one["position"], one["at"], one["code"]) for one in never] == [(1, None, "no_consent")]
    assert alice.api.get(f"{path}/leads?code=no_consent").json()["items"] == never
    assert alice.api.get(f"{path}/leads?when=soon").status_code == 422
    for code in ("", "x" * 41):
        assert alice.api.get(f"{path}/leads?code={code}").status_code == 422
    assert alice.api.get(f"{path}/leads?when=never{cursor}").status_code == 422
    assert not Call.objects.filter(batch=alice.batch).exists()


def test_end_and_cost_are_told_from_past_calls_only(alice: Tenant) -> None:
    at_any_hour(alice)
    Recipient.objects.filter(pk=alice.recipient.pk).update(next_at=None)
    path = f"{B}/{alice.batch.pk}"
    assert alice.api.get(path).json()["progress"]["expected"]["cost_minor"] is None
    now = timezone.now()
    for n in range(30):
        call = finished_call(alice.workspace, alice.agent, alice.number, alice.lead)
        talked = n % 3 == 0
        Call.objects.filter(pk=call.pk).update(
            direction="outbound",
            placed_at=now - timedelta(seconds=100),
            answered_at=now - timedelta(seconds=80) if talked else None,
            ended_at=now - timedelta(seconds=20),
            duration_ms=60_000 if talked else None,
            usage={},
            end_reason="caller-hangup" if talked else "no-answer",
        )
    expected = alice.api.get(path).json()["progress"]["expected"]
    based = expected["based_on"]
    assert (based["calls"], round(based["connect_rate"], 3), based["connected_s"]) == (30, 0.333, 80.0)
    assert (expected["dials"], expected["cost_minor"]) == (1, 1)
    assert expected["end_at"] is not None


# --- files ----------------------------------------------------------------------------------------


def file_of(count: int) -> bytes:
    lines = ["name,phone,offer,consent_given_at"]
    lines += [f"N{n},+1415555{3000 + n},tier {n},2026-05-01" for n in range(count)]
    return "\n".join([*lines, "Bad,12,x,2026-05-01"]).encode()


def form(tenant: Tenant, path: str, fields: dict[str, str], file: bytes, **headers: str) -> Any:
    mark = "limit"
    parts = [
        f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = 'Content-Disposition: form-data; name="file"; filename="leads.csv"\r\nContent-Type: text/csv'
    parts.append(f"--{mark}\r\n{head}\r\n\r\n".encode() + file + f"\r\n--{mark}--\r\n".encode())
    kind = f"multipart/form-data; boundary={mark}"
    return tenant.api.post(path, b"".join(parts), content_type=kind, **headers)


def test_a_file_becomes_a_draft_that_is_previewed_and_started(alice: Tenant) -> None:
    batch = json.dumps({"objective": "Sell {{variables.offer}}", "name": "May"})
    sent = form(alice, f"{B}/upload", {"batch": batch}, file_of(5), Idempotency_Key="k1")
    assert sent.status_code == 202, sent.content
    again = form(alice, f"{B}/upload", {"batch": batch}, file_of(5), Idempotency_Key="k1")
    assert (again.json()["id"], again["Idempotent-Replayed"]) == (sent.json()["id"], "true")
    path = f"{B}/{sent.json()['id']}"
    assert (sent.json()["status"], sent.json()["filling"]) == ("draft", True)
    work()
    shown = alice.api.get(path).json()
    (upload,) = shown["uploads"]
    assert (shown["filling"], shown["totals"]["pending"], shown["progress"]["refused"]) == (False, 5, {})
    assert {name: upload[name] for name in ("status", "done", "percent", "rows_read", "failed", "taken")} == {
        "status": "completed", "done": True, "percent": 100.0, "rows_read": 6, "failed": 1, "taken": 5,
    }  # fmt: skip
    errors = alice.api.get(f"/api/v1/crm/leads/imports/{upload['import_id']}/errors").json()["items"]
    assert [(one["line"], one["column"], one["code"]) for one in errors] == [(7, "phone", "phone")]
    result = alice.api.get(f"{path}/results?limit=1").json()["items"][0]
    assert (result["variables"], result["next_action"]) == (
        {"offer": "tier 0"},
        {"type": "call", "at": None},
    )
    query = urlencode({"delimiter": "comma"})
    more = alice.api.post(f"{path}/upload?{query}", file_of(7), content_type="text/csv")
    assert more.status_code == 202
    work()
    shown = alice.api.get(path).json()
    assert shown["totals"]["total"] == 7
    assert [one["duplicates"] for one in shown["uploads"]] == [5, 0]


@pytest.mark.parametrize(
    ("fields", "loc"),
    [
        ({}, ["body", "batch"]),
        ({"batch": "[]"}, ["body", "batch"]),
        ({"batch": '{"objective": "x", "lead_ids": []}'}, ["body", "batch", "lead_ids"]),
        ({"batch": '{"objective": "{{nobody}}"}'}, ["body", "objective"]),
        ({"batch": '{"objective": "x"}', "dry_run": "true"}, ["body", "dry_run"]),
        (
            {"batch": '{"objective": "x"}', "mapping": '{"offer": "variables.a b"}'},
            ["body", "mapping", "offer"],
        ),
    ],
)
def test_a_wrong_upload_leaves_nothing(alice: Tenant, fields: dict[str, str], loc: list[str]) -> None:
    before = Batch.objects.count()
    answer = form(alice, f"{B}/upload", fields, file_of(1))
    assert answer.status_code == 422, answer.content
    assert answer.json()["detail"][0]["loc"] == loc
    assert Batch.objects.count() == before


def test_who_may_not_make_leads_may_not_upload_them(alice: Tenant) -> None:
    key = alice.api.post("/api/v1/admin/api-keys", {"name": "k", "scopes": ["batches:write"]}).json()
    answer = Api(key["secret"]).post(f"{B}/upload", file_of(1), content_type="text/csv")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_scope")


# --- results --------------------------------------------------------------------------------------


def test_figures_of_a_batch(alice: Tenant) -> None:
    second = AgentVersion.objects.create(agent=alice.agent, number=9, system_prompt="y")
    (other, refused) = people(alice, 2)
    Lead.objects.filter(pk=alice.lead.pk).update(time_zone="Asia/Kolkata")
    Recipient.objects.create(
        workspace=alice.workspace, batch=alice.batch, lead=refused, position=3, status="refused",
        refusal_code="no_consent",
    )  # fmt: skip
    missed_row = Recipient.objects.create(
        workspace=alice.workspace, batch=alice.batch, lead=other, position=2, status="done",
        outcome="no-answer",
    )  # fmt: skip
    won = finished_call(alice.workspace, alice.agent, alice.number, alice.lead)
    missed = finished_call(alice.workspace, alice.agent, alice.number, other)
    at = timezone.now().replace(hour=14, minute=50, second=0, microsecond=0) - timedelta(days=1)
    times = {"placed_at": at, "answered_at": at, "ended_at": at + timedelta(minutes=2)}
    Call.objects.filter(pk=won.pk).update(
        batch=alice.batch, recipient=alice.recipient, direction="outbound", duration_ms=120_000, **times
    )
    Call.objects.filter(pk=missed.pk).update(
        batch=alice.batch, recipient=missed_row, direction="outbound", outcome="no-answer",
        end_reason="no-answer", agent_version=second, **{**times, "answered_at": None}, duration_ms=None,
    )  # fmt: skip
    won.verdict.meeting = {"start": "2026-01-01T10:00:00Z"}
    won.verdict.save()
    Recipient.objects.filter(pk=alice.recipient.pk).update(status="done", outcome="qualified")
    shown = alice.api.get(f"{B}/{alice.batch.pk}/stats").json()
    assert shown["funnel"] == {
        "total": 3, "allowed": 2, "dialed": 2, "connected": 1, "qualified": 1, "meetings": 1,
    }  # fmt: skip
    assert shown["outcomes"] == [
        {"outcome": "no-answer", "count": 1},
        {"outcome": "qualified", "count": 1},
    ]
    assert shown["refusals"] == {"no_consent": 1}
    hours = {one["hour"]: (one["dialed"], one["connected"]) for one in shown["hours"] if one["dialed"]}
    local = at.astimezone(__import__("zoneinfo").ZoneInfo(SF)).hour
    assert hours == {20: (1, 1), local: (1, 0)}, "14:50 UTC is 20:20 in Kolkata"
    by_number = {one["number"]: one for one in shown["versions"]}
    assert (by_number[9]["dialed"], by_number[9]["connect_rate"], by_number[9]["qualified_rate"]) == (
        1,
        0,
        None,
    )
    first = by_number[1]
    assert (first["connect_rate"], first["qualified"], first["meetings"], first["cost_minor"]) == (
        1.0,
        1,
        1,
        5,
    )


def test_one_lead_is_taken_out(alice: Tenant) -> None:
    path = f"{B}/{alice.batch.pk}/recipients/{alice.recipient.pk}"
    assert alice.api.get(path).json()["next_action"]["type"] == "call"
    for _ in range(2):
        gone = alice.api.delete(path)
        assert (gone.status_code, gone.json()["status"]) == (200, "canceled")
    Recipient.objects.filter(pk=alice.recipient.pk).update(status="calling")
    assert alice.api.delete(path).json()["code"] == "recipient_calling"


def test_the_next_action_is_the_callback(alice: Tenant) -> None:
    call = finished_call(alice.workspace, alice.agent, alice.number, alice.lead)
    Call.objects.filter(pk=call.pk).update(batch=alice.batch, recipient=alice.recipient)
    Recipient.objects.filter(pk=alice.recipient.pk).update(status="done", outcome="callback")
    at = timezone.now() + timedelta(hours=2)
    Recipient.objects.create(
        workspace=alice.workspace,
        batch=alice.batch,
        lead=alice.lead,
        position=2,
        callback_of=call,
        next_at=at,
    )
    first, second = alice.api.get(f"{B}/{alice.batch.pk}/results").json()["items"]
    assert first["next_action"]["type"] == second["next_action"]["type"] == "callback"
    assert second["callback_of"] == str(call.pk)


@pytest.mark.django_db(transaction=True)
async def test_results_as_csv_tell_the_carriers_state_and_run_no_formula(alice: Tenant) -> None:
    row = Recipient.objects.filter(pk=alice.recipient.pk)
    await row.aupdate(status="refused", refusal_code="x", refusal_detail="=cmd|' /C calc'!A0")
    answer: Any = await AsyncClient().get(
        f"{B}/{alice.batch.id}/results?format=csv", headers={"Authorization": f"Bearer {alice.api.token}"}
    )
    text = b"".join([part async for part in answer]).decode()
    (found,) = csv.DictReader(io.StringIO(text))
    assert found["refusal_detail"].startswith("'=cmd")
    assert found["phone"] == f"'{alice.lead.phone}"
    assert (found["next_action"], found["carrier_state"]) == ("none", "")


# --- admin ----------------------------------------------------------------------------------------


def test_operators_control_batches_in_the_admin(alice: Tenant) -> None:
    user = person("desk@alice.example")
    seat = Membership.objects.create(workspace=alice.workspace, user=user, role="viewer")
    page = "/admin/voice/batch/"
    client = Client()
    client.force_login(user)
    asked = {"action": "pause", "_selected_action": [str(alice.batch.pk)]}
    client.post(page, asked)
    alice.batch.refresh_from_db()
    assert alice.batch.status == "queued", "seeing is not pausing"
    seat.role = "operator"
    seat.save()
    for action, status in (("pause", "paused"), ("resume", "running"), ("cancel", "canceled")):
        assert client.post(page, {**asked, "action": action}).status_code == 302
        alice.batch.refresh_from_db()
        assert alice.batch.status == status
    assert AuditEntry.objects.filter(action="batch.canceled", actor="user:desk@alice.example").exists()
    assert b"batch is over" in client.post(page, {**asked, "action": "start"}, follow=True).content
    assert client.get(f"{page}{alice.batch.pk}/change/").status_code == 200
