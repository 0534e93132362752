"""What the offline carrier makes of TwiML: parsing, the verbs, and what happens when it is wrong."""

import asyncio

import pytest

from tests.rehearsal.phone_app import PERSON, Peer, play, standing
from voice.rehearsal.carrier import twiml
from voice.rehearsal.carrier.faults import Faults
from voice.rehearsal.scenario import OUR_NUMBER

QUIET = {"caller": {"silence_s": 300}}
STREAM = "wss://host.example/media"


def wrong(document: str, content_type: str = "text/xml") -> int:
    with pytest.raises(twiml.TwimlError) as caught:
        twiml.parse(document.encode(), content_type)
    return caught.value.code


def stream(inner: str = "", url: str = STREAM) -> str:
    return f'<Response><Connect><Stream url="{url}">{inner}</Stream></Connect></Response>'


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("", 12100),
        ("<Response><Say>hi</Response>", 12100),
        ('<!DOCTYPE x [<!ENTITY a "b">]><Response/>', 12100),
        (f"<Response>{' ' * 65536}</Response>", 12100),
        ("<html/>", 12200),
        ("<Response><Dance/></Response>", 12200),
        ('<Response><Pause lenght="1"/></Response>', 12200),
        ('<Response><Pause length="long"/></Response>', 12200),
        ("<Response><Say></Say></Response>", 13520),
        ("<Response><Dial></Dial></Response>", 13221),
        ("<Response><Dial><Number>call me</Number></Dial></Response>", 13223),
        ("<Response><Connect/></Response>", 12200),
        (stream(url="ws://host.example/media"), 31922),
        (stream(url="https://host.example/media"), 31922),
        (stream(url="wss:///media"), 31923),
        (stream(url="wss://host.example/media?token=1"), 31923),
        (stream('<Parameter name="a"/>'), 12200),
        (stream(f'<Parameter name="a" value="{"x" * 499}"/>'), 31923),
        (stream().replace("<Stream ", '<Stream track="both_tracks" '), 31941),
    ],
)
def test_what_is_refused(document: str, code: int) -> None:
    assert wrong(document) == code


def test_the_content_type_counts() -> None:
    assert wrong("<Response/>", "text/html; charset=utf-8") == 12300
    assert wrong("<Response/>", "application/json") == 12300
    assert twiml.parse(b"<Response/>", "application/xml; charset=utf-8") == ()


def test_a_stream_to_this_machine_may_go_without_tls() -> None:
    (verb,) = twiml.parse(stream('<Parameter name="a" value="1"/>', "ws://127.0.0.1:1/media").encode())
    assert isinstance(verb, twiml.Connect)
    assert verb.stream.parameters == {"a": "1"}


# --- verbs on a call -------------------------------------------------------------------------------


async def test_after_the_stream_the_action_or_the_next_verb_goes_on() -> None:
    async with standing() as stand:

        async def agent(peer: Peer) -> None:
            await peer.next("media")

        app = stand.app
        app.on_stream = agent
        app.twiml["/voice"] = app.connect(action="/resume", after="<Say>never</Say>")
        app.twiml["/resume"] = app.connect(after='<Redirect method="POST">/end?why=closed</Redirect>')
        app.twiml["/end"] = "<Response><Hangup/></Response>"
        call = stand.call_in(QUIET)
        await stand.ended(call.sid)
        assert [hook.path for hook in app.hooks if not hook.path.startswith("/st")] == [
            "/voice", "/resume", "/end",
        ]  # fmt: skip
        assert len(app.peers) == 2
        assert app.forms("/resume")[0]["CallStatus"] == "in-progress"
        assert call.hung_up_by == "twiml"


@pytest.mark.parametrize(("url", "code"), [("ws://127.0.0.1:9/media", 31902), ("APP/nothing", 31920)])
async def test_a_stream_that_cannot_be_opened_is_reported_and_the_call_goes_on(url: str, code: int) -> None:
    async with standing() as stand:
        app = stand.app
        url = url.replace("APP", app.base_url.replace("http", "ws"))
        app.twiml["/voice"] = (
            f'<Response><Connect><Stream url="{url}" statusCallback="{app.base_url}/stream-status"/>'
            "</Connect><Redirect>/sorry</Redirect></Response>"
        )
        app.twiml["/sorry"] = "<Response><Hangup/></Response>"
        call = stand.call_in(QUIET)
        await stand.ended(call.sid)
        assert stand.codes(call.sid) == [code]
        (form,) = app.forms("/stream-status")
        assert form["StreamEvent"] == "stream-error"
        assert form["StreamError"]
        assert app.forms("/sorry")


