"""The faults that the offline OpenAI server can play, and where they strike.

A fault is armed over `/control/faults` (or by :meth:`Faults.arm` in the same process). Some strike the next
connection, some a session at once, some wait in the session for their moment.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from voice.rehearsal.model.session import RealtimeSession
from voice.rehearsal.model.shapes import Refusal


class Fault(StrEnum):
    """What can go wrong."""

    # the next connection
    UNAUTHORIZED = "unauthorized"
    HANDSHAKE_QUOTA = "handshake_quota"
    HANDSHAKE_UNAVAILABLE = "handshake_unavailable"
    DELAY_HANDSHAKE = "delay_handshake"
    # a session, when its moment comes
    REJECT_SESSION_UPDATE = "reject_session_update"
    WITHHOLD_SESSION_UPDATED = "withhold_session_updated"
    FAIL_TRANSCRIPTION = "fail_transcription"
    FAIL_RESPONSE = "fail_response"
    QUOTA = "quota"
    # a session, now
    DROP_FIN = "drop_fin"
    DROP_RST = "drop_rst"
    BLACKHOLE = "blackhole"
    CLOSE = "close"
    SESSION_EXPIRED = "session_expired"
    SERVER_ERROR = "server_error"
    MALFORMED_JSON = "malformed_json"
    UNKNOWN_EVENT = "unknown_event"
    TRICKLE = "trickle"
    # the Responses API
    VERDICT_MALFORMED = "verdict_malformed"
    VERDICT_REFUSAL = "verdict_refusal"
    VERDICT_STATUS = "verdict_status"
    VERDICT_SLOW = "verdict_slow"


SCRIPTED = {
    "fin": Fault.DROP_FIN,
    "rst": Fault.DROP_RST,
    "blackhole": Fault.BLACKHOLE,
    "session_expired": Fault.SESSION_EXPIRED,
    "malformed": Fault.MALFORMED_JSON,
    "trickle": Fault.TRICKLE,
}
"""Faults of the scenario grammar that strike the session (`quota` fails the response itself)."""
_CONNECTION = {
    Fault.UNAUTHORIZED,
    Fault.HANDSHAKE_QUOTA,
    Fault.HANDSHAKE_UNAVAILABLE,
    Fault.DELAY_HANDSHAKE,
}
_VERDICT = {Fault.VERDICT_MALFORMED, Fault.VERDICT_REFUSAL, Fault.VERDICT_STATUS, Fault.VERDICT_SLOW}


@dataclass(frozen=True, slots=True)
class Armed:
    """`seconds` for delays, `status` for HTTP answers, `code` for close codes and error codes."""

    fault: Fault
    seconds: float = 1.0
    status: int = 500
    code: str = ""
    bytes_per_s: float = 200.0


@dataclass(slots=True)
class Faults:
    """Faults that wait for a connection, a session or a request that is still to come."""

    waiting: list[Armed] = field(default_factory=list)

    def arm(self, armed: Armed, *, times: int = 1) -> None:
        self.waiting += [armed] * times

    def take(self, fault: Fault) -> Armed | None:
        for index, armed in enumerate(self.waiting):
            if armed.fault is fault:
                return self.waiting.pop(index)
        return None

    def take_for_session(self) -> list[Armed]:
        """What was armed for the session that opens now."""
        mine = [armed for armed in self.waiting if armed.fault not in _CONNECTION | _VERDICT]
        kept = [armed for armed in self.waiting if armed.fault in _CONNECTION | _VERDICT]
        first: dict[Fault, Armed] = {}
        for armed in mine:
            if armed.fault in first:
                kept.append(armed)  # "twice" means two sessions
            else:
                first[armed.fault] = armed
        self.waiting = kept
        return list(first.values())


def for_sessions(fault: Fault) -> bool:
    """Does this fault strike sessions (and not handshakes or verdicts)?"""
    return fault not in _CONNECTION | _VERDICT


def strike(session: RealtimeSession, armed: Armed, *, times: int = 1) -> None:
    """Play `armed` on this session, at once or at its moment."""
    match armed.fault:
        case Fault.REJECT_SESSION_UPDATE | Fault.WITHHOLD_SESSION_UPDATED | Fault.FAIL_TRANSCRIPTION:
            session.faults.arm(armed.fault.value, times)
        case Fault.FAIL_RESPONSE | Fault.QUOTA:
            code = "insufficient_quota" if armed.fault is Fault.QUOTA else armed.code or "server_error"
            session.faults.response_error = {
                "type": code,
                "code": code,
                "message": "The response could not be produced.",
            }
        case Fault.DROP_FIN | Fault.DROP_RST:
            session.outbox.cut(reset=armed.fault is Fault.DROP_RST)
        case Fault.BLACKHOLE:
            session.outbox.blackhole()
        case Fault.CLOSE:
            session.outbox.close(int(armed.code or 1011), "fault")
        case Fault.SESSION_EXPIRED:
            session.expire()
        case Fault.SERVER_ERROR:
            message = "The server had an error while processing your request."
            session.emit_error(Refusal(message, code="server_error", error_type="server_error"))
        case Fault.MALFORMED_JSON:
            session.outbox.emit_raw(b'{"type":"response.output_audio.delta","delta":')
        case Fault.UNKNOWN_EVENT:
            session.outbox.emit("rehearsal.not_in_any_documentation", note="clients ignore unknown events")
        case Fault.TRICKLE:
            session.outbox.trickle(armed.bytes_per_s)
        case _:
            raise ValueError(f"{armed.fault} does not strike a session")
