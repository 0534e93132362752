"""Batches over the API: the reference's request, segments, changes, results as JSON and CSV, control."""

import csv
import io
from typing import Any

import pytest
from django.test import AsyncClient

from crm.models import Segment, SegmentMember
from crm.services import leads
from tenex.rest.csv_stream import cell
from tenex.workspaces.models import AuditEntry
from tests import rows
from tests.api.world import Tenant, finished_call
from voice.models import Batch, Recipient
from voice.services import batch_filling, batches

B = "/api/v1/voice/batches"


def members(tenant: Tenant, count: int) -> Segment:
    made = [
        leads.create(tenant.workspace, actor="test", first_name=f"L{n}", phone=f"+1206555{n:04d}")
        for n in range(count)
    ]
    rows.agree(*made)
    SegmentMember.objects.bulk_create(SegmentMember(segment=tenant.segment, lead=one) for one in made)
    return tenant.segment


def test_leads_and_an_objective_are_enough(alice: Tenant) -> None:
    made = alice.api.post(B, {"lead_ids": [str(alice.lead.id)], "objective": "Book a demo"})
    assert made.status_code == 201
    assert (made.json()["agent_id"], made.json()["accepted"]) == (str(alice.agent.id), 1)
    assert AuditEntry.objects.filter(action="batch.created", object_id=made.json()["id"]).exists()


@pytest.mark.parametrize(
    ("body", "loc", "kind"),
    [
        ({"objective": "x"}, "lead_ids", "missing"),
        ({"objective": "x", "lead_ids": []}, "lead_ids", "min_length"),
        ({"objective": "x", "lead_ids": ["L"], "segment_id": "S"}, "segment_id", "one_of"),
        ({"objective": "Hi {{lead.frist_name}}", "lead_ids": ["L"]}, "objective", "unknown_variable"),
        ({"objective": "x", "lead_ids": ["L"], "retry_after_s": 1}, "retry_after_s", "min_value"),
    ],
)
def test_a_batch_that_makes_no_sense_says_why(alice: Tenant, body: Any, loc: str, kind: str) -> None:
    if body.get("lead_ids"):
        body = {**body, "lead_ids": [str(alice.lead.id)]}
    if "segment_id" in body:
        body = {**body, "segment_id": str(alice.segment.id)}
    error = alice.api.post(B, body).json()["detail"][0]
    assert (error["loc"], error["type"]) == (["body", loc], kind)


