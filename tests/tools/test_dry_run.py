"""Tools of a test call: they answer as they would, and nothing of what they did is there afterwards."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from crm.models import FollowUp, Lead, Meeting, Suppression, TimelineEntry
from tenex.events.models import Event
from tests import rows
from voice.models import Call, CallEvent, EndReason, ToolCall
from voice.postcall import stop, write_back
from voice.services import calls
from voice.tools import registry

pytestmark = pytest.mark.django_db


def a_call() -> Call:
    space = rows.workspace()
    rows.calendar(space)
    return rows.call(space, lead=rows.lead(space, first_name="Maria"), is_test=True)


def ran(call: Call, name: str, **arguments: object) -> dict[str, object]:
    result = registry.run(call.pk, f"c-{name}", name, json.dumps(arguments))
    assert result.ok, result.output_json
    answer: dict[str, object] = json.loads(result.output_json)
    assert answer["dry_run"] is True
    return answer


def test_a_meeting_is_booked_as_far_as_the_agent_sees() -> None:
    call = a_call()
    slots = ran(call, "list_free_slots", days=5)["slots"]
    assert isinstance(slots, list)
    assert ran(call, "book_meeting", slot_id=slots[0]["slot_id"])["booked"] is True
    assert not Meeting.objects.exists()


def test_neither_lead_nor_list_nor_timeline_changes() -> None:
    call = a_call()
    before = (TimelineEntry.objects.count(), Event.objects.count())
    ran(call, "update_lead", fields={"first_name": "Mary"})
    ran(call, "note_opt_out")
    ran(call, "schedule_callback", at=(timezone.now() + timedelta(days=3)).isoformat())
    assert Lead.objects.get().first_name == "Maria"
    assert (TimelineEntry.objects.count(), Event.objects.count()) == before
    assert not Suppression.objects.exists()
    assert not FollowUp.objects.exists()


def test_arguments_and_answer_are_kept_for_whoever_tries_it_out() -> None:
    call = a_call()
    ran(call, "update_lead", fields={"first_name": "Mary"})
    row = ToolCall.objects.get(call=call)
    assert row.arguments == {"fields": {"first_name": "Mary"}}
    assert row.output
    assert row.output["dry_run"] is True
    assert CallEvent.objects.get(call=call, type="tool.finished").data["output"]["dry_run"] is True


def test_a_real_call_is_no_dry_run() -> None:
    space = rows.workspace()
    call = rows.call(space, lead=rows.lead(space))
    result = registry.run(call.pk, "c1", "update_lead", json.dumps({"fields": {"first_name": "Mary"}}))
    assert "dry_run" not in json.loads(result.output_json)
    assert Lead.objects.get().first_name == "Mary"


def test_nothing_is_written_back_and_nobody_is_told() -> None:
    call = a_call()
    rows.say(call, ("caller", "Do not call me again."))
    assert calls.end(call.pk, EndReason.OPTED_OUT)
    assert stop.settle(call.pk) == {}
    assert write_back.write_back(call.pk)["lead"] is None
    assert not Suppression.objects.exists()
    assert not Event.objects.filter(call_id=call.pk).exists()
    assert Lead.objects.get().last_outcome == ""
