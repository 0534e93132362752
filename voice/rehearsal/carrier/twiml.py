"""TwiML in, verbs out: pure parsing with the checks that the real service makes (twilio.md 2, 11, 13).

Only the verbs that the product emits are known; anything else is refused, so that a typo cannot pass.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

MAX_DOCUMENT_BYTES = 64 * 1024
MAX_INLINE_CHARS = 4000
MAX_PARAMETER_CHARS = 500


class TwimlError(Exception):
    """`code` as in the debugger: 12100 not XML, 12200 not TwiML, 12300 content type, 319xx stream."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Say:
    text: str
    loop: int = 1


@dataclass(frozen=True, slots=True)
class Play:
    url: str
    digits: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    length_s: float


@dataclass(frozen=True, slots=True)
class Redirect:
    url: str
    method: str


@dataclass(frozen=True, slots=True)
class Hangup:
    pass


@dataclass(frozen=True, slots=True)
class Reject:
    reason: str


@dataclass(frozen=True, slots=True)
class Stream:
    url: str
    name: str
    parameters: dict[str, str]
    status_callback: str
    status_callback_method: str


@dataclass(frozen=True, slots=True)
class Connect:
    stream: Stream
    action: str
    method: str


@dataclass(frozen=True, slots=True)
class Number:
    phone_number: str
    url: str


@dataclass(frozen=True, slots=True)
class Dial:
    numbers: tuple[Number, ...]
    action: str
    method: str
    timeout_s: int
    time_limit_s: int
    caller_id: str
    record: str


@dataclass(frozen=True, slots=True)
class StartRecording:
    channels: int
    track: str
    trim: bool
    status_callback: str
    status_callback_method: str
    events: frozenset[str]


@dataclass(frozen=True, slots=True)
class Record:
    action: str
    method: str
    timeout_s: float
    max_length_s: float
    finish_on_key: str
    play_beep: bool
    status_callback: str
    status_callback_method: str
    events: frozenset[str]


@dataclass(frozen=True, slots=True)
class Gather:
    prompts: tuple["Say | Play | Pause", ...]
    action: str
    method: str
    timeout_s: float
    num_digits: int | None
    finish_on_key: str


type Verb = (
    Say | Play | Pause | Redirect | Hangup | Reject | Connect | Dial | StartRecording | Record | Gather
)


@dataclass(slots=True)
class _Node:
    """An element whose attributes are taken one by one; what is left over is a mistake."""

    element: ET.Element
    left: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.left = dict(self.element.attrib)

    def text(self, name: str, default: str = "") -> str:
        return self.left.pop(name, default)

    def number(self, name: str, default: float, *, low: float, high: float) -> float:
        raw = self.left.pop(name, None)
        if raw is None:
            return default
        try:
            value = float(raw)
        except ValueError:
            value = high + 1
        if not low <= value <= high:
            raise TwimlError(12200, f"<{self.element.tag} {name}> must be a number from {low} to {high}")
        return value

    def choice(self, name: str, default: str, allowed: frozenset[str]) -> str:
        value = self.left.pop(name, default)
        if value not in allowed:
            raise TwimlError(12200, f"<{self.element.tag} {name}={value!r}> is not one of {sorted(allowed)}")
        return value

    def events(self, name: str, allowed: frozenset[str], default: str) -> frozenset[str]:
        values = frozenset(self.text(name, default).split())
        if not values <= allowed:
            raise TwimlError(12200, f"<{self.element.tag} {name}> knows {sorted(allowed)}")
        return values

    def method(self, name: str = "method") -> str:
        return self.choice(name, "POST", frozenset({"GET", "POST"}))

    def body(self) -> str:
        if len(self.element):
            raise TwimlError(12200, f"<{self.element.tag}> takes no children")
        return (self.element.text or "").strip()

    def done(self) -> None:
        if self.left:
            raise TwimlError(12200, f"<{self.element.tag}> has no attribute {sorted(self.left)[0]!r}")


_RECORDING_EVENTS = frozenset({"in-progress", "completed", "absent"})