@pytest.mark.parametrize(
    ("answer", "code"), [(500, 11200), ("not xml", 12100), ("<Response><Dance/></Response>", 12200)]
)
async def test_a_broken_voice_url_goes_to_the_fallback(answer: str | int, code: int) -> None:
    async with standing() as stand:
        app = stand.app
        app.twiml["/voice"] = answer
        app.twiml["/fallback"] = "<Response><Hangup/></Response>"
        call = stand.call_in(QUIET)
        await stand.ended(call.sid)
        (form,) = app.forms("/fallback")
        assert form["ErrorCode"] == str(code)
        assert form["ErrorUrl"] == f"{app.base_url}/voice"
        assert stand.codes(call.sid) == [code]


async def test_without_a_fallback_the_caller_hears_an_apology() -> None:
    async with standing() as stand:
        stand.app.twiml["/voice"] = stand.app.twiml["/fallback"] = 500
        call = stand.call_in(QUIET)
        await stand.ended(call.sid)
        assert call.heard_ms > 1000
        assert (call.status, call.hung_up_by) == ("completed", "carrier")


@pytest.mark.parametrize(("reason", "status"), [("busy", "busy"), ("rejected", "failed")])
async def test_a_rejected_call_is_never_answered(reason: str, status: str) -> None:
    async with standing() as stand:
        stand.app.twiml["/voice"] = f'<Response><Reject reason="{reason}"/></Response>'
        call = stand.call_in(QUIET)
        await stand.ended(call.sid)
        assert call.status == status
        assert "in-progress" not in [entry.status for entry in call.history]


DIAL = (
    '<Response><Dial action="/dialled" timeout="10" callerId="+14155550100">'
    '<Number url="/whisper">{}</Number></Dial></Response>'
)
COLLEAGUE = "+14155550177"


@pytest.mark.parametrize(
    ("answer", "status", "bridged"),
    [("person", "completed", "true"), ("no-answer", "no-answer", "false"), ("busy", "busy", "false")],
)
async def test_a_colleague_is_dialled(answer: str, status: str, bridged: str) -> None:
    async with standing(speed=20) as stand:
        app = stand.app
        app.twiml["/voice"] = DIAL.format(COLLEAGUE)
        app.twiml["/whisper"] = "<Response><Say>A caller for you.</Say></Response>"
        app.twiml["/dialled"] = "<Response><Hangup/></Response>"
        call = stand.call_in(QUIET, transfer={"answer": answer, "ring_s": 1, "talk_s": 3})
        await stand.ended(call.sid)
        (form,) = app.forms("/dialled")
        assert (form["DialCallStatus"], form["DialBridged"]) == (status, bridged)
        assert len(app.forms("/whisper")) == (answer == "person")
        child = stand.exchange.books.calls[form["DialCallSid"]]
        assert (child.parent_call_sid, child.to, child.from_) == (call.sid, COLLEAGUE, "+14155550100")
        assert stand.exchange.dials[COLLEAGUE] == 1
        children = await stand.sdk(lambda c: c.calls.list(parent_call_sid=call.sid))
        assert [item.direction for item in children] == ["outbound-dial"]


async def test_new_instructions_during_a_dial_ask_its_action_first() -> None:
    async with standing(speed=10) as stand:
        app = stand.app
        app.twiml["/voice"] = DIAL.format(COLLEAGUE)
        app.twiml["/whisper"] = "<Response/>"
        app.twiml["/dialled"] = "<Response><Dance/></Response>"  # its answer is not used
        call = stand.call_in(QUIET, transfer={"ring_s": 0, "talk_s": 600})
        async with asyncio.timeout(10):
            while not app.forms("/whisper"):
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        await stand.sdk(lambda c: c.calls(call.sid).update(twiml="<Response><Hangup/></Response>"))
        await stand.ended(call.sid)
        (form,) = app.forms("/dialled")
        assert form["DialCallStatus"] == "completed"
        assert stand.codes(call.sid) == []


