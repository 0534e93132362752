"""The form of `POST Calls.json`, checked as the real service checks it (twilio.md 8, 17)."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from multidict import MultiMapping

from voice.rehearsal.carrier import twiml
from voice.rehearsal.carrier.records import CallbackPlan
from voice.rehearsal.carrier.shapes import Refused

_E164 = re.compile(r"^\+[1-9]\d{6,14}$")
_TRUE = {"true": True, "false": False}
CALL_EVENTS = frozenset({"initiated", "ringing", "answered", "completed"})
RECORDING_EVENTS = frozenset({"in-progress", "completed", "absent"})


@dataclass(frozen=True, slots=True)
class Instructions:
    """Where TwiML comes from: inline, or a URL with its fallback."""

    twiml: str = ""
    url: str = ""
    method: str = "POST"
    fallback_url: str = ""
    fallback_method: str = "POST"


@dataclass(frozen=True, slots=True)
class Amd:
    mode: str
    """`Enable` or `DetectMessageEnd`."""
    background: bool
    timeout_s: int
    callback: str
    method: str


@dataclass(frozen=True, slots=True)
class RecordingPlan:
    channels: int
    track: str
    trim: bool
    callback: CallbackPlan


@dataclass(frozen=True, slots=True)
class CreateCall:
    to: str
    from_: str
    instructions: Instructions
    callback: CallbackPlan
    timeout_s: int
    time_limit_s: int
    amd: Amd | None
    recording: RecordingPlan | None
    warnings: tuple[tuple[int, str], ...]


type Form = MultiMapping[str]


def create_call(form: Form) -> CreateCall:
    """The wishes of `POST Calls.json`.

    Raises:
        Refused: with the code of the real service.
    """
    warnings: list[tuple[int, str]] = []
    to, from_ = form.get("To", ""), form.get("From", "")
    if not to:
        raise Refused(400, 21201, "No 'To' number is specified")
    if not _E164.match(to):
        raise Refused(400, 21211, "The 'To' number is not a valid phone number.")
    if not from_:
        raise Refused(400, 21213, "A 'From' number is required.")
    if not _E164.match(from_):
        raise Refused(400, 21212, "The 'From' number is not a valid phone number.")
    return CreateCall(
        to=to,
        from_=from_,
        instructions=instructions(form),
        callback=_callback(form, warnings),
        timeout_s=_integer(form, "Timeout", 60, 1, 600),
        time_limit_s=_integer(form, "TimeLimit", 14_400, 1, 86_400),
        amd=_amd(form, warnings),
        recording=_recording(form) if _flag(form, "Record") else None,
        warnings=tuple(warnings),
    )


def instructions(form: Form, *, required: bool = True) -> Instructions:
    """`Url` (which wins) or `Twiml`."""
    url, inline = form.get("Url", ""), form.get("Twiml", "")
    if url:
        check_url(url, "Url")
        fallback = form.get("FallbackUrl", "")
        if fallback:
            check_url(fallback, "FallbackUrl")
        return Instructions(
            url=url,
            method=_method(form, "Method"),
            fallback_url=fallback,
            fallback_method=_method(form, "FallbackMethod"),
        )
    if inline:
        if len(inline) > twiml.MAX_INLINE_CHARS:
            raise Refused(400, 20001, "Twiml may have at most 4000 characters")
        return Instructions(twiml=inline)
    if form.get("ApplicationSid"):
        raise Refused(400, 21218, "Invalid ApplicationSid: this account has no applications")
    if required:
        raise Refused(400, 21205, "Url parameter is required.")
    return Instructions()


def recording(form: Form) -> RecordingPlan:
    """The form of `POST Calls/{sid}/Recordings.json`."""
    return _recording(form)


def _callback(form: Form, warnings: list[tuple[int, str]]) -> CallbackPlan:
    url = form.get("StatusCallback", "")
    if not url:
        return CallbackPlan(events=frozenset())
    check_url(url, "StatusCallback", 21609)
    events = frozenset(form.getall("StatusCallbackEvent", ["completed"]))
    if not events <= CALL_EVENTS:  # the call is made all the same, and nothing is ever reported
        warnings.append((21626, "invalid StatusCallbackEvent: no callbacks will be sent"))
        events = frozenset()
    return CallbackPlan(url, _method(form, "StatusCallbackMethod"), events)


def _amd(form: Form, warnings: list[tuple[int, str]]) -> Amd | None:
    mode = form.get("MachineDetection", "")
    if not mode:
        return None
    if mode not in {"Enable", "DetectMessageEnd"}:
        raise Refused(400, 20001, "MachineDetection must be Enable or DetectMessageEnd")
    _integer(form, "MachineDetectionSpeechThreshold", 2400, 1000, 6000)
    _integer(form, "MachineDetectionSpeechEndThreshold", 1200, 500, 5000)
    _integer(form, "MachineDetectionSilenceTimeout", 5000, 2000, 10_000)
    timeout_s = _integer(form, "MachineDetectionTimeout", 30, 3, 59)
    if form.get("SendDigits"):
        return None
    background = _flag(form, "AsyncAmd")
    callback = form.get("AsyncAmdStatusCallback", "")
    if callback:
        check_url(callback, "AsyncAmdStatusCallback")
    elif background:
        warnings.append((21262, "AsyncAmd without AsyncAmdStatusCallback: nobody will hear the result"))
    return Amd(mode, background, timeout_s, callback, _method(form, "AsyncAmdStatusCallbackMethod"))


def _recording(form: Form) -> RecordingPlan:
    url = form.get("RecordingStatusCallback", "")
    if url:
        check_url(url, "RecordingStatusCallback")
    events = frozenset(form.getall("RecordingStatusCallbackEvent", ["completed"]))
    if not events <= RECORDING_EVENTS:
        raise Refused(400, 20001, "RecordingStatusCallbackEvent knows in-progress, completed, absent")
    return RecordingPlan(
        channels=2 if _choice(form, "RecordingChannels", ("mono", "dual")) == "dual" else 1,
        track=_choice(form, "RecordingTrack", ("both", "inbound", "outbound")),
        trim=form.get("Trim", "") == "trim-silence",
        callback=CallbackPlan(url, _method(form, "RecordingStatusCallbackMethod"), events),
    )


def _choice(form: Form, name: str, allowed: tuple[str, ...]) -> str:
    value = form.get(name, allowed[0])
    if value not in allowed:
        raise Refused(400, 20001, f"{name} must be one of {', '.join(allowed)}")
    return value


def _method(form: Form, name: str) -> str:
    return _choice(form, name, ("POST", "GET"))


def _flag(form: Form, name: str) -> bool:
    value = form.get(name, "false").lower()
    if value not in _TRUE:
        raise Refused(400, 20001, f"{name} must be true or false")
    return _TRUE[value]


def _integer(form: Form, name: str, default: int, low: int, high: int) -> int:
    raw = form.get(name)
    if raw is None or raw == "":
        return default
    if not raw.isdecimal() or not low <= int(raw) <= high:
        raise Refused(400, 20001, f"{name} must be a whole number from {low} to {high}")
    return int(raw)


def check_url(url: str, name: str, code: int = 21205) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Refused(400, code, f"{name} is not a valid URL")
