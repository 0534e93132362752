"""The examples of docs/webhooks.md are what the code sends: every type is made to happen, and compared.

After a change that is meant: `PIN_EXAMPLES=1 pytest tests/postcall/test_event_catalogue.py` writes them anew.
"""

import io
import json
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from crm.calendars.availability import Period
from crm.services import calendars, knowledge, leads, suppressions
from tenex.events.models import Event
from tenex.webhooks.catalogue import EVENT_TYPES
from tenex.webhooks.services import subscriptions
from tenex.webhooks.services.relay import wire_body
from tests import rows
from tests.crm.hostile_files import pdf
from tests.crm.knowledge_work import settle
from tests.postcall.responses_server import ResponsesServer
from tests.postcall.test_recording import WAV, giving, note
from voice.models import Batch, BatchStatus, CallStatus, EndReason, Recipient
from voice.postcall import correction, pipeline, recording
from voice.services import batches, calls, numbers

pytestmark = pytest.mark.django_db
PAGE = Path(__file__).resolve().parents[2] / "docs" / "webhooks.md"
FREE = {"custom", "changes", "recipients", "outcomes"}
"""Objects whose members depend on the case."""


def happen() -> dict[str, dict[str, Any]]:
    """The body of one event of every type, by the code that records it."""
    space = rows.workspace()
    lead = rows.lead(space, last_name="Lopez", email="maria@example.com")
    leads.update(space, lead.pk, actor="user:ana@acme.example", stage="contacted")
    agent = rows.version(space)
    number = numbers.create(
        space, {"e164": "+14155550100", "label": "Sales", "configure": False}, "user:ana@acme.example"
    )
    batch = Batch.objects.create(
        workspace=space, name="May", objective="Qualify", agent=agent.agent, number=number
    )
    assert batches.run_due() == 1
    batches.pause(batch, reason="Lunch", actor="user:ana@acme.example")
    batches.resume(batch, actor="user:ana@acme.example")
    Recipient.objects.create(
        workspace=space, batch=batch, lead=lead, position=1, status="done", outcome="qualified"
    )
    now = timezone.now()
    call = rows.call(
        space,
        agent=agent,
        lead=lead,
        batch=batch,
        direction="outbound",
        status=CallStatus.DIALING,
        answered_at=None,
        placed_at=now - timedelta(seconds=40),
        from_number="+14155550100",
        to_number="+14155550101",
    )
    calls.ring(call.pk)
    calls.answer(call.pk)
    call.refresh_from_db()
    rows.say(call, ("agent", "Do you have a budget?"), ("caller", "Yes, two thousand dollars."))
    tomorrow = (now + timedelta(days=1)).replace(hour=15, minute=0, second=0, microsecond=0)
    slot = Period(tomorrow, tomorrow + timedelta(minutes=30))
    meeting = calendars.book(rows.calendar(space), slot, lead, now=now, call_id=call.pk)
    rows.end(call, EndReason.AGENT_HANGUP)
    row = note(call, RecordingDuration="1", RecordingChannels="2")
    assert recording.fetch(row.pk, get=giving(WAV))
    assert pipeline.finalize(call.pk)
    correction.correct(
        call.pk,
        qualification="unqualified",
        met={"need": False},
        reason="Only looked around.",
        actor="user:ana@acme.example",
    )
    later = Period(slot.starts_at + timedelta(hours=2), slot.ends_at + timedelta(hours=2))
    moved = calendars.move(meeting, later, now=now, actor="user:ana@acme.example")
    calendars.cancel(moved, actor="user:ana@acme.example")
    Batch.objects.filter(pk=batch.pk).update(status=BatchStatus.COMPLETED, completed_at=now)
    batch.refresh_from_db()
    batches.announce_if_over(batch)
    suppressions.add(space.pk, "+14155550101", source="call", reason="Asked to stop", call_id=call.pk)
    knowledge.create_text(
        space, title="Terms", text="We refund within thirty days.", actor="user:ana@acme.example"
    )
    empty = io.BytesIO(pdf([""]))
    knowledge.create_file(space, file=empty, name="scan.pdf", declared="", actor="user:ana@acme.example")
    settle()
    webhook, _ = subscriptions.create(space, url="http://127.0.0.1:9/hook", actor="user:ana@acme.example")
    subscriptions.send_test(webhook, "user:ana@acme.example")
    subscriptions.disable(webhook, "the receiver answered 410 Gone")
    return {
        event.type: json.loads(wire_body(event))
        for event in Event.objects.filter(workspace=space).order_by("seq")
    }


def examples() -> dict[str, dict[str, Any]]:
    """The JSON blocks of the page, by type."""
    text = PAGE.read_text(encoding="utf-8").split("\n## Examples\n", 1)[1].split("\n## ", 1)[0]
    found = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    assert len(found) == len({one["type"] for one in found})
    return {one["type"]: one for one in found}


def shape(value: Any, name: str = "") -> Any:
    """Names and JSON types. Null fits anything, so it is left out of a comparison by `same`."""
    match value:
        case dict():
            return "object" if name in FREE else {key: shape(inner, key) for key, inner in value.items()}
        case list():
            return [shape(value[0])] if value else []
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case None:
            return None
        case _:
            return "string"


def same(one: Any, other: Any) -> bool:
    if one is None or other is None or one == [] or other == []:
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return same(one[0], other[0])
    return bool(one == other)


def test_every_example_is_what_the_code_sends(judge: ResponsesServer, media: Path) -> None:
    sent = happen()
    assert set(sent) == set(EVENT_TYPES)
    if os.environ.get("PIN_EXAMPLES"):
        blocks = "\n".join(
            f"```json\n{json.dumps(sent[kind], indent=2, ensure_ascii=False)}\n```\n" for kind in EVENT_TYPES
        )
        head, _, rest = PAGE.read_text(encoding="utf-8").partition("\n## Examples\n")
        intro, after = rest.split("```json", 1)[0], rest.rsplit("```\n", 1)[-1]
        PAGE.write_text(f"{head}\n## Examples\n{intro}{blocks}{after}", encoding="utf-8")
    documented = examples()
    assert set(documented) == set(EVENT_TYPES)
    for kind, body in sent.items():
        assert same(shape(body), shape(documented[kind])), (kind, shape(body), shape(documented[kind]))


def test_every_member_of_data_is_named_in_the_table(judge: ResponsesServer, media: Path) -> None:
    text = PAGE.read_text(encoding="utf-8").split("\n## Event types\n", 1)[1].split("\n## ", 1)[0]
    named = {name for quoted in re.findall(r"`([^`]+)`", text) for name in re.findall(r"\w+", quoted)}
    for kind, body in happen().items():
        assert set(body["data"]) - named == set(), kind


def test_comparing_by_shape_finds_what_differs() -> None:
    assert same(shape({"a": None, "b": [1]}), shape({"a": "x", "b": []}))
    for one, other in (
        ({"a": 1}, {"a": "1"}),
        ({"a": 1}, {}),
        ({"a": {"b": 1}}, {"a": {"c": 1}}),
        ([1], ["x"]),
    ):
        assert not same(shape(one), shape(other))