async def test_a_message_is_recorded_after_the_tone() -> None:
    async with standing() as stand:
        app = stand.app
        app.twiml["/voice"] = (
            "<Response><Say>Please leave a message.</Say>"
            '<Record action="/recorded" timeout="2" recordingStatusCallback="/status2"/></Response>'
        )
        app.twiml["/recorded"] = "<Response><Hangup/></Response>"
        call = stand.call_in({"agent": "Please."}, {"caller": "Call me back about the invoice."}, QUIET)
        await stand.ended(call.sid)
        (form,) = app.forms("/recorded")
        assert int(form["RecordingDuration"]) >= 2
        (callback,) = app.forms("/status2")
        assert (callback["RecordingSid"], callback["RecordingStatus"]) == (form["RecordingSid"], "completed")


async def test_hanging_up_ends_the_message_and_tells_its_action() -> None:
    async with standing() as stand:
        stand.app.twiml["/voice"] = '<Response><Record action="/recorded" playBeep="false"/></Response>'
        call = stand.call_in({"caller": "Call me back."}, {"caller": {"hangup": True}})
        await stand.ended(call.sid)
        (form,) = stand.app.forms("/recorded")
        assert (form["Digits"], form["CallStatus"]) == ("hangup", "completed")


async def test_digits_are_gathered() -> None:
    async with standing() as stand:
        app = stand.app
        app.twiml["/voice"] = (
            '<Response><Gather numDigits="2" action="/digits"><Say>Press two keys.</Say></Gather></Response>'
        )
        app.twiml["/digits"] = "<Response><Hangup/></Response>"
        call = stand.call_in({"caller": {"dtmf": "42"}}, QUIET)
        await stand.ended(call.sid)
        assert app.forms("/digits")[0]["Digits"] == "42"


async def test_a_voice_webhook_can_come_twice() -> None:
    async with standing() as stand:
        stand.exchange.dice.faults = Faults(voice_duplicate=1)
        stand.app.twiml["/voice"] = "<Response><Hangup/></Response>"
        call = stand.call_in(QUIET)
        await stand.ended(call.sid)
        assert len(stand.app.forms("/voice")) == 2


async def test_a_fragment_asks_for_retries_and_is_not_sent() -> None:
    async with standing() as stand:
        app = stand.app
        stand.rehearsal.plan(PERSON, play(QUIET))
        app.twiml["/answer"] = 500
        url = f"{app.base_url}/answer#rc=2&rp=5xx"
        made = await stand.sdk(lambda c: c.calls.create(to=PERSON, from_=OUR_NUMBER, url=url))
        await stand.ended(str(made.sid))
        assert len(app.forms("/answer")) == 3
        assert all(hook.signed for hook in app.hooks)


async def test_the_time_limit_ends_a_call() -> None:
    async with standing(speed=20) as stand:
        stand.rehearsal.plan(PERSON, play(QUIET))
        stand.app.twiml["/answer"] = "<Response><Pause length='600'/></Response>"
        url = f"{stand.app.base_url}/answer"
        made = await stand.sdk(
            lambda c: c.calls.create(to=PERSON, from_=OUR_NUMBER, url=url, time_limit=10, record=True)
        )
        record = await stand.ended(str(made.sid))
        assert record.hung_up_by == "carrier"
        assert record.duration_s in range(10, 14)


async def test_a_caller_waits_while_the_colleague_is_rung() -> None:
    async with standing(speed=20) as stand:
        app = stand.app
        app.twiml["/voice"] = DIAL.format(COLLEAGUE).replace('timeout="10"', 'timeout="40"')
        app.twiml["/dialled"] = "<Response><Hangup/></Response>"
        call = stand.call_in({"caller": "A person, please."}, transfer={"answer": "no-answer"})
        await stand.ended(call.sid)
        assert app.forms("/dialled")[0]["DialCallStatus"] == "no-answer"
        assert call.hung_up_by == "twiml"
