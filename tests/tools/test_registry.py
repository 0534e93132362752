"""Conversations with the tools: what the model sends, what it gets, what is written."""

import json
import time
import uuid
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm.models import Calendar, FollowUp, Lead, Meeting, SlotHold, Suppression, TimelineEntry
from crm.services import knowledge
from tenex.events.models import Event
from tests import rows
from voice.models import Call, CallEvent, CallStatus, EndReason, ToolCall, ToolStatus
from voice.services import calls
from voice.tools import catalog, registry
from voice.tools.arguments import NoArguments
from voice.tools.catalog import NAMES, TOOLS, Tool
from voice.tools.scope import Answer, Scope

pytestmark = pytest.mark.django_db


def ask(call: Call, name: str, tool_call_id: str = "", **arguments: Any) -> dict[str, Any]:
    result = registry.run(call.pk, tool_call_id or uuid.uuid4().hex, name, json.dumps(arguments))
    output: dict[str, Any] = json.loads(result.output_json)
    assert result.ok == ("error" not in output)
    return output


def a_call(**fields: Any) -> Call:
    space = rows.workspace(transfer_number="+14155550777")
    rows.calendar(space)
    lead = rows.lead(space, time_zone="America/Los_Angeles", company_name="Alta")
    return rows.call(space, lead=lead, **fields)


# --- what the model is told ---


def test_definitions_are_flat_and_closed() -> None:
    found = registry.definitions(["book_meeting", "lookup_lead", "no_such_tool"])
    assert [item["name"] for item in found] == [
        "lookup_lead",
        "book_meeting",
        "note_opt_out",
        "stop_recording",
        "end_call",
    ]
    for item in registry.definitions(NAMES):
        assert set(item) == {"type", "name", "description", "parameters"}
        text = json.dumps(item["parameters"])
        assert "$ref" not in text
        assert "$defs" not in text
        assert item["parameters"]["type"] == "object"
        assert item["parameters"]["additionalProperties"] is False
    nested = TOOLS["update_lead"].definition["parameters"]["properties"]["fields"]
    assert nested["additionalProperties"] is False
    assert "title" in nested["properties"], "a field called title is no schema title"


def test_no_tool_takes_an_identity_or_a_destination() -> None:
    forbidden = {"lead_id", "workspace_id", "call_id", "phone", "number", "to", "url", "calendar_id"}
    for item in registry.definitions(NAMES):
        assert not forbidden & set(item["parameters"]["properties"])


# --- lead ---


def test_lookup_knows_the_lead_of_the_call() -> None:
    call = a_call()
    found = ask(call, "lookup_lead")
    assert found["lead"]["first_name"] == "Maria"
    assert found["lead"]["company"] == "Alta"
    assert "id" not in found["lead"]


def test_a_stranger_becomes_a_lead_when_there_is_something_to_write() -> None:
    call = rows.call(rows.workspace(), from_number="+14155550199")
    assert ask(call, "lookup_lead")["known"] is False
    assert ask(call, "update_lead", fields={"first_name": "Pat", "note": "sells shoes"})["updated"]
    call.refresh_from_db()
    assert call.lead
    assert (call.lead.first_name, call.lead.phone) == ("Pat", "+14155550199")
    assert TimelineEntry.objects.filter(lead=call.lead, type="note", call_id=call.pk).exists()


def test_update_lead_refuses_what_is_not_the_callers() -> None:
    call = a_call()
    other = rows.lead(call.workspace, phone="+14155550102", email="eve@example.com")
    for fields in ({"stage": "qualified"}, {"phone": "+14155550199"}, {"lead_id": str(other.id)}, {}):
        assert ask(call, "update_lead", fields=fields)["error"]["code"] == "bad_arguments"
    taken = ask(call, "update_lead", fields={"email": "eve@example.com"})
    assert taken["error"]["code"] == "email_taken"
    assert str(other.id) not in json.dumps(taken)
    assert ask(call, "update_lead", fields={"time_zone": "Nowhere"})["error"]["code"] == "time_zone"


def test_opt_out_is_committed_and_ends_the_call() -> None:
    call = a_call()
    result = registry.run(call.pk, "t1", "note_opt_out", '{"reason": "stop calling me"}')
    assert (result.ok, result.effect) == (True, "opt_out")
    assert Suppression.objects.get(workspace=call.workspace).call_id == call.pk
    assert call.lead
    assert Lead.objects.get(pk=call.lead.pk).opted_out_at
    assert Event.objects.filter(type="lead.opted_out").count() == 1


