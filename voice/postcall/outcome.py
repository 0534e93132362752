"""How a call is classified (contract.md 2). Pure: facts in, one of a closed list out."""

from dataclasses import dataclass
from typing import assert_never

from voice.models.calls import Direction, EndReason, Outcome


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a call that is over. `qualification` is empty if nobody judged it."""

    direction: Direction
    end_reason: EndReason
    answered: bool
    answered_by: str = ""
    opted_out: bool = False
    transferred: bool = False
    callback: bool = False
    talked: bool = False
    qualification: str = ""


def machine(facts: Facts) -> bool:
    """An answering machine was on the line (Twilio's `AnsweredBy`, twilio.md 12); unknown is a person."""
    return facts.end_reason == EndReason.MACHINE or facts.answered_by.startswith("machine")


def fax(facts: Facts) -> bool:
    return facts.end_reason == EndReason.FAX or facts.answered_by == "fax"


def outcome_of(facts: Facts) -> Outcome:
    """The first that holds: opted out, never connected, machine, verdict and what was arranged, failure."""
    if facts.opted_out or facts.end_reason == EndReason.OPTED_OUT:
        return Outcome.OPTED_OUT
    if fax(facts):
        return Outcome.FAILED
    if machine(facts):
        return Outcome.VOICEMAIL
    if not facts.answered:
        return _never_connected(facts)
    if facts.qualification == "qualified":
        return Outcome.QUALIFIED
    if facts.transferred or facts.end_reason == EndReason.TRANSFERRED:
        return Outcome.TRANSFERRED
    if facts.qualification == "unqualified":
        return Outcome.UNQUALIFIED
    if facts.callback:
        return Outcome.CALLBACK
    if not facts.talked and facts.end_reason in _OUR_FAULT:
        return Outcome.FAILED
    return Outcome.UNDETERMINED


_OUR_FAULT = (
    EndReason.MODEL_UNAVAILABLE,
    EndReason.MEDIA_LOST,
    EndReason.NO_AGENT,
    EndReason.NO_CAPACITY,
    EndReason.SUPERSEDED,
    EndReason.CARRIER_FAILED,
    EndReason.INTERNAL_ERROR,
)


def _never_connected(facts: Facts) -> Outcome:
    match facts.end_reason:
        case EndReason.BUSY:
            return Outcome.BUSY
        case EndReason.NO_ANSWER | EndReason.SILENCE | EndReason.MAX_DURATION:
            return Outcome.NO_ANSWER
        case EndReason.CANCELED | EndReason.OPERATOR_HANGUP | EndReason.SUPERSEDED:
            return Outcome.CANCELED
        case EndReason.CALLER_HANGUP:
            # Whoever called gave up: they before we picked up, or the called side refused to.
            return Outcome.CANCELED if facts.direction == Direction.INBOUND else Outcome.NO_ANSWER
        case (
            EndReason.REJECTED
            | EndReason.CARRIER_FAILED
            | EndReason.NOT_PLACED
            | EndReason.MODEL_UNAVAILABLE
            | EndReason.MEDIA_LOST
            | EndReason.NO_AGENT
            | EndReason.NO_CAPACITY
            | EndReason.INTERNAL_ERROR
            | EndReason.AGENT_HANGUP
            | EndReason.TRANSFERRED
        ):
            return Outcome.FAILED
        case EndReason.OPTED_OUT:
            return Outcome.OPTED_OUT
        case EndReason.MACHINE:
            return Outcome.VOICEMAIL
        case EndReason.FAX:
            return Outcome.FAILED
        case never:
            assert_never(never)
