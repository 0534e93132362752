"""What becomes of a call when its media stream, or a transfer of it, is over (promises.md R7)."""

import uuid
from dataclasses import dataclass
from enum import StrEnum

from django.db import transaction
from django.db.models import F

from voice.models import Call, CallStatus, EndReason, SessionStatus
from voice.models.calls import LIVE
from voice.services import calls, journal

MAX_RESUMES = 3

_OUR_FAULT = frozenset(
    {
        EndReason.MODEL_UNAVAILABLE,
        EndReason.MEDIA_LOST,
        EndReason.NO_CAPACITY,
        EndReason.NO_AGENT,
        EndReason.INTERNAL_ERROR,
    }
)


_TALKED = frozenset({"completed", "answered"})
"""`DialCallStatus` of a `<Dial>` whose person was there."""


class Next(StrEnum):
    TALK = "talk"
    """Another stream: the agent goes on where it was."""
    APOLOGIZE = "apologize"
    """Say sorry, then ring the number's fallback person, or hang up."""
    TRANSFER = "transfer"
    """Ring the person that the agent promised."""
    HANG_UP = "hang_up"


@dataclass(frozen=True, slots=True)
class Step:
    """`transfer_to` is a number in E.164 for TRANSFER, and for APOLOGIZE where there is one."""

    next: Next
    call: Call | None = None
    transfer_to: str = ""


def first(call: Call) -> Step:
    """How to answer a call that rings, or was picked up by the person whom we called."""
    if call.status not in LIVE:
        return Step(Next.HANG_UP)
    if call.end_hint:
        return _over(call)
    return Step(Next.TALK, call)


def after_stream(call_id: uuid.UUID) -> Step:
    """The socket of the call is closed: by us on purpose, by accident, or with its process."""
    with transaction.atomic():
        call = _locked(call_id)
        if call is None or call.status not in LIVE:
            return Step(Next.HANG_UP)
        if call.transfer_state == "requested" and call.transfer_to:
            return Step(Next.TRANSFER, call, call.transfer_to)
        if call.end_hint:
            return _over(call)
        if call.agent_version_id is None or call.resumes >= MAX_RESUMES:
            reason = _lost(call)
            calls.hint_end(call.pk, reason)
            return _over(call, reason)
        Call.objects.filter(pk=call.pk).update(resumes=F("resumes") + 1)
        call.resumes += 1
        journal.append(call.pk, [journal.Line("stream.resuming", {"resumes": call.resumes})])
    return Step(Next.TALK, call)


def after_dial(call_id: uuid.UUID, dial_status: str) -> Step:
    """A `<Dial>` of the call is over, or was replaced by newer instructions, whose answer here is not used.

    A person who was not there: the agent says so, if it can still talk.
    """
    with transaction.atomic():
        call = _locked(call_id)
        if call is None or call.status not in LIVE:
            if call is not None and dial_status in _TALKED:
                _bridged_late(call)
            return Step(Next.HANG_UP)
        if dial_status in _TALKED:
            if call.transfer_state in {"requested", "ringing"}:
                _set_transfer(call, "bridged")
                calls.hint_end(call.pk, EndReason.TRANSFERRED)
            return Step(Next.HANG_UP, call)
        _set_transfer(call, "failed")
        call.transfer_state = "failed"
        talk_again = not call.end_hint and call.agent_version_id and call.resumes < MAX_RESUMES
        if not talk_again:
            calls.hint_end(call.pk, _lost(call))
            return Step(Next.APOLOGIZE, call)
        Call.objects.filter(pk=call.pk).update(resumes=F("resumes") + 1)
        call.resumes += 1
    return Step(Next.TALK, call)


def _bridged_late(call: Call) -> None:
    """The end of the call was told before the end of its transfer: they did talk to a person."""
    if call.transfer_state in {"requested", "ringing"} and call.status != CallStatus.FINALIZED:
        _set_transfer(call, "bridged")
        Call.objects.filter(pk=call.pk, end_reason=EndReason.CALLER_HANGUP).update(
            end_reason=EndReason.TRANSFERRED
        )


def note_fallback(call: Call, number: str) -> None:
    """The carrier rings a person on our behalf: the sweeper leaves such a call alone."""
    Call.objects.filter(pk=call.pk).update(transfer_state="requested", transfer_to=number)


def _over(call: Call, hint: EndReason | None = None) -> Step:
    reason = hint or EndReason(call.end_hint)
    if reason not in _OUR_FAULT:
        return Step(Next.HANG_UP, call)
    fallback = call.number.fallback_number if call.number else ""
    tried = call.transfer_state in {"bridged", "failed"}
    return Step(Next.APOLOGIZE, call, "" if tried else fallback)


def _lost(call: Call) -> EndReason:
    """What a call that cannot go on has lost: the model, if its last session failed, else the media."""
    last = call.sessions.order_by("-number").values_list("status", flat=True).first()
    return EndReason.MODEL_UNAVAILABLE if last == SessionStatus.FAILED else EndReason.MEDIA_LOST


def _set_transfer(call: Call, state: str) -> None:
    Call.objects.filter(pk=call.pk).update(transfer_state=state)
    journal.append(call.pk, [journal.Line("transfer", {"state": state})])


def _locked(call_id: uuid.UUID) -> Call | None:
    return (
        Call.objects.select_for_update(of=("self",))
        .select_related("workspace", "number", "agent_version__agent__profile")
        .filter(pk=call_id)
        .exclude(status=CallStatus.QUEUED)
        .first()
    )
