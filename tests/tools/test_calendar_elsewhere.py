"""Tools in a call whose calendar is on a real CalDAV server, when that is well, slow, away."""

import json
import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from crm.calendars.availability import Period
from crm.models import Calendar, CalendarAccount, FollowUp, Meeting, MeetingStatus
from crm.selectors import calendars as read
from crm.services import connectors, meeting_sync
from tenex.errors import NotFound
from tenex.events.models import Event
from tests import rows
from tests.crm import connected
from tests.crm.connected import impatient, theirs, tomorrow
from tests.rig import radicale
from tests.rig.fault_proxy import Fault, FaultProxy, in_front_of
from tests.rig.radicale import Radicale
from voice.models import Call, EndReason, ToolCall, ToolStatus, Verdict
from voice.postcall import judge, verdict
from voice.postcall import meeting as meeting_step
from voice.postcall.judge import Judgment
from voice.services import calls
from voice.tools import calendar as tool
from voice.tools import registry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def proxy(caldav_server: Radicale) -> Iterator[FaultProxy]:
    with in_front_of(caldav_server.port, lambda *_: Fault()) as proxy:
        yield proxy


@pytest.fixture
def call(proxy: FaultProxy, caldav_server: Radicale) -> Call:
    """With Maria, whose address is known."""
    space = rows.workspace()
    calendar = connected.caldav(space, caldav_server, is_default=True, time_zone="UTC")
    connectors.update(calendar, {"url": proxy.url, "password": radicale.PASSWORD}, actor="test")
    connectors.update(calendar, {"address": f"{proxy.url}{radicale.USER}/work/"}, actor="test")
    lead = rows.lead(space, email="maria@example.com", time_zone="UTC")
    return rows.call(space, lead=lead)


def ask(call: Call, name: str, **arguments: Any) -> dict[str, Any]:
    result = registry.run(call.pk, uuid.uuid4().hex, name, json.dumps(arguments))
    answer: dict[str, Any] = json.loads(result.output_json)
    assert result.ok == ("error" not in answer)
    return answer


def test_list_book_move_cancel(call: Call, caldav_server: Radicale) -> None:
    caldav_server.put(theirs(tomorrow(0, 0, 24 * 60)), name="tomorrow")
    slots = ask(call, "list_free_slots", from_date=f"{tomorrow().starts_at:%Y-%m-%d}", days=2)["slots"]
    day_after = f"{tomorrow().starts_at + timedelta(days=1):%Y-%m-%d}"
    assert {slot["starts_at"][:10] for slot in slots} == {day_after}, "tomorrow is taken"
    booked = ask(call, "book_meeting", slot_id=slots[0]["slot_id"], notes="Prices")
    assert booked["booked"] is True
    assert "e-mail" in booked["invitation"]
    assert {str(event["UID"]) for event in caldav_server.events()} == {
        "theirs@example.com",
        Meeting.objects.get(pk=booked["event_id"]).uid,
    }
    assert ask(call, "reschedule_meeting", slot_id=slots[1]["slot_id"])["moved"] is True
    assert ask(call, "cancel_meeting")["canceled"] is True
    meeting_sync.settle(uuid.UUID(booked["event_id"]), late=True)
    assert len(caldav_server.events()) == 1


def test_taken_meanwhile_comes_with_alternatives(call: Call, caldav_server: Radicale) -> None:
    slot = ask(call, "list_free_slots")["slots"][0]
    start = datetime.fromisoformat(slot["starts_at"])
    caldav_server.put(theirs(Period(start, start + timedelta(minutes=30))))
    refused = ask(call, "book_meeting", slot_id=slot["slot_id"])["error"]
    assert refused["code"] == "slot_taken"
    starts = [one["starts_at"] for one in refused["alternatives"]]
    assert starts
    assert slot["starts_at"] not in starts
    assert ask(call, "book_meeting", slot_id=refused["alternatives"][0]["slot_id"])["booked"] is True


