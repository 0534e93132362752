"""From `ended` to `finalized`: once, whatever breaks on the way."""

import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings as live
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from crm.models import Lead, TimelineEntry
from crm.services import suppressions
from tenex.events.models import Event
from tenex.lib import failpoint
from tests import rows
from tests.postcall.responses_server import ResponsesServer, opinion
from tests.postcall.test_recording import WAV, giving, note
from voice.models import (
    Call,
    CallStatus,
    EndReason,
    Finalization,
    FinalizationStep,
    SessionStatus,
    ToolCall,
    ToolStatus,
    Turn,
    Verdict,
    VoiceSession,
)
from voice.postcall import pipeline, recording

pytestmark = pytest.mark.django_db

LINES = (
    ("agent", "Do you have a budget?"),
    ("caller", "Yes, two thousand dollars."),
)
STEPS = ("transcript", "questions", "meeting", "verdict", "recording", "write_back", "callback", "complete")


def a_call(*, with_lead: bool = True, end: EndReason = EndReason.CALLER_HANGUP, **fields: Any) -> Call:
    space = rows.workspace()
    lead = rows.lead(space) if with_lead else None
    call = rows.call(space, lead=lead, **fields)
    rows.say(call, *LINES)
    return rows.end(call, end)


def ready(call: Call) -> None:
    """As if its back-off and lease had passed."""
    Finalization.objects.filter(call=call).update(next_at=None, lease_until=None)


def told(call: Call, type_: str) -> list[Event]:
    return list(Event.objects.filter(type=type_, call_id=call.pk))


def check_once(call: Call, outcome: str = "qualified") -> None:
    """Everything that must have happened exactly once."""
    call.refresh_from_db()
    assert (call.status, call.outcome) == (CallStatus.FINALIZED, outcome)
    assert Verdict.objects.filter(call=call).count() == 1
    assert TimelineEntry.objects.filter(call_id=call.pk, type="call.verdict").count() == 1
    assert len(told(call, "agent.run.completed")) == 1
    assert len(told(call, "transcript.available")) == 1
    assert len(told(call, "lead.updated")) == 1
    assert [
        event.data["sequence"] for event in Event.objects.filter(call_id=call.pk).order_by("seq")
    ] == list(range(1, Event.objects.filter(call_id=call.pk).count() + 1))
    assert set(
        FinalizationStep.objects.filter(finalization_id=call.pk).values_list("name", flat=True)
    ) == set(STEPS)
    assert Finalization.objects.get(call=call).finished_at


def test_a_whole_call(judge: ResponsesServer) -> None:
    call = a_call()
    assert pipeline.finalize(call.pk)
    assert not pipeline.finalize(call.pk)
    check_once(call)
    assert call.lead
    lead = Lead.objects.get(pk=call.lead.pk)
    assert (lead.stage, lead.qualification, lead.last_outcome) == ("qualified", "qualified", "qualified")
    assert lead.last_call_at == call.answered_at
    [event] = told(call, "agent.run.completed")
    assert set(event.data) >= {
        "run_id", "agent_slug", "status", "call_id", "batch_id", "lead_id", "outcome", "verdict",
        "summary", "recording_url", "transcript_url", "sequence",
    }  # fmt: skip
    assert (event.data["agent_slug"], event.data["status"]) == ("ava", "success")
    assert event.data["lead_id"] == str(lead.pk)
    assert event.data["recording_url"] is None
    assert event.data["verdict"]["criteria"][0]["evidence"]["item_id"] == "item_1"
    [changes] = [event.data["changes"] for event in told(call, "lead.updated")]
    assert set(changes) == {"last_call_at", "last_outcome", "qualification", "stage"}


def test_a_call_that_is_not_over_is_left_alone(judge: ResponsesServer) -> None:
    call = rows.call(rows.workspace())
    assert not pipeline.finalize(call.pk)
    call.refresh_from_db()
    assert call.status == CallStatus.IN_PROGRESS


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_break_anywhere_is_healed(judge: ResponsesServer, step: str, when: str) -> None:
    call = a_call()
    failpoint.arm(f"finalize.{step}.{when}:raise")
    assert pipeline.finalize(call.pk) is (False)
    ready(call)
    pipeline.finalize(call.pk)
    if step == "complete" and when == "after":
        # Done, but for the row that says so: the call is finalized and nobody may begin again.
        FinalizationStep.objects.get_or_create(
            finalization_id=call.pk, name="complete", defaults={"done_at": timezone.now()}
        )
    check_once(call)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step", ["verdict.after", "write_back.after", "complete.before"])