def parse(document: bytes, content_type: str = "text/xml") -> tuple[Verb, ...]:
    """The verbs of a TwiML document that was fetched from a URL.

    Raises:
        TwimlError: with the code that the debugger would show.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in {"text/xml", "application/xml"}:
        raise TwimlError(12300, f"content type {kind or 'missing'!r} is not text/xml or application/xml")
    if len(document) > MAX_DOCUMENT_BYTES:
        raise TwimlError(12100, "a TwiML document may have 64 KB")
    if b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        raise TwimlError(12100, "a TwiML document must not declare entities")
    try:
        root = ET.fromstring(document)  # noqa: S314 - no entities, and of the application under rehearsal
    except ET.ParseError as exc:
        raise TwimlError(12100, f"document parse failure: {exc}") from exc
    if root.tag != "Response":
        raise TwimlError(12200, f"the root of a TwiML document is <Response>, not <{root.tag}>")
    return tuple(_verb(element) for element in root)


def _verb(element: ET.Element) -> Verb:
    read = _VERBS.get(element.tag)
    if read is None:
        raise TwimlError(12200, f"<{element.tag}> is not a verb that this rehearsal knows")
    node = _Node(element)
    verb = read(node)
    node.done()
    return verb


def _say(node: _Node) -> Say:
    node.text("voice")
    node.text("language")
    loop = int(node.number("loop", 1, low=0, high=1000))
    text = "".join(node.element.itertext()).strip()  # SSML children are spoken as plain text
    if not text:
        raise TwimlError(13520, "<Say> has no text")
    if len(text) > 4096:
        raise TwimlError(13520, "<Say> may have 4096 characters")
    return Say(text, loop)


def _play(node: _Node) -> Play:
    node.number("loop", 1, low=0, high=1000)
    return Play(node.body(), node.text("digits"))


def _pause(node: _Node) -> Pause:
    return Pause(node.number("length", 1, low=0, high=3600))


def _redirect(node: _Node) -> Redirect:
    return Redirect(node.body(), node.method())


def _hangup(node: _Node) -> Hangup:
    node.body()
    return Hangup()


def _reject(node: _Node) -> Reject:
    return Reject(node.choice("reason", "rejected", frozenset({"busy", "rejected"})))


def _only_child(node: _Node, *tags: str) -> ET.Element:
    children = list(node.element)
    if len(children) != 1 or children[0].tag not in tags:
        raise TwimlError(12200, f"<{node.element.tag}> holds exactly one of {', '.join(tags)}")
    return children[0]


def _connect(node: _Node) -> Connect:
    stream = _stream(_Node(_only_child(node, "Stream")))
    return Connect(stream, node.text("action"), node.method())


def _stream(node: _Node) -> Stream:
    url = node.text("url")
    check_stream_url(url)
    if (track := node.text("track", "inbound_track")) != "inbound_track":
        raise TwimlError(31941, f"<Connect><Stream> cannot have track {track!r}")
    parameters: dict[str, str] = {}
    for child in node.element:
        if child.tag != "Parameter" or set(child.attrib) != {"name", "value"}:
            raise TwimlError(12200, "<Stream> holds <Parameter name value> only")
        parameters[child.attrib["name"]] = child.attrib["value"]
    if sum(len(name) + len(value) for name, value in parameters.items()) >= MAX_PARAMETER_CHARS:
        raise TwimlError(31923, "the parameters of a stream must have fewer than 500 characters together")
    stream = Stream(
        url, node.text("name"), parameters, node.text("statusCallback"), node.method("statusCallbackMethod")
    )
    node.done()
    return stream


def check_stream_url(url: str) -> None:
    """wss only (ws to loopback, as nothing leaves the machine); no query string, the real service drops it.

    Raises:
        TwimlError: 31922 scheme, 31923 malformed or with a query.
    """
    parts = urlsplit(url)
    if not parts.hostname:
        raise TwimlError(31923, f"stream URL {url!r} is malformed")
    if parts.scheme != "wss" and not (parts.scheme == "ws" and is_loopback(parts.hostname)):
        raise TwimlError(31922, "the scheme of a stream URL must be wss")
    if parts.query or "?" in url:
        raise TwimlError(31923, "a stream URL must not have a query string")


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _dial(node: _Node) -> Dial:
    children = list(node.element)
    if any(child.tag != "Number" for child in children):
        raise TwimlError(12200, "this rehearsal knows <Dial> with <Number> only")
    numbers = [_number(_Node(child)) for child in children]
    if text := (node.element.text or "").strip():
        numbers.append(Number(text, ""))
    if not numbers:
        raise TwimlError(13221, "<Dial> has nobody to dial")
    for name in ("answerOnBridge", "hangupOnStar", "ringTone"):
        node.text(name)
    for name in ("recordingStatusCallback", "recordingStatusCallbackMethod", "recordingStatusCallbackEvent"):
        node.text(name)
    return Dial(
        tuple(numbers),
        node.text("action"),
        node.method(),
        int(node.number("timeout", 30, low=1, high=600)),
        int(node.number("timeLimit", 14_400, low=1, high=86_400)),
        node.text("callerId"),
        node.text("record", "do-not-record"),
    )


def _number(node: _Node) -> Number:
    phone_number = "".join(filter(lambda char: char in "+0123456789", node.body()))
    if len(phone_number.lstrip("+")) < 3:
        raise TwimlError(13223, f"<Number> {node.body()!r} is not a phone number")
    url = node.text("url")
    for name in ("method", "sendDigits", "statusCallback", "statusCallbackEvent", "statusCallbackMethod"):
        node.text(name)
    node.done()
    return Number(phone_number, url)


def _start(node: _Node) -> StartRecording:
    child = _Node(_only_child(node, "Recording"))
    verb = StartRecording(
        channels=2 if child.choice("channels", "mono", frozenset({"mono", "dual"})) == "dual" else 1,
        track=child.choice("track", "both", frozenset({"inbound", "outbound", "both"})),
        trim=child.choice("trim", "do-not-trim", frozenset({"trim-silence", "do-not-trim"}))
        == "trim-silence",
        status_callback=child.text("recordingStatusCallback"),
        status_callback_method=child.method("recordingStatusCallbackMethod"),
        events=child.events("recordingStatusCallbackEvent", _RECORDING_EVENTS, "completed"),
    )
    child.done()
    node.text("action")
    node.text("method")
    return verb


def _record(node: _Node) -> Record:
    for name in ("transcribe", "transcribeCallback", "trim", "recordingTrack"):
        node.text(name)
    return Record(
        node.text("action"),
        node.method(),
        node.number("timeout", 5, low=0, high=600),
        node.number("maxLength", 3600, low=1, high=14_400),
        node.text("finishOnKey", "1234567890*#"),
        node.choice("playBeep", "true", frozenset({"true", "false"})) == "true",
        node.text("recordingStatusCallback"),
        node.method("recordingStatusCallbackMethod"),
        node.events("recordingStatusCallbackEvent", _RECORDING_EVENTS, "completed"),
    )


def _gather(node: _Node) -> Gather:
    prompts = [_verb(child) for child in node.element]
    if any(not isinstance(prompt, Say | Play | Pause) for prompt in prompts):
        raise TwimlError(12200, "<Gather> holds Say, Play and Pause only")
    for name in ("input", "language", "actionOnEmptyResult", "speechTimeout", "hints"):
        node.text(name)
    digits = int(node.number("numDigits", 0, low=0, high=100))
    return Gather(
        tuple(prompt for prompt in prompts if isinstance(prompt, Say | Play | Pause)),
        node.text("action"),
        node.method(),
        node.number("timeout", 5, low=0, high=600),
        digits or None,
        node.text("finishOnKey", "#"),
    )


_VERBS: dict[str, Callable[[_Node], Verb]] = {
    "Say": _say,
    "Play": _play,
    "Pause": _pause,
    "Redirect": _redirect,
    "Hangup": _hangup,
    "Reject": _reject,
    "Connect": _connect,
    "Dial": _dial,
    "Start": _start,
    "Record": _record,
    "Gather": _gather,
}
