"""The doors that answer with TwiML: what a call shall do next. All may be asked twice, in any order."""

import uuid

import structlog
from django.db import IntegrityError
from django.http import HttpResponse

from tenex.workspaces.models import RecordingConsent
from voice.ingress.doors import Form, by_attempt, by_call, by_call_sid, by_called_number, twilio, xml
from voice.models import Call, DialAttempt, Direction, EndReason
from voice.opening import wording
from voice.services import accounts, attempts, calls, consent, continuation, inbound, live, progress
from voice.services.attempts import Adoption
from voice.services.continuation import Next, Step
from voice.telephony import addresses, twiml

log = structlog.get_logger(__name__)


@twilio(by_called_number)
def incoming(form: Form) -> HttpResponse:
    """Voice URL of our numbers (twilio.md 7)."""
    call = inbound.receive(inbound.Ringing(form["CallSid"], form["From"], form["To"]))
    if call is None or not accounts.signed(form.owner, call):  # a call id may be known that is another's
        return xml(twiml.reject())
    return xml(_carry_out(continuation.first(call), fresh=True))


@twilio(by_attempt)
def answered(form: Form, attempt_id: uuid.UUID) -> HttpResponse:
    """Answer URL of a call that we placed. Only the attempt that counts may talk."""
    attempt = _adopt(attempt_id, form["CallSid"])
    if attempt is None:
        return xml(twiml.hangup())
    progress.apply(attempt.call_id, progress.Report(status="in-progress", answered_by=form["AnsweredBy"]))
    call = _call(attempt.call_id)
    return xml(_carry_out(continuation.first(call), fresh=True)) if call else xml(twiml.hangup())


@twilio(by_call)
def resume(form: Form, call_id: uuid.UUID) -> HttpResponse:
    """Behind `<Connect><Stream>`: the media socket is gone."""
    return xml(_carry_out(continuation.after_stream(call_id)))


@twilio(by_call)
def dialed(form: Form, call_id: uuid.UUID) -> HttpResponse:
    """Action URL of `<Dial>`: the person has hung up, or was not there."""
    step = continuation.after_dial(call_id, form["DialCallStatus"])
    return xml(_carry_out(step, apology=twiml.TRANSFER_FAILED))


@twilio(by_call_sid)
def fallback(form: Form) -> HttpResponse:
    """Twilio could not get an answer from another door of ours."""
    log.error("carrier asked the fallback address", error_code=form["ErrorCode"])
    call = Call.objects.select_related("number").filter(provider_sid=form["CallSid"]).first()
    if call is None:
        return xml(twiml.say_and_hangup(twiml.APOLOGY))
    calls.hint_end(call.pk, EndReason.INTERNAL_ERROR)
    call.refresh_from_db(fields=["end_hint", "status"])
    return xml(_carry_out(continuation.first(call)))


def _carry_out(step: Step, *, fresh: bool = False, apology: str = twiml.APOLOGY) -> str:
    """A step as TwiML. `fresh`: the call talks for the first time, so its recording starts here."""
    call = step.call
    match step.next:
        case Next.TALK if call is not None:
            return _talk(call, fresh=fresh)
        case Next.TRANSFER if call is not None:
            return twiml.transfer(_person(call, step.transfer_to))
        case Next.APOLOGIZE if call is not None:
            if not step.transfer_to:
                return twiml.apology(text=apology)
            continuation.note_fallback(call, step.transfer_to)
            return twiml.apology(text=apology, transfer=_person(call, step.transfer_to))
        case _:
            return twiml.hangup()


def _talk(call: Call, *, fresh: bool) -> str:
    token = live.issue_token(call)
    target = twiml.StreamTarget(
        url=addresses.media(token if call.account_sid else ""),
        call_id=str(call.pk),
        token=token,
        status_url=addresses.stream_status(call.pk),
        resume_url=addresses.resume(call.pk),
    )
    # An outgoing call is recorded from the end of its opening on (voice.session.record).
    # So is an incoming one whose caller is asked; a notice alone is spoken before the agent comes on.
    recorded = (
        fresh
        and call.direction == Direction.INBOUND
        and consent.of_call(call) == RecordingConsent.ANNOUNCE
        and call.off_record_at is None
    )
    request = None
    if recorded:
        notice, language = wording.notice(consent.language_of(call))
        request = twiml.RecordingRequest(addresses.recording(call.pk), notice, language)
    return twiml.connect_stream(target, name=f"agent-{call.resumes + 1}", recording=request)


def _person(call: Call, number: str) -> twiml.DialTarget:
    return twiml.DialTarget(
        number=number,
        action_url=addresses.after_dial(call.pk),
        caller_id=call.number.e164 if call.number else "",
    )


def _adopt(attempt_id: uuid.UUID, sid: str) -> DialAttempt | None:
    """The attempt if it is the one that counts, now with this sid; else None."""
    if not sid:
        return None
    try:
        if attempts.adopt(attempt_id, sid) != Adoption.CURRENT:
            log.warning("superseded attempt answered", attempt_id=str(attempt_id))
            return None
    except (DialAttempt.DoesNotExist, IntegrityError):
        log.warning("answer for no attempt of ours", attempt_id=str(attempt_id))
        return None
    return DialAttempt.objects.get(pk=attempt_id)


def _call(call_id: uuid.UUID) -> Call | None:
    return (
        Call.objects.select_related("workspace", "number", "agent_version__agent__profile")
        .filter(pk=call_id)
        .first()
    )