def test_a_segment_is_put_in_by_portions(alice: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_LEADS", 4)
    segment = members(alice, 10)
    silent = leads.create(alice.workspace, actor="test", first_name="Silent")
    SegmentMember.objects.create(segment=segment, lead=silent)
    made = alice.api.post(B, {"segment_id": str(segment.id), "objective": "Book"}).json()
    assert (made["accepted"], made["filling"], made["segment_id"]) == (4, True, str(segment.id))
    Batch.objects.filter(pk=made["id"]).update(status="running")
    Recipient.objects.filter(batch_id=made["id"]).update(status="done")
    assert not batches.complete(Batch.objects.get(pk=made["id"]).pk), "more are to come"
    while batch_filling.fill():
        pass
    shown = alice.api.get(f"{B}/{made['id']}").json()
    assert shown["filling"] is False
    totals = shown["totals"]
    assert (totals["total"], totals["done"], totals["pending"], totals["refused"]) == (11, 4, 6, 1)
    refused = alice.api.get(f"{B}/{made['id']}/results?status=refused").json()["items"]
    assert [one["refusal"]["code"] for one in refused] == ["no_phone"]
    positions = Recipient.objects.filter(batch_id=made["id"]).values_list("position", flat=True)
    assert sorted(positions) == list(range(1, 12))


def test_a_canceled_batch_is_not_filled_on(alice: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_LEADS", 2)
    made = alice.api.post(B, {"segment_id": str(members(alice, 5).id), "objective": "Book"}).json()
    alice.api.post(f"{B}/{made['id']}/cancel")
    assert batch_filling.fill() == 0
    assert alice.api.get(f"{B}/{made['id']}").json()["totals"]["total"] == 2


def test_a_batch_is_changed_until_it_is_over(alice: Tenant) -> None:
    path = f"{B}/{alice.batch.id}"
    wanted = {"name": "June", "objective": "Sell", "concurrency": 2, "max_attempts": 3, "retry_after_s": 600}
    shown = alice.api.patch(path, wanted).json()
    assert {name: shown[name] for name in wanted} == wanted
    assert alice.api.patch(path, {"objective": "{{nobody}}"}).status_code == 422
    assert alice.api.patch(path, {"status": "paused"}).status_code == 422
    alice.api.post(f"{path}/cancel")
    over = alice.api.patch(path, {"name": "July"})
    assert (over.status_code, over.json()["code"]) == (409, "batch_over")


def test_control_is_safe_to_repeat_and_noted_once(alice: Tenant) -> None:
    path = f"{B}/{alice.batch.id}"
    for verb, status in (("pause", "paused"), ("resume", "running"), ("cancel", "canceled")):
        for _ in range(2):
            answer = alice.api.post(f"{path}/{verb}")
            assert (answer.status_code, answer.json()["status"]) == (200, status)
    noted = AuditEntry.objects.filter(object_id=str(alice.batch.id)).order_by("created_at", "id")
    assert list(noted.values_list("action", "actor")) == [
        (f"batch.{verb}", f"key:{alice.key_prefix}") for verb in ("paused", "resumed", "canceled")
    ]


def test_results_tell_attempts_outcome_verdict_and_next_try(alice: Tenant) -> None:
    row = Recipient.objects.get(batch=alice.batch)
    calls = [finished_call(alice.workspace, alice.agent, alice.number, alice.lead) for _ in range(2)]
    for call in calls:
        type(call).objects.filter(pk=call.pk).update(batch=alice.batch, recipient=row)
    Recipient.objects.filter(pk=row.pk).update(status="done", outcome="qualified", calls_made=2)
    (shown,) = alice.api.get(f"{B}/{alice.batch.id}/results").json()["items"]
    assert [one["call_id"] for one in shown["attempts"]] == [str(call.id) for call in reversed(calls)]
    assert (shown["outcome"], shown["verdict"]["qualification"]) == ("qualified", "qualified")
    assert shown["next_at"] is None
    assert alice.api.get(f"{B}/{alice.batch.id}/results?outcome=busy").json()["items"] == []
    for query, name in (("format=xml", "format"), ("format=csv&limit=3", "limit"), ("outcome=x", "outcome")):
        answer = alice.api.get(f"{B}/{alice.batch.id}/results?{query}")
        assert answer.json()["detail"][0]["loc"] == ["query", name]


@pytest.mark.django_db(transaction=True)
async def test_results_stream_as_csv_that_no_spreadsheet_runs(alice: Tenant) -> None:
    await (
        type(alice.lead).objects.filter(pk=alice.lead.pk).aupdate(first_name='=HYPERLINK("x")', last_name="")
    )
    answer: Any = await AsyncClient().get(
        f"{B}/{alice.batch.id}/results?format=csv", headers={"Authorization": f"Bearer {alice.api.token}"}
    )
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv; charset=utf-8")
    text = b"".join([part async for part in answer]).decode()
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["position"], row["status"]) == ("1", "pending")
    assert row["lead_name"] == '\'=HYPERLINK("x")'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=1+1", "'=1+1"), ("+1 415", "'+1 415"), ("-2", "'-2"), ("@x", "'@x"), ("\t=1", "'\t=1"),
        (-2, "-2"), (None, ""), (True, "true"), ("plain", "plain"), ("a=b", "a=b"),
    ],
)  # fmt: skip
def test_a_cell_is_never_a_formula(value: object, text: str) -> None:
    assert cell(value) == text