def test_kill_9_in_the_middle(judge: ResponsesServer, step: str) -> None:
    call = a_call()
    child = _finalize_elsewhere(call, failpoint_=f"finalize.{step}:kill")
    assert child == -signal.SIGKILL
    call.refresh_from_db()
    assert call.status == CallStatus.FINALIZING
    assert not pipeline.finalize(call.pk), "the dead worker's lease still runs"
    Finalization.objects.filter(call=call).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert pipeline.due() == [call.pk]
    assert pipeline.finalize(call.pk)
    check_once(call)


def _finalize_elsewhere(call: Call, *, failpoint_: str) -> int:
    """Finalize in another process that dies at a failpoint; its return code."""
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    code = (
        "import sys, uuid, django; django.setup();"
        "from tenex.lib import failpoint; from voice.postcall import pipeline;"
        f"failpoint.arm({failpoint_!r}); pipeline.finalize(uuid.UUID(sys.argv[1]))"
    )
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tenex.settings",
        "DATABASE_URL": url,
        "DEBUG": "1",
        "OPENAI_BASE_URL": live.OPENAI_BASE_URL,
        "OPENAI_API_KEY": "sk-test",
    }
    done = subprocess.run(
        [sys.executable, "-c", code, str(call.pk)],
        env=environment,
        cwd=live.BASE_DIR,
        check=False,
        timeout=60,
    )
    return done.returncode


@pytest.mark.django_db(transaction=True)
def test_finalizers_at_once(judge: ResponsesServer) -> None:
    call = a_call()
    results = rows.together(*[lambda: pipeline.finalize(call.pk)] * 5)
    assert sorted(results) == [False] * 4 + [True]
    check_once(call)
    assert len(judge.requests) == 1