def test_away_it_is_said_and_a_wish_is_kept_and_booked_after_the_call(
    call: Call, proxy: FaultProxy, caldav_server: Radicale
) -> None:
    proxy.choose = lambda *_: Fault("dropped")
    began = time.monotonic()
    answers = [ask(call, "list_free_slots")["error"] for _ in range(4)]
    assert {one["code"] for one in answers} == {"calendar_unavailable"}
    assert "note_preferred_time" in answers[0]["message"]
    assert time.monotonic() - began < 5
    at = tomorrow(15, 10).starts_at
    noted = ask(call, "note_preferred_time", at=at.isoformat(), notes="Prices")
    assert (noted["noted"], noted["booked"]) == (True, False)
    assert FollowUp.objects.get().kind == "meeting"
    calls.end(call.pk, EndReason.CALLER_HANGUP)
    with pytest.raises(meeting_step.Unsettled):
        meeting_step.settle(call.pk, last_try=False)
    assert meeting_step.settle(call.pk, last_try=True)["settled"] is False
    proxy.choose = lambda *_: Fault()
    CalendarAccount.objects.update(open_until=None)
    assert meeting_step.settle(call.pk, last_try=False)["settled"] is True
    meeting = Meeting.objects.get()
    assert (meeting.status, meeting.starts_at) == (MeetingStatus.BOOKED, at)
    assert [str(event["UID"]) for event in caldav_server.events()] == [meeting.uid]


def test_a_lost_answer_is_not_called_booked(call: Call, proxy: FaultProxy, caldav_server: Radicale) -> None:
    slot = ask(call, "list_free_slots")["slots"][0]
    proxy.choose = lambda method, _: Fault("lost" if method == "PUT" else "pass")
    answer = ask(call, "book_meeting", slot_id=slot["slot_id"])
    assert (answer["booked"], answer["pending"]) == (False, True)
    assert "follows by e-mail" in answer["note"]
    assert not Event.objects.filter(type="meeting.booked").exists()
    assert len(caldav_server.events()) == 1, "it is there, and we do not know"
    proxy.choose = lambda *_: Fault()
    Meeting.objects.update(sync_at=timezone.now())
    assert meeting_sync.due()
    meeting_sync.settle(meeting_sync.due()[0], late=True)
    assert Event.objects.filter(type="meeting.booked").count() == 1
    assert ask(call, "book_meeting", slot_id=slot["slot_id"])["booked"] is True, "asked again, it is booked"