def test_opt_out_works_without_being_listed_without_a_lead_and_after_the_end() -> None:
    space = rows.workspace()
    call = rows.call(space, agent=rows.version(space, tools=[]), from_number="+14155550199")
    calls.end(call.pk, EndReason.CALLER_HANGUP)
    assert ask(call, "end_call")["error"]["code"] == "call_over"
    assert ask(call, "note_opt_out", reason="no")["opted_out"]
    assert Suppression.objects.count() == 1


def test_callback_in_the_callers_time() -> None:
    call = a_call()
    day = (timezone.now() + timedelta(days=3)).date()
    found = ask(call, "schedule_callback", at=f"{day}T15:00", note="about prices")
    assert found["time_zone"] == "America/Los_Angeles"
    assert found["spoken"].endswith("at 3 PM")
    row = FollowUp.objects.get(call_id=call.pk)
    assert row.due_at
    assert row.due_at.isoformat() == found["at"]
    for wrong, code in (
        ("2020-01-01T10:00", "in_the_past"),
        ("tomorrow", "datetime"),
        (f"{day}", "datetime"),
    ):
        assert ask(call, "schedule_callback", at=wrong)["error"]["code"] == code


# --- knowledge ---


def test_search_cites() -> None:
    call = a_call()
    knowledge.put(call.workspace, "Price list", "# Discounts\nNonprofits get 30 percent off.")
    [found] = ask(call, "search_knowledge", query="nonprofit discount")["results"]
    assert (found["document"], found["heading"]) == ("Price list", "Discounts")
    assert ask(call, "search_knowledge", query="zebra")["results"] == []


# --- calendar ---


def test_list_and_book() -> None:
    call = a_call()
    listed = ask(call, "list_free_slots", days=5)
    assert listed["time_zone"] == "America/Los_Angeles"
    slot = listed["slots"][0]
    booked = ask(call, "book_meeting", slot_id=slot["slot_id"], notes="demo")
    assert booked["booked"] is True
    assert (booked["starts_at"], booked["spoken"]) == (slot["starts_at"], slot["spoken"])
    meeting = Meeting.objects.get()
    assert (str(meeting.pk), meeting.call_id, meeting.lead_id) == (booked["event_id"], call.pk, call.lead_id)
    again = ask(call, "book_meeting", slot_id=slot["slot_id"])
    assert again["event_id"] == booked["event_id"]
    other = ask(call, "book_meeting", slot_id=listed["slots"][1]["slot_id"])
    assert other["error"]["code"] == "already_booked"
    assert other["error"]["meeting"]["spoken"] == slot["spoken"]


def test_invented_and_foreign_slots_are_refused() -> None:
    call = a_call()
    slot = ask(call, "list_free_slots")["slots"][0]["slot_id"]
    other = rows.call(call.workspace, agent=call.agent_version)
    for call_, slot_id in ((call, "slot-1-1e-aaaa"), (call, slot[:-1] + "z"), (other, slot), (call, "9am")):
        assert ask(call_, "book_meeting", slot_id=slot_id)["error"]["code"] == "unknown_slot"
    assert not Meeting.objects.exists()


def test_a_taken_slot_comes_with_alternatives() -> None:
    call = a_call()
    other = rows.call(call.workspace, agent=call.agent_version, lead=call.lead)
    slot = ask(call, "list_free_slots")["slots"][0]
    SlotHold.objects.all().delete()  # the caller has thought for too long
    same = next(
        item for item in ask(other, "list_free_slots")["slots"] if item["starts_at"] == slot["starts_at"]
    )
    assert ask(other, "book_meeting", slot_id=same["slot_id"])["booked"]
    refused = ask(call, "book_meeting", slot_id=slot["slot_id"])["error"]
    assert refused["code"] == "slot_taken"
    assert slot["starts_at"] not in [item["starts_at"] for item in refused["alternatives"]]
    assert ask(call, "book_meeting", slot_id=refused["alternatives"][0]["slot_id"])["booked"]


def test_dates() -> None:
    call = a_call()
    day = (timezone.now() + timedelta(days=10)).date()
    listed = ask(call, "list_free_slots", from_date=str(day), days=1)
    assert listed["slots"]
    assert all(item["starts_at"] >= str(day) for item in listed["slots"])
    assert ask(call, "list_free_slots", from_date="someday")["error"]["code"] == "date"
    assert ask(call, "list_free_slots", from_date="2999-01-01")["error"]["code"] == "too_far"
    assert ask(call, "list_free_slots", days=400)["error"]["code"] == "bad_arguments"
    assert ask(call, "list_free_slots", days="5")["error"]["code"] == "bad_arguments", "strict: no text"


