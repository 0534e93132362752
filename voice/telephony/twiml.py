"""The documents that we answer Twilio with (twilio.md 2, promises.md R7). Pure: text in, XML out."""

from dataclasses import dataclass

from twilio.twiml.voice_response import Connect, Dial, Start, VoiceResponse

APOLOGY = "We are sorry, we cannot take your call right now."
NOTICE = "This call is recorded."
TRANSFER_FAILED = "We are sorry, nobody is there to take your call. Please try again later. Goodbye."
MAX_PARAMETERS_CHARS = 499
"""All names and values of a stream's parameters together stay below 500 characters (twilio.md 2)."""


@dataclass(frozen=True, slots=True)
class StreamTarget:
    """Where the media of a call goes.

    `url` is ws(s):// without a query string: Twilio drops one. `resume_url` is asked when our side of the
    socket is gone, however it went.
    """

    url: str
    call_id: str
    token: str
    status_url: str
    resume_url: str


@dataclass(frozen=True, slots=True)
class RecordingRequest:
    """Record both sides on two channels, and say so before the first stored byte if `notice` is given."""

    callback_url: str
    notice: str = NOTICE
    language: str = ""


def connect_stream(target: StreamTarget, *, name: str, recording: RecordingRequest | None = None) -> str:
    """Bridge the caller to our media socket; when the socket ends, ask `resume_url` what next.

    `name` must be unique within the call: a resumed stream has another one.

    Raises:
        ValueError: a query string in the URL, or parameters that are too long: Twilio would drop them.
    """
    if "?" in target.url:
        raise ValueError("Twilio drops the query string of a stream URL")
    parameters = {"call": target.call_id, "token": target.token}
    if sum(len(key) + len(value) for key, value in parameters.items()) > MAX_PARAMETERS_CHARS:
        raise ValueError("stream parameters are too long")
    response = VoiceResponse()
    if recording is not None:
        _record(response, recording)
    connect = Connect()
    stream = connect.stream(
        url=target.url, name=name, status_callback=target.status_url, status_callback_method="POST"
    )
    for key, value in parameters.items():
        stream.parameter(name=key, value=value)
    response.append(connect)
    response.redirect(target.resume_url, method="POST")
    return str(response)


def apology(*, text: str = APOLOGY, transfer: "DialTarget | None" = None) -> str:
    """Say that we cannot talk; then ring a person if there is one, else hang up."""
    response = VoiceResponse()
    response.say(text)
    if transfer is not None:
        _dial(response, transfer)
    response.hangup()
    return str(response)


@dataclass(frozen=True, slots=True)
class DialTarget:
    """A person to connect the caller to. `caller_id` must be a number of ours; empty keeps the caller's."""

    number: str
    action_url: str
    caller_id: str = ""
    timeout_s: int = 25
    time_limit_s: int = 14_400


def transfer(target: DialTarget, *, say: str = "") -> str:
    """Cold transfer: ring `target` while the caller hears it ring; `action_url` is told how it went."""
    response = VoiceResponse()
    if say:
        response.say(say)
    _dial(response, target)
    return str(response)


def reject(reason: str = "rejected") -> str:
    """Do not answer at all; not billed when it is the first verb. `reason`: rejected or busy."""
    response = VoiceResponse()
    response.reject(reason=reason)
    return str(response)


def hangup() -> str:
    response = VoiceResponse()
    response.hangup()
    return str(response)


def say_and_hangup(text: str) -> str:
    response = VoiceResponse()
    response.say(text)
    response.hangup()
    return str(response)


def _record(response: VoiceResponse, request: RecordingRequest) -> None:
    if request.notice:
        response.say(request.notice, **({"language": request.language} if request.language else {}))
    start = Start()
    start.recording(
        channels="dual",
        trim="do-not-trim",
        recording_status_callback=request.callback_url,
        recording_status_callback_method="POST",
        recording_status_callback_event="completed absent",
    )
    response.append(start)


def _dial(response: VoiceResponse, target: DialTarget) -> None:
    options: dict[str, object] = {
        "action": target.action_url,
        "method": "POST",
        "answer_on_bridge": True,
        "timeout": target.timeout_s,
        "time_limit": target.time_limit_s,
    }
    if target.caller_id:
        options["caller_id"] = target.caller_id
    dial = Dial(**options)
    dial.number(target.number)
    response.append(dial)
