"""The doors that take note: status, answering machine, recording, stream. All answer 204, after commit."""

import uuid

import structlog
from django.db import IntegrityError
from django.http import HttpResponse

from tenex.lib.wake import wake
from voice.ingress.doors import Form, by_attempt, by_call, by_call_sid, done, twilio
from voice.models import Call, DialAttempt
from voice.services import accounts, attempts, calls, control, journal, progress, recordings
from voice.services.attempts import Adoption
from voice.telephony import statuses

log = structlog.get_logger(__name__)

_STILL_RINGS = frozenset({"queued", "initiated", "ringing", "in-progress"})


@twilio(by_call_sid)
def number_status(form: Form) -> HttpResponse:
    """Status callback of our numbers: fires at the end of an incoming call."""
    call_id = Call.objects.filter(provider_sid=form["CallSid"]).values_list("pk", flat=True).first()
    if call_id is None:
        log.info("status of a call that is not ours")
        return done()
    _apply(call_id, form)
    return done()


@twilio(by_attempt)
def attempt_status(form: Form, attempt_id: uuid.UUID) -> HttpResponse:
    """Status callback of a call that we placed. It may know the sid before the answer to our request does."""
    if not form["CallSid"]:
        return done()
    try:
        if attempts.adopt(attempt_id, form["CallSid"]) != Adoption.CURRENT:
            log.info("status of a superseded attempt", attempt_id=str(attempt_id))
            if form["CallStatus"] in _STILL_RINGS:
                _drop(form, attempt_id)
            return done()
    except (DialAttempt.DoesNotExist, IntegrityError):
        log.warning("status of no attempt of ours", attempt_id=str(attempt_id))
        return done()
    call_id = DialAttempt.objects.values_list("call_id", flat=True).get(pk=attempt_id)
    _apply(call_id, form)
    return done()


def _drop(form: Form, attempt_id: uuid.UUID) -> None:
    if (owner := accounts.of_attempt(attempt_id)) is not None:
        wake("voice.outbound.drop", form["CallSid"], str(owner.workspace_id), owner.account_sid)


@twilio(by_attempt)
def answered_by(form: Form, attempt_id: uuid.UUID) -> HttpResponse:
    """Async AMD (twilio.md 12): first the row, then the live session, wherever it runs."""
    value = form["AnsweredBy"][:30]
    call = Call.objects.filter(attempts=attempt_id, provider_sid=form["CallSid"]).only("pk").first()
    if call is None or not value:
        return done()
    if Call.objects.filter(pk=call.pk, answered_by="").update(answered_by=value):
        took_ms = form.number("MachineDetectionDuration")
        line = {"answered_by": value, "took_ms": took_ms}
        journal.append(call.pk, [journal.Line("call.answered_by", line)])
    try:
        control.send(call.pk, "answered_by", value=value)
    except Exception as exc:  # the row is there; the channel layer only makes it immediate
        log.warning("live session not told", call_id=str(call.pk), error=type(exc).__name__)
    return done()


@twilio(by_call)
def recording(form: Form, call_id: uuid.UUID) -> HttpResponse:
    """Recording callback (twilio.md 11), repeated by Twilio until it is taken."""
    if not form["RecordingSid"]:
        return done()
    recordings.note_callback(call_id, form.cleaned())
    return done()


@twilio(by_call)
def stream(form: Form, call_id: uuid.UUID) -> HttpResponse:
    """Status of the media stream."""
    event = form["StreamEvent"]
    if event == "stream-error":
        log.warning("media stream failed", call_id=str(call_id), error=form["StreamError"][:200])
        journal.append(call_id, [journal.Line("stream.error", {"error": form["StreamError"][:200]})])
    elif event == "stream-started" and Call.objects.filter(pk=call_id, provider_sid=form["CallSid"]).exists():
        calls.answer(call_id)  # usually the socket was faster
    return done()


def _apply(call_id: uuid.UUID, form: Form) -> None:
    progress.apply(
        call_id,
        progress.Report(
            status=form["CallStatus"],
            seq=form.number("SequenceNumber"),
            at=statuses.instant(form["Timestamp"]) if form["Timestamp"] else None,
            duration_s=form.number("CallDuration"),
            sip_code=form.number("SipResponseCode"),
            answered_by=form["AnsweredBy"],
            error_code=form["ErrorCode"],
        ),
    )