def test_a_slot_is_offered_in_one_call_at_a_time() -> None:
    call = a_call()
    calendar = Calendar.objects.get()
    Calendar.objects.filter(pk=calendar.pk).update(
        hours={str(day): [["09:00", "17:00"]] for day in range(1, 8)}
    )
    others = [rows.call(call.workspace, agent=call.agent_version, lead=call.lead) for _ in range(2)]
    offered = [
        {slot["starts_at"] for slot in ask(one, "list_free_slots")["slots"]} for one in (call, *others)
    ]
    assert all(offered)
    assert not offered[0] & offered[1]
    assert not (offered[0] | offered[1]) & offered[2]
    # Asked again, a call may be offered the same times: nobody else was.
    assert {slot["starts_at"] for slot in ask(call, "list_free_slots")["slots"]} == offered[0]
    # The end of a call gives its times back.
    calls.end(call.pk, EndReason.CALLER_HANGUP)
    assert {slot["starts_at"] for slot in ask(others[1], "list_free_slots")["slots"]} == offered[0]


def test_when_nothing_else_is_left_it_is_offered_twice_and_booked_once() -> None:
    call = a_call()
    tomorrow = (timezone.now() + timedelta(days=1)).date()
    hours = {str(tomorrow.isoweekday()): [["09:00", "10:00"]]}
    Calendar.objects.update(hours=hours, slot_minutes=60, horizon_days=6)
    other = rows.call(call.workspace, agent=call.agent_version, lead=call.lead)
    slots = [ask(one, "list_free_slots")["slots"] for one in (call, other)]
    assert [one["starts_at"] for one in slots[0]] == [one["starts_at"] for one in slots[1]]
    assert ask(other, "book_meeting", slot_id=slots[1][0]["slot_id"])["booked"]
    refused = ask(call, "book_meeting", slot_id=slots[0][0]["slot_id"])["error"]
    assert (refused["code"], refused["alternatives"]) == ("slot_taken", [])


def test_the_callers_meeting_is_moved_and_canceled() -> None:
    call = a_call()
    slots = ask(call, "list_free_slots")["slots"]
    booked = ask(call, "book_meeting", slot_id=slots[0]["slot_id"])
    known = ask(call, "lookup_lead")["meetings"]
    assert [one["event_id"] for one in known] == [booked["event_id"]]
    moved = ask(call, "reschedule_meeting", slot_id=slots[1]["slot_id"])
    assert (moved["moved"], moved["event_id"]) == (True, booked["event_id"])
    assert moved["starts_at"] == slots[1]["starts_at"]
    # Another call of the same person, later.
    later = rows.call(call.workspace, agent=call.agent_version, lead=call.lead)
    canceled = ask(later, "cancel_meeting")
    assert (canceled["canceled"], canceled["was"]) == (True, slots[1]["spoken"])
    assert ask(later, "cancel_meeting")["error"]["code"] == "meeting_over"
    told = list(Event.objects.filter(type__startswith="meeting.").values_list("type", flat=True))
    assert sorted(told) == ["meeting.booked", "meeting.canceled", "meeting.rescheduled"]


def test_nobody_elses_meeting_can_be_touched() -> None:
    call = a_call()
    slot = ask(call, "list_free_slots")["slots"][0]
    theirs = ask(call, "book_meeting", slot_id=slot["slot_id"])["event_id"]
    stranger = rows.lead(call.workspace, phone="+14155550102")
    other = rows.call(call.workspace, agent=call.agent_version, lead=stranger)
    mine = ask(other, "list_free_slots")["slots"][0]
    for event_id in (None, theirs):
        named = {"event_id": event_id} if event_id else {}
        assert ask(other, "cancel_meeting", **named)["error"]["code"] == "meeting_over"
        refused = ask(other, "reschedule_meeting", slot_id=mine["slot_id"], **named)
        assert refused["error"]["code"] == "meeting_over"
    assert Meeting.objects.get().status == "booked"


def test_of_several_meetings_it_is_asked_which_one() -> None:
    call = a_call()
    lead = call.lead
    ids = []
    for _ in range(2):
        one = rows.call(call.workspace, agent=call.agent_version, lead=lead)
        slot = ask(one, "list_free_slots")["slots"][0]
        ids.append(ask(one, "book_meeting", slot_id=slot["slot_id"])["event_id"])
    asked = ask(call, "cancel_meeting")["error"]
    assert asked["code"] == "several_meetings"
    assert {one["event_id"] for one in asked["meetings"]} == set(ids)
    assert ask(call, "cancel_meeting", event_id=ids[1])["canceled"]
    assert Meeting.objects.get(status="booked").pk == uuid.UUID(ids[0])