def test_a_tool_that_ran_out_of_time_says_what_is_true(
    call: Call, proxy: FaultProxy, caldav_server: Radicale, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread hangs after the calendar was asked; the deadline gives it up in its row."""
    slot = ask(call, "list_free_slots")["slots"][0]
    said: list[str] = []
    real = meeting_sync.settle

    def hang(meeting_id: uuid.UUID, **options: Any) -> Meeting:
        found = real(meeting_id, **options)
        said.append(registry.time_out(call.pk, "slow").output_json)
        return found

    monkeypatch.setattr(meeting_sync, "settle", hang)
    late = registry.run(call.pk, "slow", "book_meeting", json.dumps({"slot_id": slot["slot_id"]}))
    answer = json.loads(said[0])["error"]
    assert answer["code"] == "not_confirmed"
    assert "follows by e-mail" in answer["message"]
    assert json.loads(late.output_json)["error"]["code"] == "not_confirmed", "the same, whoever asks"
    assert ToolCall.objects.get(tool_call_id="slow").status == ToolStatus.TIMED_OUT
    assert Meeting.objects.get().status == MeetingStatus.BOOKED
    assert Event.objects.filter(type="meeting.booked").count() == 1


def test_given_up_before_anything_was_begun_nothing_is(
    call: Call, proxy: FaultProxy, caldav_server: Radicale, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot = ask(call, "list_free_slots")["slots"][0]
    real = tool._of_id

    def hang(*arguments: Any) -> Any:
        if ToolCall.objects.filter(tool_call_id="slow", status=ToolStatus.RUNNING).exists():
            given_up = json.loads(registry.time_out(call.pk, "slow").output_json)["error"]
            assert given_up["code"] == "timeout"
            assert "not done" in given_up["message"]
        return real(*arguments)

    monkeypatch.setattr(tool, "_of_id", hang)
    registry.run(call.pk, "slow", "book_meeting", json.dumps({"slot_id": slot["slot_id"]}))
    assert not Meeting.objects.exists()
    assert caldav_server.events() == []


def test_a_slow_calendar_costs_less_than_the_deadline(call: Call, proxy: FaultProxy) -> None:
    slot = ask(call, "list_free_slots")["slots"][0]
    with impatient(1.0):
        proxy.choose = lambda method, _: Fault("late", seconds=3.0)
        began = time.monotonic()
        answer = ask(call, "book_meeting", slot_id=slot["slot_id"])
        assert time.monotonic() - began < 2.5
    assert answer["pending"] is True


def test_a_dry_run_writes_nothing_there(proxy: FaultProxy, call: Call, caldav_server: Radicale) -> None:
    Call.objects.filter(pk=call.pk).update(is_test=True)
    slots = ask(call, "list_free_slots")["slots"]
    answer = ask(call, "book_meeting", slot_id=slots[0]["slot_id"])
    assert (answer["booked"], answer["dry_run"]) == (True, True)
    assert caldav_server.events() == []
    assert not Meeting.objects.exists()


@pytest.mark.parametrize(
    ("state", "flagged"),
    [
        (MeetingStatus.REQUESTED, True),
        (MeetingStatus.BOOKING, True),
        (MeetingStatus.FAILED, True),
        (MeetingStatus.CANCELED, True),
        (MeetingStatus.BOOKED, False),
    ],
)
def test_whoever_says_booked_is_checked_against_what_is(
    call: Call, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, state: str, flagged: bool
) -> None:
    slot = ask(call, "list_free_slots")["slots"][0]
    booked = ask(call, "book_meeting", slot_id=slot["slot_id"])
    Meeting.objects.update(status=state, join_url="https://meet.example/abc")
    rows.say(call, ("caller", "Tuesday is fine."), ("agent", "Great, your meeting is booked."))
    rows.end(call)
    monkeypatch.setattr(judge, "judge", _no_opinion)
    verdict.settle(call.pk, last_try=True)
    found = Verdict.objects.get(call=call)
    claims = [reason for reason in found.reasons if "said that a meeting was booked" in reason]
    assert bool(claims) is flagged
    if flagged:
        assert found.meeting is None
    else:
        assert found.meeting
        assert found.meeting["event_id"] == booked["event_id"]
        assert found.meeting["join_url"] == "https://meet.example/abc"


def test_a_call_that_moved_a_meeting_may_say_so(
    call: Call, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = ask(call, "list_free_slots")["slots"]
    ask(call, "book_meeting", slot_id=slots[0]["slot_id"])
    later = rows.call(call.workspace, agent=call.agent_version, lead=call.lead)
    slots = ask(later, "list_free_slots")["slots"]
    assert ask(later, "reschedule_meeting", slot_id=slots[3]["slot_id"])["moved"] is True
    rows.say(later, ("caller", "Friday, please."), ("agent", "Done, your meeting is scheduled for Friday."))
    rows.end(later)
    monkeypatch.setattr(judge, "judge", _no_opinion)
    verdict.settle(later.pk, last_try=True)
    found = Verdict.objects.get(call=later)
    assert found.meeting is None, "the other call booked it"
    assert not [reason for reason in found.reasons if "said that a meeting was booked" in reason]


def test_a_booking_that_fails_when_nobody_listens_any_more_is_for_a_person(
    call: Call, proxy: FaultProxy, caldav_server: Radicale, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent has said that a confirmation follows."""
    slot = ask(call, "list_free_slots")["slots"][0]
    start = datetime.fromisoformat(slot["starts_at"])
    caldav_server.put(theirs(Period(start, start + timedelta(minutes=30))))
    real = meeting_sync.settle

    def slowly(meeting_id: uuid.UUID, **options: Any) -> Meeting:
        assert "not_confirmed" in registry.time_out(call.pk, "slow").output_json
        return real(meeting_id, **options)

    monkeypatch.setattr(meeting_sync, "settle", slowly)
    registry.run(call.pk, "slow", "book_meeting", json.dumps({"slot_id": slot["slot_id"]}))
    assert Meeting.objects.get().status == MeetingStatus.FAILED
    promised = FollowUp.objects.get()
    assert (promised.kind, promised.call_id) == ("meeting", call.pk)


def _no_opinion(*_: Any) -> Any:
    return Judgment(failure="quote")


def test_a_calendar_that_was_deleted_is_none_any_more(call: Call, caldav_server: Radicale) -> None:
    calendar = Calendar.objects.get()
    connectors.archive(calendar, actor="test")
    assert ask(call, "list_free_slots")["error"]["code"] == "no_calendar"
    with pytest.raises(NotFound):
        read.get(calendar.workspace_id, calendar.pk)
