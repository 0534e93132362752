"""Twilio's doors: who may knock, what they answer, and that a second knock changes nothing."""

import re
import time
import uuid
import xml.etree.ElementTree as ET  # our own documents
from typing import Any

import pytest
from django.test import Client
from django.urls import get_resolver, reverse
from pytest_django import Settings

from crm.models import Lead
from tenex.workspaces.models import RecordingConsent, Workspace
from tests.dialing_rows import NUMBER, agent, knock, number, outbound_call, workspace
from voice.ingress.urls import urlpatterns
from voice.models import (
    Call,
    CallEvent,
    CallStatus,
    DialAttempt,
    DialState,
    EndReason,
    PhoneNumber,
    Recording,
    StreamToken,
    VoiceProfile,
)
from voice.services import attempts, calls
from voice.telephony import addresses

pytestmark = pytest.mark.django_db
RINGING = {"CallSid": "CA1", "From": "+14155559999", "To": NUMBER, "CallStatus": "ringing"}


@pytest.fixture(autouse=True)
def _configured(settings: Settings) -> None:
    settings.TWILIO_AUTH_TOKEN = "12345"
    settings.TWILIO_AUTH_TOKEN_SECONDARY = ""
    settings.PUBLIC_BASE_URL = "https://voice.example"
    settings.MEDIA_BASE_URL = "wss://media.example"
    settings.OPENAI_API_KEY = "sk-test"
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "whitenoise" not in name]


@pytest.fixture
def door() -> Client:
    return Client()


@pytest.fixture
def line() -> PhoneNumber:
    space = workspace()
    return number(space, agent(space), fallback_number="+14155550777")


def _verbs(response: Any) -> list[str]:
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/xml")
    return [verb.tag for verb in ET.fromstring(response.content)]  # noqa: S314


def _dialed(space: Workspace | None = None) -> DialAttempt:
    call = outbound_call(space or workspace())
    attempt = attempts.prepare(call.pk)
    assert attempt is not None
    attempts.fence(attempt.pk)
    return attempt


# --- who may knock -------------------------------------------------------------------------------


def _paths() -> list[str]:
    some = "00000000-0000-4000-8000-00000000a11a"
    return ["/twilio/" + re.sub(r"<uuid:\w+>", some, str(pattern.pattern)) for pattern in urlpatterns]


@pytest.mark.parametrize("path", _paths())
def test_every_door_refuses_what_twilio_did_not_sign(door: Client, path: str) -> None:
    assert door.post(path, RINGING).status_code == 403
    assert knock(door, path, RINGING, token="another").status_code == 403
    elsewhere = {"X-Twilio-Signature": "x", "X-Forwarded-Host": "voice.example", "Host": "localhost"}
    assert door.post(path, RINGING, headers=elsewhere).status_code == 403
    assert door.get(path).status_code == 405
    assert not Call.objects.exists()


@pytest.mark.parametrize("path", _paths())
def test_every_door_answers_about_calls_that_are_not_ours(door: Client, path: str) -> None:
    answer = knock(door, path, RINGING)
    if answer.status_code == 200:
        assert set(_verbs(answer)) <= {"Hangup", "Reject", "Say"}
    else:
        assert answer.status_code == 204
        assert answer.content == b""
    assert not Call.objects.exists()


def test_the_addresses_that_we_give_out_are_the_doors() -> None:
    some = uuid.uuid4()
    given = {
        "voice": addresses.voice(),
        "fallback": addresses.fallback(),
        "number_status": addresses.number_status(),
        "answer": addresses.answer(some),
        "attempt_status": addresses.attempt_status(some),
        "answered_by": addresses.answered_by(some),
        "resume": addresses.resume(some),
        "recording": addresses.recording(some),
        "stream_status": addresses.stream_status(some),
        "after_dial": addresses.after_dial(some),
    }
    assert {pattern.name for pattern in urlpatterns} == set(given)
    for name, url in given.items():
        takes = get_resolver("voice.ingress.urls").reverse_dict.getlist(name)[0][0][0][1]
        path = reverse(f"ingress:{name}", kwargs=dict.fromkeys(takes, some))
        assert url == f"https://voice.example{path}"


# --- incoming ------------------------------------------------------------------------------------