@pytest.mark.django_db(transaction=True)
def test_a_lease_that_ran_out_under_a_living_worker(
    judge: ResponsesServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several workers in the same steps at the same time: still once."""
    monkeypatch.setattr(pipeline, "_lease", lambda _: nullcontext())
    settings.FINALIZE_LEASE_S = 0.001
    call = a_call()
    rows.together(*[lambda: pipeline.finalize(call.pk)] * 4)
    Finalization.objects.filter(call=call, finished_at=None).update(next_at=None, lease_until=None)
    pipeline.finalize(call.pk)
    check_once(call)


def test_the_model_is_away_for_a_while(judge: ResponsesServer) -> None:
    judge.answer = lambda case, _: 503
    call = a_call()
    for _ in range(2):
        assert not pipeline.finalize(call.pk)
        assert pipeline.due() == []
        ready(call)
    assert pipeline.due() == [call.pk]
    judge.answer = lambda case, _: opinion(case)
    assert pipeline.finalize(call.pk)
    check_once(call)


def test_the_model_is_away_for_good(judge: ResponsesServer) -> None:
    judge.answer = lambda case, _: 503
    call = a_call()
    for _ in range(pipeline.MAX_TRIES):
        pipeline.finalize(call.pk)
        ready(call)
    check_once(call, "undetermined")
    assert Verdict.objects.get().needs_review


def test_a_broken_step_does_not_hold_the_call_for_ever(
    judge: ResponsesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("voice.postcall.verdict.settle", broken)
    call = a_call()
    for _ in range(12):
        assert not Event.objects.filter(type="agent.run.completed").exists()
        pipeline.finalize(call.pk)
        ready(call)
    call.refresh_from_db()
    assert (call.status, call.outcome) == (CallStatus.FINALIZED, "undetermined")


def test_the_sweep_takes_what_was_never_begun(judge: ResponsesServer) -> None:
    call = a_call()
    live_call = rows.call(call.workspace, agent=call.agent_version)
    fresh = rows.end(rows.call(call.workspace, agent=call.agent_version), ago_s=0)
    assert pipeline.due() == [call.pk]
    assert live_call.pk != fresh.pk


# --- what kinds of calls there are ---


def test_no_answer(judge: ResponsesServer) -> None:
    space = rows.workspace()
    lead = rows.lead(space)
    call = rows.call(
        space, lead=lead, direction="outbound", status="ringing", answered_at=None, to_number="+14155550101"
    )
    rows.end(call, EndReason.NO_ANSWER)
    assert pipeline.finalize(call.pk)
    call.refresh_from_db()
    lead.refresh_from_db()
    assert (call.outcome, lead.last_outcome, lead.stage) == ("no-answer", "no-answer", "new")
    [event] = told(call, "agent.run.completed")
    assert (event.data["verdict"], event.data["transcript_url"]) == (None, None)
    assert not judge.requests


def test_opted_out(judge: ResponsesServer) -> None:
    call = a_call(end=EndReason.AGENT_HANGUP)
    suppressions.add(call.workspace_id, call.from_number, source="call", call_id=call.pk)
    assert pipeline.finalize(call.pk)
    call.refresh_from_db()
    assert call.outcome == "opted-out"
    assert not Verdict.objects.exists()


def test_a_stranger_who_talked_is_kept(judge: ResponsesServer) -> None:
    judge.answer = lambda case, _: opinion(case, qualification="unqualified")
    call = a_call(with_lead=False, from_number="+14155550199")
    assert pipeline.finalize(call.pk)
    call.refresh_from_db()
    assert call.lead
    assert (call.lead.phone, call.lead.last_outcome) == ("+14155550199", "unqualified")
    assert call.lead.stage == "contacted"


@pytest.mark.parametrize("number", ["anonymous", "sip:bob@example.com", ""])
def test_a_withheld_number_makes_no_lead(judge: ResponsesServer, number: str) -> None:
    call = a_call(with_lead=False, from_number=number)
    assert pipeline.finalize(call.pk)
    assert not Lead.objects.exists()
    assert len(told(call, "agent.run.completed")) == 1


# --- transcript ---


def test_the_transcript_is_closed(judge: ResponsesServer) -> None:
    call = a_call()
    common = {"workspace": call.workspace, "call": call, "status": "in_progress"}
    Turn.objects.create(
        **common, item_id="cut", previous_item_id="item_1", position=9, speaker="agent",
        text="Shall we book a", heard_text="Shall we", start_ms=5000,
    )  # fmt: skip
    Turn.objects.create(
        **common, item_id="lost", previous_item_id="cut", position=3, speaker="caller", start_ms=4000
    )
    assert pipeline.finalize(call.pk)
    turns = list(Turn.objects.filter(call=call).order_by("position"))
    assert [turn.item_id for turn in turns] == ["item_0", "item_1", "cut", "lost"]
    assert [turn.position for turn in turns] == [0, 1, 2, 3]
    assert [turn.status for turn in turns] == ["completed", "completed", "completed", "failed"]
    assert turns[2].interrupted
    assert (turns[2].revision, turns[0].revision) == (2, 1)
    assert all(turn.end_ms is not None for turn in turns)


def test_what_the_live_session_left_open_is_closed(judge: ResponsesServer) -> None:
    call = a_call()
    ToolCall.objects.create(workspace=call.workspace, call=call, tool_call_id="t", name="book_meeting")
    VoiceSession.objects.create(workspace=call.workspace, call=call, status=SessionStatus.OPEN)
    assert pipeline.finalize(call.pk)
    assert ToolCall.objects.get().status == ToolStatus.TIMED_OUT
    assert VoiceSession.objects.get().status == SessionStatus.FAILED


@pytest.mark.django_db(transaction=True)
def test_the_last_words_are_waited_for(judge: ResponsesServer) -> None:
    space = rows.workspace(recording_consent="off")
    call = rows.call(space, lead=rows.lead(space))
    session = VoiceSession.objects.create(workspace=space, call=call, status=SessionStatus.OPEN)
    rows.end(call, ago_s=0)

    def live_session() -> None:
        time.sleep(0.5)
        rows.say(call, *LINES)
        VoiceSession.objects.filter(pk=session.pk).update(status=SessionStatus.CLOSED)

    finalized, _ = rows.together(lambda: pipeline.finalize(call.pk), live_session)
    assert finalized is True
    assert Verdict.objects.get().qualification == "qualified"


# --- recording ---


def test_a_late_recording_is_attached_and_announced(judge: ResponsesServer, media: Path) -> None:
    call = a_call()
    row = note(call, "in-progress")
    assert pipeline.finalize(call.pk)
    [event] = told(call, "agent.run.completed")
    assert event.data["recording_url"]
    assert not told(call, "recording.available")
    note(call, "completed")
    assert recording.fetch(row.pk, get=giving(WAV))
    [late] = told(call, "recording.available")
    assert late.data["sequence"] > event.data["sequence"]


def test_a_recording_holds_nothing_up_for_long(
    judge: ResponsesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voice.postcall.complete.RECORDING_WAIT_S", 0.5)
    call = a_call()
    Call.objects.filter(pk=call.pk).update(ended_at=timezone.now())
    note(call, "in-progress")
    before = timezone.now()
    assert pipeline.finalize(call.pk)
    assert timedelta(seconds=0.4) < timezone.now() - before < timedelta(seconds=3)
