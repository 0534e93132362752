"""Asking the judge, checking what it says, and never guessing."""

import json
from typing import Any

import pytest
from pytest_django import Settings

from crm.calendars.availability import Period
from crm.services import calendars, follow_ups
from tests import rows
from tests.crm.test_calendars import tomorrow
from tests.postcall.responses_server import ResponsesServer, opinion
from voice.models import Call, EndReason, ToolCall, Verdict
from voice.postcall import verdict
from voice.postcall.judge import ModelUnavailable

pytestmark = pytest.mark.django_db

LINES = (
    ("agent", "Hello, do you have a budget?"),
    ("caller", "Yes, about two thousand dollars a month."),
    ("agent", "And what do you need?"),
    ("caller", "We lose calls at night."),
)


def a_call(*lines: tuple[str, str], reason: EndReason = EndReason.CALLER_HANGUP, **fields: Any) -> Call:
    space = rows.workspace()
    call = rows.call(space, lead=rows.lead(space), objective="Book a demo", **fields)
    rows.say(call, *(lines or LINES))
    return rows.end(call, reason)


def settle(call: Call, *, last_try: bool = False) -> Verdict:
    verdict.settle(call.pk, last_try=last_try)
    return Verdict.objects.get(call=call)


def test_the_question(judge: ResponsesServer) -> None:
    call = a_call()
    ToolCall.objects.create(
        workspace=call.workspace, call=call, tool_call_id="t", name="lookup_lead", output={"known": True}
    )
    settle(call)
    [request] = judge.requests
    assert request["model"]
    assert request["store"] is False
    assert request["text"]["format"]["strict"] is True
    assert "meeting" not in request["text"]["format"]["schema"]["properties"]
    [message] = request["input"]
    case = json.loads(message["content"])
    assert set(case) == {"criteria", "objective", "transcript", "tool_calls", "meeting", "call"}
    assert case["objective"] == "Book a demo"
    assert case["transcript"][1] == {
        "item_id": "item_1",
        "speaker": "caller",
        "text": "Yes, about two thousand dollars a month.",
    }
    assert case["tool_calls"] == [{"name": "lookup_lead", "arguments": {}, "output": {"known": True}}]
    assert set(case["call"]) == {"direction", "answered_by", "duration_ms", "end_reason"}


def test_quotes_are_kept_with_their_place(judge: ResponsesServer) -> None:
    def answer(case: dict[str, Any], _: int) -> dict[str, Any]:
        found = opinion(case)
        found["criteria"][0]["evidence"] = {"quote": "ABOUT two-thousand dollars", "item_id": "item_1"}
        return found

    judge.answer = answer
    found = settle(a_call())
    assert (found.qualification, found.needs_review, found.model) == ("qualified", False, "test-judge")
    assert found.criteria[0] == {
        "name": "budget",
        "met": True,
        "evidence": {"quote": "about two thousand dollars", "item_id": "item_1", "start": 5, "end": 31},
    }


def test_what_was_generated_but_not_heard_is_no_evidence(judge: ResponsesServer) -> None:
    call = a_call()
    turn = call.turns.get(item_id="item_2")
    turn.text, turn.heard_text, turn.interrupted = (
        "And what do you need? You said a million.",
        "And what",
        True,
    )
    turn.save()

    def answer(case: dict[str, Any], _: int) -> dict[str, Any]:
        found = opinion(case)
        found["criteria"][0]["evidence"] = {"quote": "You said a million", "item_id": "item_2"}
        return found

    judge.answer = answer
    assert settle(call).undetermined_because == "evidence-not-found"


def test_one_repair_that_helps(judge: ResponsesServer) -> None:
    def answer(case: dict[str, Any], messages: int) -> dict[str, Any]:
        found = opinion(case)
        if messages == 1:
            found["criteria"][1]["evidence"] = {"quote": "money is no object", "item_id": "item_3"}
        return found

    judge.answer = answer
    found = settle(a_call())
    assert (found.qualification, found.needs_review) == ("qualified", False)
    _, repair = judge.requests
    assert [message["role"] for message in repair["input"]] == ["user", "assistant", "user"]
    assert "money is no object" in repair["input"][2]["content"]


def test_a_quote_that_stays_wrong_takes_its_claim_with_it(judge: ResponsesServer) -> None:
    def answer(case: dict[str, Any], _: int) -> dict[str, Any]:
        found = opinion(case)
        found["criteria"][0]["evidence"] = {"quote": "two thousand", "item_id": "item_3"}
        return found

    judge.answer = answer
    found = settle(a_call())
    assert len(judge.requests) == 2
    assert (found.qualification, found.confidence, found.needs_review) == ("undetermined", 0.0, True)
    assert found.undetermined_because == "evidence-not-found"
    assert [(item["met"], bool(item["evidence"])) for item in found.criteria] == [(None, False), (True, True)]


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("not json", "invalid-output"),
        ("{}", "invalid-output"),
        ('{"qualification": "maybe"}', "invalid-output"),
        ("REFUSE", "refused"),
        (401, "model-rejected: code_401"),
        (404, "model-rejected: code_404"),
        (400, "model-rejected: code_400"),
    ],
)
def test_unusable_answers_are_for_review(judge: ResponsesServer, reply: Any, why: str) -> None:
    judge.answer = lambda case, _: reply
    found = settle(a_call())
    assert (found.qualification, found.undetermined_because, found.needs_review) == (
        "undetermined",
        why,
        True,
    )
    assert [item["met"] for item in found.criteria] == [None, None]
    assert len(judge.requests) == (1 if isinstance(reply, int) else 2)