def test_no_calendar() -> None:
    call = rows.call(rows.workspace())
    assert ask(call, "list_free_slots")["error"]["code"] == "no_calendar"


# --- the call itself ---


def test_transfer_goes_where_the_workspace_says() -> None:
    call = a_call()
    result = registry.run(call.pk, "t1", "transfer_to_human", '{"reason": "wants a person"}')
    assert (result.effect, result.effect_data["number"]) == ("transfer", "+14155550777")
    assert "+1415" not in result.output_json
    again = registry.run(call.pk, "t1", "transfer_to_human", "{}")
    assert alike(again, result)
    bad = registry.run(call.pk, "t2", "transfer_to_human", '{"reason": "x", "to": "+19005550000"}')
    assert (bad.ok, bad.effect) == (False, "none")


def test_transfer_falls_back_to_the_number_and_else_says_no() -> None:
    call = rows.call(rows.workspace())
    assert ask(call, "transfer_to_human")["error"]["code"] == "no_transfer_target"
    assert call.number
    call.number.fallback_number = "+14155550888"
    call.number.save()
    assert registry.run(call.pk, "t", "transfer_to_human", "{}").effect_data["number"] == "+14155550888"


# --- whatever the model sends ---


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("end_call", "{", "bad_json"),
        ("end_call", "[" * 100_000, "bad_arguments"),
        ("end_call", "[" * 10_000, "bad_json"),
        ("end_call", '"text"', "bad_arguments"),
        ("end_call", "null", "bad_arguments"),
        ("end_call", '{"reason": 5}', "bad_arguments"),
        ("end_call", '{"reason": "x", "extra": 1}', "bad_arguments"),
        ("end_call", '{"reason": ' + "9" * 5000 + "}", "bad_json"),
        ("drop_tables", "{}", "unknown_tool"),
        ("", "{}", "unknown_tool"),
        ("x" * 500, "{}", "unknown_tool"),
        ("a\x00b\ud800", "{}", "unknown_tool"),
    ],
)
def test_nonsense_is_answered(name: str, arguments: str, code: str) -> None:
    call = rows.call(rows.workspace())
    result = registry.run(call.pk, "t1", name, arguments)
    assert json.loads(result.output_json)["error"]["code"] == code
    assert (result.ok, result.effect) == (False, "none")
    assert ToolCall.objects.get().status == ToolStatus.FAILED


def test_text_that_the_database_cannot_hold() -> None:
    call = a_call()
    assert ask(call, "update_lead", fields={"note": "a\x00b\ud800c"})["updated"]
    assert TimelineEntry.objects.get(type="note").data["text"] == "ab\ufffdc"


def test_a_call_that_is_not_there() -> None:
    assert not registry.run(uuid.uuid4(), "t1", "end_call", "{}").ok


def test_tools_that_the_agent_does_not_have() -> None:
    space = rows.workspace()
    call = rows.call(space, agent=rows.version(space, tools=["lookup_lead"]))
    assert ask(call, "lookup_lead") == {"known": False, "note": "This caller is not in the CRM yet."}
    assert ask(call, "schedule_callback", at="2030-01-01T10:00")["error"]["code"] == "unknown_tool"
    assert ask(call, "end_call")["ending"]


def use(monkeypatch: pytest.MonkeyPatch, run: Any) -> None:
    tool = Tool("probe", "A tool for tests.", NoArguments, run, always=True)
    monkeypatch.setitem(catalog.TOOLS, "probe", tool)


def test_a_broken_tool_undoes_what_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    call = a_call()

    def broken(scope: Scope, _: NoArguments) -> Answer:
        Lead.objects.update(first_name="Broken")
        raise ZeroDivisionError

    use(monkeypatch, broken)
    assert ask(call, "probe")["error"]["code"] == "internal_error"
    assert Lead.objects.get().first_name == "Maria"
    assert ToolCall.objects.get().status == ToolStatus.FAILED


@pytest.mark.parametrize(
    "output",
    [
        {"text": "x" * 1_000_000},
        {"items": [{"text": "ä" * 900}] * 60},
        {"items": list(range(50_000))},
        {f"key {index}": "v" * 20 for index in range(2000)},
    ],
)
def test_long_results_are_clipped(monkeypatch: pytest.MonkeyPatch, output: dict[str, Any]) -> None:
    call = a_call()
    use(monkeypatch, lambda scope, _: Answer(output))
    result = registry.run(call.pk, "t1", "probe", "{}")
    assert len(result.output_json.encode()) <= registry.OUTPUT_BYTES
    assert json.loads(result.output_json)["clipped"] is True


