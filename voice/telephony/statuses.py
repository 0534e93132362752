"""What Twilio's call statuses mean to us. Pure.

Callbacks come late, twice and out of order (twilio.md 10). Order needs no bookkeeping here: every status
names a move of the call's table, the moves only go forward, and a terminal state has no exit.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import assert_never

from voice.models import EndReason


class Move(StrEnum):
    """The moves of a call that a status can name."""

    NONE = "none"
    RING = "ring"
    ANSWER = "answer"
    END = "end"


class ProviderStatus(StrEnum):
    """`CallStatus` of callbacks and `status` of the call resource. `initiated` is seen in callbacks only."""

    QUEUED = "queued"
    INITIATED = "initiated"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    BUSY = "busy"
    FAILED = "failed"
    NO_ANSWER = "no-answer"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Reading:
    """`reason` is set iff `move` is END."""

    move: Move
    reason: EndReason | None = None


_BUSY_SIP = frozenset({486, 600})
_NO_ANSWER_SIP = frozenset({408, 480, 487})
_REFUSED_SIP = frozenset({401, 403, 404, 410, 484, 603, 604, 607, 608})
"""Blocked, no such number, unwanted (RFC 3261, RFC 8197, RFC 8688): dialing again changes nothing."""


def parse(raw: str) -> ProviderStatus | None:
    """None for a status that did not exist when this was written: it changes nothing."""
    try:
        return ProviderStatus(raw)
    except ValueError:
        return None


def read(status: ProviderStatus, sip_code: int | None = None) -> Reading:
    """What our call has to do when Twilio says `status`.

    `completed` means that the call was answered and is over: whoever hung up, the live session knows better
    (`Call.end_hint`), and without its word it was the other side.
    """
    match status:
        case ProviderStatus.QUEUED | ProviderStatus.INITIATED:
            return Reading(Move.NONE)
        case ProviderStatus.RINGING:
            return Reading(Move.RING)
        case ProviderStatus.IN_PROGRESS:
            return Reading(Move.ANSWER)
        case ProviderStatus.COMPLETED:
            return Reading(Move.END, EndReason.CALLER_HANGUP)
        case ProviderStatus.BUSY:
            return Reading(Move.END, EndReason.REJECTED if sip_code in _REFUSED_SIP else EndReason.BUSY)
        case ProviderStatus.NO_ANSWER:
            return Reading(Move.END, EndReason.NO_ANSWER)
        case ProviderStatus.CANCELED:
            return Reading(Move.END, EndReason.CANCELED)
        case ProviderStatus.FAILED:
            return Reading(Move.END, failure(sip_code))
    assert_never(status)


def failure(sip_code: int | None) -> EndReason:
    """Why a `failed` call failed, from `SipResponseCode`."""
    if sip_code in _BUSY_SIP:
        return EndReason.BUSY
    if sip_code in _NO_ANSWER_SIP:
        return EndReason.NO_ANSWER
    if sip_code in _REFUSED_SIP:
        return EndReason.REJECTED
    return EndReason.CARRIER_FAILED


RETRYABLE = frozenset({EndReason.NO_ANSWER, EndReason.BUSY, EndReason.CARRIER_FAILED, EndReason.MACHINE})
"""Ends after which the same lead may be called again, if the batch allows another attempt."""

MACHINE_ANSWERS = frozenset(
    {"machine_start", "machine_end_beep", "machine_end_silence", "machine_end_other", "fax"}
)
"""`AnsweredBy` values that are not a person; `human` and `unknown` are treated as one (twilio.md 12)."""


def instant(rfc2822: str) -> datetime | None:
    """`Timestamp` of a callback, `date_created` and the like; None if it cannot be read."""
    try:
        at = parsedate_to_datetime(rfc2822)
    except (ValueError, TypeError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def number(raw: str) -> int | None:
    """A non-negative decimal of a callback field; None if it is anything else."""
    return int(raw) if raw.isascii() and raw.isdigit() and len(raw) <= 9 else None