@pytest.mark.parametrize(
    "change",
    [
        {"confidence": 1.5},
        {"criteria": []},
        {
            "criteria": [
                {"name": "budget", "met": True, "evidence": None},
                {"name": "need", "met": None, "evidence": None},
            ]
        },
    ],
)
def test_answers_that_break_the_rules(judge: ResponsesServer, change: dict[str, Any]) -> None:
    judge.answer = lambda case, _: opinion(case, **change)
    found = settle(a_call())
    assert (found.qualification, found.needs_review) == ("undetermined", True)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_outage_is_tried_again_and_then_settled(judge: ResponsesServer, status: int) -> None:
    judge.answer = lambda case, _: status
    call = a_call()
    with pytest.raises(ModelUnavailable):
        verdict.settle(call.pk, last_try=False)
    assert not Verdict.objects.exists()
    found = settle(call, last_try=True)
    assert found.undetermined_because.startswith("model-unavailable")
    assert found.needs_review


def test_nobody_there(judge: ResponsesServer, settings: Settings) -> None:
    settings.OPENAI_BASE_URL = "http://127.0.0.1:9/v1"
    with pytest.raises(ModelUnavailable):
        verdict.settle(a_call().pk, last_try=False)


def test_without_a_key(judge: ResponsesServer, settings: Settings) -> None:
    settings.OPENAI_API_KEY = ""
    settings.OPENAI_BASE_URL = "https://api.openai.com/v1"  # a server of one's own may need no key
    assert settle(a_call()).undetermined_because == "model-rejected: no OPENAI_API_KEY"
    assert not judge.requests


def test_undetermined_by_the_model_says_why(judge: ResponsesServer) -> None:
    judge.answer = lambda case, _: opinion(case, qualification="undetermined", reasons=["Too short."])
    found = settle(a_call())
    assert (found.undetermined_because, found.needs_review) == ("Too short.", False)


# --- who is not judged ---


def test_silence_is_undetermined_without_asking(judge: ResponsesServer) -> None:
    found = settle(a_call(("agent", "Hello?"), ("caller", "")))
    assert (found.undetermined_because, found.needs_review) == ("nothing-said", False)
    assert not judge.requests


def test_never_connected_machines_and_opt_outs_have_no_verdict(judge: ResponsesServer) -> None:
    space = rows.workspace()
    agent = rows.version(space)
    cases: list[tuple[dict[str, Any], EndReason]] = [
        ({"answered_at": None, "status": "ringing"}, EndReason.NO_ANSWER),
        ({"answered_by": "machine_end_beep"}, EndReason.AGENT_HANGUP),
        ({}, EndReason.MACHINE),
        ({}, EndReason.FAX),
        ({}, EndReason.OPTED_OUT),
    ]
    for fields, reason in cases:
        call = rows.call(space, agent=agent, **fields)
        rows.say(call, *LINES)
        verdict.settle(rows.end(call, reason).pk, last_try=False)
    assert not judge.requests
    assert not Verdict.objects.exists()


# --- the meeting is the calendar's ---


def booked(call: Call, slot: Period) -> str:
    assert call.lead
    calendar = rows.calendar(call.workspace, join_url="https://meet.example.com/a")
    meeting = calendars.book(calendar, slot, call.lead, now=call.created_at, call_id=call.pk)
    return str(meeting.pk)


def test_a_booked_meeting_is_in_the_verdict(judge: ResponsesServer) -> None:
    call = a_call(*LINES, ("agent", "You are booked for tomorrow."))
    meeting_id = booked(call, tomorrow())
    found = settle(call)
    assert found.meeting
    assert found.meeting["event_id"] == meeting_id
    assert set(found.meeting) == {"start", "end", "timezone", "connector_id", "event_id", "join_url"}
    assert not found.needs_review


def test_a_meeting_that_was_only_said_is_flagged(judge: ResponsesServer) -> None:
    invented = {"start": "2026-12-01T10:00:00Z"}
    judge.answer = lambda case, _: opinion(case, meeting=invented)
    found = settle(a_call(*LINES, ("agent", "Great, you are booked for Tuesday at ten.")))
    assert found.meeting is None
    assert found.needs_review
    assert found.follow_up["needed"]
    assert any("no booking" in reason for reason in found.reasons)


def test_a_promised_callback_counts(judge: ResponsesServer) -> None:
    judge.answer = lambda case, _: opinion(
        case, follow_up={"needed": False, "reasons": [], "callback_at": "tomorrow"}
    )
    call = a_call()
    assert call.lead
    follow_ups.schedule(call.lead, due_at=tomorrow().starts_at, note="Wants a quote", call_id=call.pk)
    found = settle(call)
    assert found.follow_up == {
        "needed": True,
        "reasons": ["Wants a quote"],
        "callback_at": tomorrow().starts_at.isoformat(),
    }


def test_settled_once(judge: ResponsesServer) -> None:
    call = a_call()
    settle(call)
    judge.answer = lambda case, _: opinion(case, qualification="unqualified")
    assert settle(call).qualification == "qualified"
    assert len(judge.requests) == 1
