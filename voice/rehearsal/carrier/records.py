"""The carrier's books: calls, recordings, numbers, alerts. In memory, lost at the end of the process."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from voice.rehearsal.carrier.options import NumberSetup


class CallStatus(StrEnum):
    QUEUED = "queued"
    INITIATED = "initiated"  # in callbacks only
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    BUSY = "busy"
    FAILED = "failed"
    NO_ANSWER = "no-answer"
    CANCELED = "canceled"

    @property
    def terminal(self) -> bool:
        return self in _TERMINAL


_TERMINAL = {
    CallStatus.COMPLETED,
    CallStatus.BUSY,
    CallStatus.FAILED,
    CallStatus.NO_ANSWER,
    CallStatus.CANCELED,
}


def new_sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Alert:
    """An entry of the debugger: what the real service would complain about."""

    code: int
    message: str
    call_sid: str = ""
    at: datetime = field(default_factory=utc_now)
    level: str = "warning"


@dataclass(slots=True)
class StatusEntry:
    status: CallStatus
    at: datetime
    clock_s: float


@dataclass(slots=True)
class CallbackPlan:
    """Where to report and what; `events` empty: nothing at all."""

    url: str = ""
    method: str = "POST"
    events: frozenset[str] = frozenset({"completed"})


@dataclass(slots=True)
class RecordingRecord:
    sid: str
    call_sid: str
    channels: int
    source: str
    track: str = "both"
    callback: CallbackPlan = field(default_factory=CallbackPlan)
    status: str = "in-progress"
    start_time: datetime = field(default_factory=utc_now)
    date_updated: datetime = field(default_factory=utc_now)
    remote: bytearray = field(default_factory=bytearray)
    """µ-law of the remote person since `start_time`."""
    ours: bytearray = field(default_factory=bytearray)
    """µ-law of what our side played, as it was heard."""
    duration_s: int | None = None
    trim: bool = False
    not_found_left: int = 0
    """Downloads that still get a 404 although the recording is there (it happens for seconds in reality)."""
    paused: str = ""
    """`skip` or `silence` while it is paused."""


@dataclass(slots=True)
class NumberRecord:
    sid: str
    phone_number: str
    friendly_name: str
    voice_url: str = ""
    voice_method: str = "POST"
    voice_fallback_url: str = ""
    voice_fallback_method: str = "POST"
    voice_application_sid: str = ""
    trunk_sid: str = ""
    status_callback: str = ""
    status_callback_method: str = "POST"
    kind: str = "local"
    date_created: datetime = field(default_factory=utc_now)
    date_updated: datetime = field(default_factory=utc_now)


@dataclass(slots=True)
class StreamFacts:
    """What went over one media stream."""

    sid: str
    media_in: int = 0
    media_in_ms: int = 0
    """Sound that the application sent, played or not."""
    media_out: int = 0
    frames_lost: int = 0
    marks: int = 0
    clears: int = 0
    violations: int = 0
    closed_by: str = ""
    """`app` or `carrier`."""
    close_code: int | None = None


@dataclass(slots=True)
class CallRecord:
    sid: str
    from_: str
    to: str
    direction: str
    status: CallStatus
    callback: CallbackPlan
    parent_call_sid: str | None = None
    phone_number_sid: str = ""
    date_created: datetime = field(default_factory=utc_now)
    date_updated: datetime = field(default_factory=utc_now)
    start_time: datetime | None = None
    end_time: datetime | None = None
    duration_s: int | None = None
    answered_by: str | None = None
    amd_duration_ms: int | None = None
    queue_ms: int = 0
    sip_code: int | None = None
    callback_sequence: int = 0
    # --- the truth, for tests and reports -----------------------------------------------------------
    history: list[StatusEntry] = field(default_factory=list)
    dials: int = 0
    """How often the remote phone was made to ring by this call."""
    scenario: str = ""
    hung_up_by: str = ""
    """`app`, `caller`, `twiml`, `carrier`."""
    heard_ms: int = 0
    """Sound of our side that the remote person heard (not counting digital silence)."""
    spoke_ms: int = 0
    streams: list[StreamFacts] = field(default_factory=list)
    caller_lines: list[str] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)
    """Tools that the scenario's agent called, if the offline model played it."""
    tool_at_ms: dict[str, int] = field(default_factory=dict)
    """First call of each tool, since the answer."""
    script_done: bool = False
    """Every step of the caller was played."""
    agent_lines: list[str] = field(default_factory=list)
    callbacks: list[dict[str, str]] = field(default_factory=list)
    """Every form that was (or would have been) posted about this call, in order of origin."""

    @property
    def remote(self) -> str:
        """The person's number; ours is the other one."""
        return self.from_ if self.direction == "inbound" else self.to

    @property
    def local(self) -> str:
        return self.to if self.direction == "inbound" else self.from_


class Books:
    """Everything that the account knows."""

    def __init__(self, numbers: tuple[NumberSetup, ...]) -> None:
        self.calls: dict[str, CallRecord] = {}
        self.recordings: dict[str, RecordingRecord] = {}
        self.deleted_recordings: dict[str, RecordingRecord] = {}
        self.numbers: dict[str, NumberRecord] = {}
        self.alerts: list[Alert] = []
        for setup in numbers:
            self.add_number(setup)

    def add_number(self, setup: NumberSetup) -> NumberRecord:
        """Own a number (or set the URLs of one that is owned already)."""
        record = self.number(setup.phone_number)
        if record is None:
            record = NumberRecord(new_sid("PN"), setup.phone_number, setup.phone_number)
            self.numbers[record.sid] = record
        record.voice_url = setup.voice_url
        record.voice_fallback_url = setup.voice_fallback_url
        record.status_callback = setup.status_callback
        record.date_updated = utc_now()
        return record

    def number(self, phone_number: str) -> NumberRecord | None:
        return next((n for n in self.numbers.values() if n.phone_number == phone_number), None)

    def alert(self, code: int, message: str, *, call_sid: str = "", level: str = "warning") -> None:
        self.alerts.append(Alert(code, message, call_sid, level=level))

    def recordings_of(self, call_sid: str) -> list[RecordingRecord]:
        return [item for item in self.recordings.values() if item.call_sid == call_sid]