def test_the_budget_leaves_the_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BUDGET", 3)
    call = a_call()
    for _ in range(3):
        assert ask(call, "lookup_lead")["known"]
    assert ask(call, "lookup_lead")["error"]["code"] == "budget_exhausted"
    assert ask(call, "end_call")["ending"]
    assert ask(call, "note_opt_out")["opted_out"]
    assert ToolCall.objects.count() == 5
    assert not [ask(call, "end_call") for _ in range(4)][-1].get("ending")


# --- once ---


def alike(one: registry.ToolResult, other: registry.ToolResult) -> bool:
    """The same answer; the order of keys is the database's."""
    first, second = asdict(one), asdict(other)
    return bool(
        json.loads(first.pop("output_json")) == json.loads(second.pop("output_json")) and first == second
    )


def test_the_same_id_again_gets_the_same_answer() -> None:
    call = a_call()
    first = registry.run(call.pk, "t1", "update_lead", '{"fields": {"first_name": "Mary"}}')
    again = registry.run(call.pk, "t1", "update_lead", '{"fields": {"first_name": "Eve"}}')
    assert alike(again, first)
    assert Lead.objects.get().first_name == "Mary"
    types = [
        (line.type, line.data["tool_call_id"]) for line in CallEvent.objects.filter(type__startswith="tool.")
    ]
    assert types == [("tool.started", "t1"), ("tool.finished", "t1")]


def test_given_up_too_late_gives_the_answer() -> None:
    call = a_call()
    done = registry.run(call.pk, "t1", "end_call", "{}")
    assert alike(registry.time_out(call.pk, "t1"), done)


@pytest.mark.django_db(transaction=True)
def test_a_slow_tool_given_up_by_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    call = a_call()

    def slow(scope: Scope, _: NoArguments) -> Answer:
        Lead.objects.update(first_name="Late")
        time.sleep(0.6)
        return Answer({"done": True})

    def give_up() -> registry.ToolResult:
        time.sleep(0.3)
        return registry.time_out(call.pk, "t1")

    use(monkeypatch, slow)
    ran, given_up = rows.together(lambda: registry.run(call.pk, "t1", "probe", "{}"), give_up)
    assert alike(ran, given_up)
    assert not ran.ok
    assert Lead.objects.get().first_name == "Maria"
    assert ToolCall.objects.get().status == ToolStatus.TIMED_OUT


@pytest.mark.django_db(transaction=True)
def test_one_id_run_by_many_at_once_books_once() -> None:
    call = a_call()
    slot = ask(call, "list_free_slots")["slots"][0]["slot_id"]
    arguments = json.dumps({"slot_id": slot})
    results = rows.together(*[lambda: registry.run(call.pk, "t1", "book_meeting", arguments)] * 6)
    assert all(result.ok and alike(result, results[0]) for result in results)
    assert Meeting.objects.count() == 1
    assert Event.objects.filter(type="meeting.booked").count() == 1
    assert CallEvent.objects.filter(type="tool.started", data__tool_call_id="t1").count() == 1


@pytest.mark.django_db(transaction=True)
def test_tools_journal_and_the_end_of_the_call_do_not_block_each_other() -> None:
    call = rows.call(rows.workspace(), from_number="+14155550199")
    rows.calendar(call.workspace)

    def tool(index: int) -> registry.ToolResult:
        return registry.run(
            call.pk, f"t{index}", "update_lead", json.dumps({"fields": {"title": f"T{index}"}})
        )

    jobs = [lambda index=index: tool(index) for index in range(6)]
    results = rows.together(*jobs, lambda: calls.end(call.pk, EndReason.CALLER_HANGUP))
    assert not [result for result in results if isinstance(result, Exception)]
    codes = {json.loads(result.output_json).get("error", {}).get("code") for result in results[:-1]}
    assert codes <= {None, "call_over"}
    assert Call.objects.get().status == CallStatus.ENDED


def test_times_are_told_without_a_question_each() -> None:
    """The call's calendar is looked up once a step, whatever the number of times that are offered."""
    call = a_call()
    with CaptureQueriesContext(connection) as asked:
        told = ask(call, "list_free_slots", days=7)
    assert len(told["slots"]) == 9
    looked_up = [one["sql"] for one in asked.captured_queries if 'FROM "crm_calendar"' in one["sql"]]
    assert len(looked_up) == 3  # ahead of the transaction, in it, and its lock