def test_an_incoming_call_gets_a_row_a_lead_and_a_stream(door: Client, line: PhoneNumber) -> None:
    answer = knock(door, "/twilio/voice", RINGING)
    assert _verbs(answer) == ["Say", "Start", "Connect", "Redirect"]
    call = Call.objects.get()
    assert (call.status, call.provider_sid, call.from_number) == (CallStatus.RINGING, "CA1", "+14155559999")
    assert call.lead is not None
    assert (call.lead.phone, call.lead.source) == ("+14155559999", "inbound call")
    assert call.agent_version == line.agent.current_version if line.agent else None
    stream = ET.fromstring(answer.content).find("Connect/Stream")  # noqa: S314
    assert stream is not None
    assert stream.attrib["url"] == "wss://media.example/twilio/media"
    parameters = {one.attrib["name"]: one.attrib["value"] for one in stream}
    assert parameters["call"] == str(call.pk)
    assert StreamToken.objects.filter(call=call).count() == 1
    redirect = ET.fromstring(answer.content).find("Redirect")  # noqa: S314
    assert redirect is not None
    assert redirect.text == f"https://voice.example/twilio/resume/{call.pk}"


def test_a_caller_does_not_wait_for_many_statements(
    door: Client, line: PhoneNumber, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(16) as seen:  # with what begins and ends a test's transaction
        assert "Connect" in _verbs(knock(door, "/twilio/voice", RINGING))
    assert len(seen) >= 10, "somebody else's connection was counted"
    again = RINGING | {"CallSid": "CA2"}
    with django_assert_max_num_queries(12):
        assert "Connect" in _verbs(knock(door, "/twilio/voice", again))


def test_telling_us_twice_makes_one_call(door: Client, line: PhoneNumber) -> None:
    for _ in range(3):
        assert "Connect" in _verbs(knock(door, "/twilio/voice", RINGING))
    assert Call.objects.count() == 1
    assert CallEvent.objects.filter(type="call.ringing").count() == 1


@pytest.mark.parametrize("withheld", ["anonymous", "+266696687", "client:bob", "sip:a@b.example", ""])
def test_withheld_numbers_have_no_lead(door: Client, line: PhoneNumber, withheld: str) -> None:
    assert "Connect" in _verbs(knock(door, "/twilio/voice", {**RINGING, "From": withheld}))
    call = Call.objects.get()
    if call.from_number != "+266696687":  # a placeholder that looks like a number of Lesotho
        assert call.lead is None


def test_a_known_caller_is_its_lead(door: Client, line: PhoneNumber) -> None:
    lead = Lead.objects.create(workspace=line.workspace, first_name="Maria", phone="+14155559999")
    knock(door, "/twilio/voice", RINGING)
    assert Call.objects.get().lead == lead


@pytest.mark.parametrize(
    ("consent", "verbs"),
    [
        (RecordingConsent.OFF, ["Connect", "Redirect"]),
        (RecordingConsent.EXPLICIT, ["Connect", "Redirect"]),
        (RecordingConsent.ANNOUNCE, ["Say", "Start", "Connect", "Redirect"]),
    ],
)
def test_nothing_is_recorded_before_it_is_announced(
    door: Client, line: PhoneNumber, consent: str, verbs: list[str]
) -> None:
    Workspace.objects.update(recording_consent=consent)
    assert _verbs(knock(door, "/twilio/voice", RINGING)) == verbs


@pytest.mark.parametrize(
    ("language", "spoken", "words"),
    [
        ("de", "de-DE", "Gespräch wird aufgezeichnet"),
        ("es", "es-ES", "Esta llamada se graba"),
        ("sv", "en-US", "This call is recorded"),
    ],
)
def test_the_notice_is_in_the_agents_language(
    door: Client, line: PhoneNumber, language: str, spoken: str, words: str
) -> None:
    VoiceProfile.objects.update(language=language)
    answer = knock(door, "/twilio/voice", RINGING)
    notice = ET.fromstring(answer.content).find("Say")  # noqa: S314
    assert notice is not None
    assert notice.get("language") == spoken
    assert words in (notice.text or "")


@pytest.mark.parametrize(
    ("caller", "verbs", "asked"),
    [
        ("+4930123456", ["Connect", "Redirect"], "explicit"),
        ("+33123456789", ["Connect", "Redirect"], "off"),
        ("+14155559999", ["Say", "Start", "Connect", "Redirect"], "announce"),
    ],
)
def test_what_holds_is_by_where_they_call_from(
    door: Client, line: PhoneNumber, caller: str, verbs: list[str], asked: str
) -> None:
    Workspace.objects.update(recording_consent_places={"DE": "explicit", "FR": "off"})
    assert _verbs(knock(door, "/twilio/voice", {**RINGING, "From": caller})) == verbs
    assert Call.objects.get().recording_asked == asked


@pytest.mark.parametrize("problem", ["no-agent", "archived", "model-unavailable", "no-capacity"])
def test_a_call_that_nobody_can_take_hears_an_apology_and_rings_the_fallback(
    door: Client, line: PhoneNumber, settings: Settings, problem: str
) -> None:
    assert line.agent is not None
    match problem:
        case "no-agent":
            PhoneNumber.objects.update(agent=None)
        case "archived":
            line.agent.archived_at = line.created_at
            line.agent.save()
        case "model-unavailable":
            settings.OPENAI_API_KEY, settings.OPENAI_BASE_URL = "", "https://api.openai.com/v1"
        case _:
            Workspace.objects.update(max_concurrent_calls=0)
    answer = knock(door, "/twilio/voice", RINGING)
    assert _verbs(answer) == ["Say", "Dial", "Hangup"]
    call = Call.objects.get()
    expected = EndReason.NO_AGENT if problem == "archived" else EndReason(problem)
    assert call.end_hint == expected
    assert (call.transfer_to, call.transfer_state) == ("+14155550777", "requested")
    ended = {"CallSid": "CA1", "CallStatus": "completed", "CallDuration": "4", "SequenceNumber": "0"}
    assert knock(door, "/twilio/status", ended).status_code == 204
    call.refresh_from_db()
    assert (call.status, call.end_reason) == (CallStatus.ENDED, expected)


def test_without_a_fallback_number_it_hears_an_apology_and_is_hung_up(
    door: Client, line: PhoneNumber
) -> None:
    PhoneNumber.objects.update(agent=None, fallback_number="")
    assert _verbs(knock(door, "/twilio/voice", RINGING)) == ["Say", "Hangup"]


def test_the_voice_door_is_fast(door: Client, line: PhoneNumber) -> None:
    """Processor time of one answer, which a busy machine does not stretch as it does the clock."""
    Workspace.objects.update(max_concurrent_calls=100)
    took_ms = []
    for index in range(30):
        begun = time.thread_time()
        knock(door, "/twilio/voice", {**RINGING, "CallSid": f"CA{index}", "From": f"+1415666{index:04}"})
        took_ms.append((time.thread_time() - begun) * 1000)
    assert sorted(took_ms)[15] < 50, took_ms


# --- our own dials -------------------------------------------------------------------------------


def test_an_answered_dial_talks(door: Client) -> None:
    attempt = _dialed()
    answer = knock(door, f"/twilio/outbound/{attempt.pk}", {"CallSid": "CA1", "CallStatus": "in-progress"})
    assert _verbs(answer) == ["Connect", "Redirect"]
    attempt.refresh_from_db()
    assert (attempt.state, attempt.provider_sid) == (DialState.PLACED, "CA1")
    attempt.call.refresh_from_db()
    assert (attempt.call.status, attempt.call.provider_sid) == (CallStatus.IN_PROGRESS, "CA1")


def test_a_superseded_attempt_that_is_answered_hangs_up(door: Client) -> None:
    first = _dialed()
    attempts.give_back(first.pk, why="not-found", state=DialState.POSTING)
    second = attempts.prepare(first.call_id)
    assert second is not None
    answer = knock(door, f"/twilio/outbound/{first.pk}", {"CallSid": "CA1"})
    assert _verbs(answer) == ["Hangup"]
    status = {"CallSid": "CA1", "CallStatus": "completed", "SequenceNumber": "3", "CallDuration": "3"}
    assert knock(door, f"/twilio/status/{first.pk}", status).status_code == 204
    first.call.refresh_from_db()
    assert first.call.status == CallStatus.DIALING
    assert _verbs(knock(door, f"/twilio/outbound/{second.pk}", {"CallSid": "CA2"})) == ["Connect", "Redirect"]


def test_a_call_whose_end_was_asked_for_hangs_up_when_answered(door: Client) -> None:
    attempt = _dialed()
    calls.hint_end(attempt.call_id, EndReason.CANCELED)
    assert _verbs(knock(door, f"/twilio/outbound/{attempt.pk}", {"CallSid": "CA1"})) == ["Hangup"]


def test_a_status_callback_tells_the_sid_before_the_answer_does(door: Client) -> None:
    attempt = _dialed()
    fields = {"CallSid": "CA1", "CallStatus": "ringing", "SequenceNumber": "1"}
    assert knock(door, f"/twilio/status/{attempt.pk}", fields).status_code == 204
    attempt.call.refresh_from_db()
    assert (attempt.call.status, attempt.call.provider_sid) == (CallStatus.RINGING, "CA1")


def test_who_answered_is_a_row_first_and_stays(door: Client) -> None:
    attempt = _dialed()
    attempts.adopt(attempt.pk, "CA1")
    path = f"/twilio/amd/{attempt.pk}"
    human = {"CallSid": "CA1", "AnsweredBy": "human", "MachineDetectionDuration": "1900"}
    assert knock(door, path, human).status_code == 204
    assert knock(door, path, {**human, "AnsweredBy": "machine_end_beep"}).status_code == 204
    assert knock(door, path, {**human, "CallSid": "CA9", "AnsweredBy": "fax"}).status_code == 204
    attempt.call.refresh_from_db()
    assert attempt.call.answered_by == "human"
    assert CallEvent.objects.filter(call=attempt.call, type="call.answered_by").count() == 1


def test_who_answered_is_kept_when_the_channel_layer_is_down(
    door: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = _dialed()
    attempts.adopt(attempt.pk, "CA1")

    def down(*_: object, **__: object) -> None:
        raise ConnectionError

    monkeypatch.setattr("voice.services.control.send", down)
    fields = {"CallSid": "CA1", "AnsweredBy": "fax"}
    assert knock(door, f"/twilio/amd/{attempt.pk}", fields).status_code == 204
    attempt.call.refresh_from_db()
    assert attempt.call.answered_by == "fax"


def test_a_recording_callback_is_taken_once(door: Client) -> None:
    call = outbound_call(workspace(), status=CallStatus.DIALING)
    fields = {
        "CallSid": "CA1",
        "RecordingSid": "RE1",
        "RecordingUrl": "https://api.twilio.com/2010-04-01/Accounts/AC0/Recordings/RE1",
        "RecordingStatus": "completed",
        "RecordingDuration": "12",
        "RecordingChannels": "2",
        "RecordingStartTime": "Sun, 22 Nov 2026 12:00:00 +0000",
    }
    for _ in range(2):
        assert knock(door, f"/twilio/recording/{call.pk}", fields).status_code == 204
    recording = Recording.objects.get()
    assert (recording.call_id, recording.duration_ms, recording.channels) == (call.pk, 12_000, 2)


# --- after the stream ----------------------------------------------------------------------------


def _talking(**fields: Any) -> Call:
    space = workspace()
    number(space, None, fallback_number="+14155550777")
    return outbound_call(
        space,
        status=CallStatus.IN_PROGRESS,
        provider_sid="CA1",
        answered_at=outbound_call(space, status=CallStatus.DIALING).placed_at,
        placed_at=None,
        **fields,
    )


def test_a_lost_stream_is_resumed_with_a_new_token_a_few_times_then_we_apologize(door: Client) -> None:
    call = _talking()
    seen = set()
    for _ in range(3):
        answer = knock(door, f"/twilio/resume/{call.pk}", {"CallSid": "CA1"})
        assert _verbs(answer) == ["Connect", "Redirect"]
        stream = ET.fromstring(answer.content).find("Connect/Stream")  # noqa: S314
        assert stream is not None
        seen.add((stream.attrib["name"], stream[1].attrib["value"]))
    assert len(seen) == 3, "each stream has a name and a token of its own"
    assert _verbs(knock(door, f"/twilio/resume/{call.pk}", {"CallSid": "CA1"})) == ["Say", "Dial", "Hangup"]
    call.refresh_from_db()
    assert (call.end_hint, call.transfer_state) == (EndReason.MEDIA_LOST, "requested")


@pytest.mark.parametrize(
    ("hint", "verbs"),
    [
        (EndReason.AGENT_HANGUP, ["Hangup"]),
        (EndReason.OPTED_OUT, ["Hangup"]),
        (EndReason.MAX_DURATION, ["Hangup"]),
        (EndReason.MODEL_UNAVAILABLE, ["Say", "Dial", "Hangup"]),
        (EndReason.INTERNAL_ERROR, ["Say", "Dial", "Hangup"]),
    ],
)
def test_a_stream_that_we_ended_ends_the_call(door: Client, hint: EndReason, verbs: list[str]) -> None:
    call = _talking(end_hint=hint)
    assert _verbs(knock(door, f"/twilio/resume/{call.pk}", {"CallSid": "CA1"})) == verbs


def test_a_promised_transfer_is_made_when_the_stream_ends(door: Client) -> None:
    call = _talking(transfer_state="requested", transfer_to="+14155550888")
    answer = knock(door, f"/twilio/resume/{call.pk}", {"CallSid": "CA1"})
    assert _verbs(answer) == ["Dial"]
    assert b"+14155550888" in answer.content


def test_after_a_transfer_the_call_is_over_and_after_a_failed_one_the_agent_is_back(door: Client) -> None:
    call = _talking(transfer_state="requested", transfer_to="+14155550888")
    path = f"/twilio/dial/{call.pk}"
    assert _verbs(knock(door, path, {"CallSid": "CA1", "DialCallStatus": "no-answer"})) == [
        "Connect",
        "Redirect",
    ]
    call.refresh_from_db()
    assert (call.transfer_state, call.end_hint) == ("failed", "")
    Call.objects.filter(pk=call.pk).update(transfer_state="requested")
    assert _verbs(knock(door, path, {"CallSid": "CA1", "DialCallStatus": "completed"})) == ["Hangup"]
    call.refresh_from_db()
    assert (call.transfer_state, call.end_hint) == ("bridged", EndReason.TRANSFERRED)


def test_who_hangs_up_while_a_person_is_rung_was_not_transferred(door: Client) -> None:
    call = _talking(transfer_state="requested", transfer_to="+14155550888")
    ended = {"CallSid": "CA1", "CallStatus": "completed", "CallDuration": "9", "SequenceNumber": "3"}
    knock(door, "/twilio/status", ended)
    call.refresh_from_db()
    assert call.end_reason == EndReason.CALLER_HANGUP
    knock(door, f"/twilio/dial/{call.pk}", {"CallSid": "CA1", "DialCallStatus": "no-answer"})
    call.refresh_from_db()
    assert (call.end_reason, call.transfer_state) == (EndReason.CALLER_HANGUP, "requested")


def test_a_transfer_whose_end_is_told_after_the_calls_was_one(door: Client) -> None:
    call = _talking(transfer_state="requested", transfer_to="+14155550888")
    ended = {"CallSid": "CA1", "CallStatus": "completed", "CallDuration": "99", "SequenceNumber": "3"}
    knock(door, "/twilio/status", ended)
    answer = knock(door, f"/twilio/dial/{call.pk}", {"CallSid": "CA1", "DialCallStatus": "completed"})
    assert _verbs(answer) == ["Hangup"]
    call.refresh_from_db()
    assert (call.end_reason, call.transfer_state) == (EndReason.TRANSFERRED, "bridged")


def test_a_fallback_person_who_is_not_there_either_ends_with_an_apology(door: Client) -> None:
    call = _talking(end_hint=EndReason.MODEL_UNAVAILABLE, transfer_state="requested", transfer_to="+1415555")
    answer = knock(door, f"/twilio/dial/{call.pk}", {"CallSid": "CA1", "DialCallStatus": "busy"})
    assert _verbs(answer) == ["Say", "Hangup"]
    call.refresh_from_db()
    assert call.end_hint == EndReason.MODEL_UNAVAILABLE


def test_a_call_that_is_over_hangs_up_everywhere(door: Client) -> None:
    call = _talking()
    calls.end(call.pk, EndReason.CALLER_HANGUP)
    for path in ("resume", "dial"):
        assert _verbs(knock(door, f"/twilio/{path}/{call.pk}", {"CallSid": "CA1"})) == ["Hangup"]


def test_the_fallback_door_says_sorry_and_gives_the_call_its_reason(door: Client) -> None:
    call = _talking()
    answer = knock(door, "/twilio/fallback", {"CallSid": "CA1", "ErrorCode": "11200"})
    assert _verbs(answer) == ["Say", "Dial", "Hangup"]
    call.refresh_from_db()
    assert call.end_hint == EndReason.INTERNAL_ERROR


def test_a_stream_that_failed_is_in_the_journal(door: Client) -> None:
    call = _talking()
    fields = {"CallSid": "CA1", "StreamEvent": "stream-error", "StreamError": "31901 x\x00y"}
    assert knock(door, f"/twilio/stream/{call.pk}", fields).status_code == 204
    assert CallEvent.objects.get(call=call, type="stream.error").data == {"error": "31901 xy"}
