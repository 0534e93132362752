"""The documents that we answer with, to the letter."""

import xml.etree.ElementTree as ET  # our own documents

import pytest

from voice.telephony import twiml
from voice.telephony.twiml import DialTarget, RecordingRequest, StreamTarget

HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
TARGET = StreamTarget(
    url="wss://voice.example/twilio/media",
    call_id="c1",
    token="t<&>",
    status_url="https://voice.example/twilio/stream/c1",
    resume_url="https://voice.example/twilio/resume/c1",
)


def test_a_stream_with_its_token_and_the_way_back() -> None:
    assert twiml.connect_stream(TARGET, name="agent-1") == (
        f"{HEAD}<Response><Connect>"
        '<Stream name="agent-1" statusCallback="https://voice.example/twilio/stream/c1"'
        ' statusCallbackMethod="POST" url="wss://voice.example/twilio/media">'
        '<Parameter name="call" value="c1" /><Parameter name="token" value="t&lt;&amp;&gt;" />'
        "</Stream></Connect>"
        '<Redirect method="POST">https://voice.example/twilio/resume/c1</Redirect></Response>'
    )


def test_recording_is_announced_before_it_starts_and_starts_before_the_stream() -> None:
    document = twiml.connect_stream(
        TARGET, name="agent-1", recording=RecordingRequest("https://voice.example/twilio/recording/c1")
    )
    root = ET.fromstring(document)  # noqa: S314
    assert [verb.tag for verb in root] == ["Say", "Start", "Connect", "Redirect"]
    recording = root.find("Start/Recording")
    assert recording is not None
    assert recording.attrib == {
        "channels": "dual",
        "trim": "do-not-trim",
        "recordingStatusCallback": "https://voice.example/twilio/recording/c1",
        "recordingStatusCallbackMethod": "POST",
        "recordingStatusCallbackEvent": "completed absent",
    }


def test_a_query_string_would_be_dropped_by_twilio_so_it_is_refused() -> None:
    with pytest.raises(ValueError, match="query"):
        twiml.connect_stream(
            StreamTarget("wss://voice.example/media?token=1", "c", "t", "s", "r"), name="agent-1"
        )


def test_parameters_stay_below_500_characters() -> None:
    with pytest.raises(ValueError, match="long"):
        twiml.connect_stream(StreamTarget("wss://v/m", "c" * 36, "t" * 460, "s", "r"), name="agent-1")


def test_a_cold_transfer() -> None:
    target = DialTarget("+14155550199", "https://v/twilio/dial/c1", caller_id="+14155550100", timeout_s=20)
    assert twiml.transfer(target) == (
        f'{HEAD}<Response><Dial action="https://v/twilio/dial/c1" answerOnBridge="true"'
        ' callerId="+14155550100" method="POST" timeLimit="14400" timeout="20">'
        "<Number>+14155550199</Number></Dial></Response>"
    )


def test_an_apology_rings_a_person_if_there_is_one_and_hangs_up() -> None:
    alone = ET.fromstring(twiml.apology())  # noqa: S314
    assert [verb.tag for verb in alone] == ["Say", "Hangup"]
    target = DialTarget("+14155550199", "https://v/twilio/dial/c1")
    with_person = ET.fromstring(twiml.apology(transfer=target))  # noqa: S314
    assert [verb.tag for verb in with_person] == ["Say", "Dial", "Hangup"]
    assert "callerId" not in with_person[1].attrib


def test_short_ones() -> None:
    assert twiml.reject() == f'{HEAD}<Response><Reject reason="rejected" /></Response>'
    assert twiml.hangup() == f"{HEAD}<Response><Hangup /></Response>"
    assert twiml.say_and_hangup("Bye") == f"{HEAD}<Response><Say>Bye</Say><Hangup /></Response>"
