"""An incoming call: one row a CallSid, however often the carrier tells us of it."""

from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.db import IntegrityError, transaction
from django.utils import timezone

from tenex.errors import Unavailable
from tenex.events.services import Fact
from tenex.lib.phone import mask, normalize_or_none
from voice.models import Call, CallStatus, Direction, EndReason, NumberStatus, PhoneNumber
from voice.models.calls import RecordingAsked
from voice.services import caller_lead, calls, consent, model_access, readiness, returns
from voice.services.timing import timing

log = structlog.get_logger(__name__)


# What the answer to a ringing call needs, of four wide rows. Whoever needs more gets it by another query.
_READ = (
    "e164",
    "account_sid",
    "fallback_number",
    "calendar_id",
    "workspace__max_concurrent_calls",
    "workspace__recording_consent",
    "workspace__recording_consent_places",
    "agent__archived_at",
    "agent__calendar_id",
    "agent__current_version__objective",
    "agent__profile__language",
)


@dataclass(frozen=True, slots=True)
class Ringing:
    """What the carrier says of an incoming call. `from_` may be withheld, sip: or client: (twilio.md 7)."""

    call_sid: str
    from_: str
    to: str


def receive(ringing: Ringing) -> Call | None:
    """The call's row, made at the first telling; None if the number is nobody's.

    The carrier waits for this: a new call from a number that nobody knows costs a dozen statements.

    A call that no agent can take has its reason in `end_hint`, and ends with it when the carrier says so.
    """
    number = _number(ringing.to)
    if number is None:
        log.warning("call to a number that is nobody's", to=mask(ringing.to))
        return _known(ringing.call_sid)  # a number that was released during its call
    for _ in range(2):
        try:
            with transaction.atomic():
                return _create(number, ringing)
        except IntegrityError:  # told of before, or the caller's lead was added this instant
            if call := _known(ringing.call_sid):
                return call
    raise Unavailable("the call could not be written down")


def _known(call_sid: str) -> Call | None:
    return Call.objects.select_related("workspace", "number").filter(provider_sid=call_sid).first()


def _number(to: str) -> PhoneNumber | None:
    e164 = normalize_or_none(to) or to
    return (
        PhoneNumber.objects.select_related("workspace", "agent__current_version", "agent__profile")
        .only(*_READ)
        .filter(e164=e164, status__in=(NumberStatus.ACTIVE, NumberStatus.PENDING))
        .order_by()  # one at most
        .first()
    )


def _create(number: PhoneNumber, ringing: Ringing) -> Call:
    agent = number.agent if number.agent and number.agent.archived_at is None else None
    version = agent.current_version if agent else None
    if version is not None and agent is not None:
        version.agent = agent  # read already
    problem = _problem(number, has_agent=version is not None)
    from_number = normalize_or_none(ringing.from_)
    call = Call(
        workspace=number.workspace,
        direction=Direction.INBOUND,
        status=CallStatus.RINGING,
        from_number=from_number or ringing.from_[:80],
        to_number=number.e164,
        number=number,
        account_sid=number.account_sid,
        agent_version=version,
        calendar_id=number.calendar_id or (agent.calendar_id if agent else None),
        objective=version.objective if version else "",
        provider_sid=ringing.call_sid,
        provider_status="ringing",
        placed_at=timezone.now(),
        end_hint=problem or "",
        sweep_at=timezone.now() + timedelta(seconds=timing().ring_s + timing().grace_s),
        journal_seq=1,
    )
    call.recording_asked = RecordingAsked(consent.of_call(call))
    met: list[Fact] = []
    if from_number is not None:
        call.lead_id, fact = caller_lead.of_ringing(call)
        met += [fact] if fact else []
        if fact is None:
            returns.route(call)
    call.save(force_insert=True)
    calls.begin_ringing(call, *met)  # last: the event counter is the last lock
    return call


def _problem(number: PhoneNumber, *, has_agent: bool) -> EndReason | None:
    if not has_agent:
        return EndReason.NO_AGENT
    if not model_access.usable(number.workspace_id):
        return EndReason.MODEL_UNAVAILABLE
    if readiness.lines_in_use(number.workspace_id) >= number.workspace.max_concurrent_calls:
        return EndReason.NO_CAPACITY
    return None
