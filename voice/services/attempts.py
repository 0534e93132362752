"""Asking the carrier to dial, never twice for one answer (promises.md R3).

prepare   a row, committed before anybody is asked; the call is `dialing`
fence     compare-and-set right before the request, refused after a deadline
post      one request, no retries; every way it can end leaves a state:
          placed | throttled (429) | rejected (4xx) | unknown (time-out, 5xx, lost answer)
adopt     whoever learns the carrier's id first writes it: the answer, a callback, the reconciler
give_back the carrier certainly never had it: the call may get another attempt
"""

import random
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, Max, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from tenex.lib import failpoint
from tenex.lib.backoff import delay_s
from tenex.lib.phone import mask
from tenex.monitoring import counts
from voice.models import Call, CallingSwitch, CallStatus, DialAttempt, DialState, EndReason
from voice.models.batches import BatchStatus
from voice.models.calls import LIVE
from voice.opening.sound import NoVoice
from voice.services import calls, journal, openings, pacing, progress, stopping
from voice.services.timing import MAX_ASKERS_LOST, MAX_NOT_PLACED, RING_TIMEOUT_S, timing
from voice.telephony import addresses
from voice.telephony.client import CallOrder, Carrier, CarrierCall
from voice.telephony.errors import (
    CarrierAmbiguous,
    CarrierError,
    CarrierNotAsked,
    CarrierRejected,
    CarrierThrottled,
)

log = structlog.get_logger(__name__)

NOT_FOUND = "not-found"
"""The carrier answered unclearly, and its list never had the call."""
ASKER_LOST = "asker-lost"
"""Our process ended in the middle of asking, and the carrier's list never had the call."""
_FENCE_BEFORE_S = 0.05
"""So long before its instant comes the last look at the rows, which takes a moment."""
_STARTS = {state: counts.CARRIER_STARTS.labels(state) for state in DialState}
_OPEN = (DialState.PREPARED, DialState.POSTING, DialState.UNKNOWN)


class Adoption(StrEnum):
    CURRENT = "current"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Fenced:
    """The right to ask the carrier once: to begin by `deadline_s` and to have sent it all by `send_by_s`, of
    this process's monotonic clock."""

    attempt_id: uuid.UUID
    call_id: uuid.UUID
    order: CallOrder
    deadline_s: float
    send_by_s: float
    account: str = ""
    """The account that paces it."""


def prepare(call_id: uuid.UUID) -> DialAttempt | None:
    """The next attempt of a queued call, in the caller's transaction; None if the call is not queued."""
    with transaction.atomic():
        if not calls.move(call_id, CallStatus.DIALING, sweep_at=None):
            return None
        call = Call.objects.get(pk=call_id)
        last = call.attempts.aggregate(last=Max("number"))["last"] or 0
        attempt = DialAttempt.objects.create(
            workspace_id=call.workspace_id,
            call=call,
            number=last + 1,
            fence_until=Now() + timing().fence,  # the database's clock: workers may disagree
            next_at=Now() + timing().grace,
        )
        failpoint.hit("dial.inserted")
    return attempt


def dial(attempt_id: uuid.UUID, carrier: Carrier, *, at_s: float = 0.0) -> DialState:
    """Fence, ask, write down: at `at_s` of this process's monotonic clock. Never raises a CarrierError."""
    _prepare_lines(attempt_id)
    time.sleep(max(0.0, at_s - _FENCE_BEFORE_S - time.monotonic()))
    fenced = fence(attempt_id)
    failpoint.hit("dial.fenced")
    if fenced is None:
        pacing.unused(attempt_id)
        give_back(attempt_id, why="fence", state=DialState.PREPARED)
        return DialState.NOT_PLACED
    time.sleep(max(0.0, at_s - time.monotonic()))
    return post(fenced, carrier)


def _prepare_lines(attempt_id: uuid.UUID) -> None:
    """The opening is made before anybody's phone rings. Without a voice the stream is refused later."""
    try:
        openings.prepare(attempt_id)
    except NoVoice:
        log.error("no voice for the opening", attempt_id=str(attempt_id))


def fence(attempt_id: uuid.UUID) -> Fenced | None:
    """Compare-and-set `prepared` -> `posting`; None after the deadline, or if dialing was stopped."""
    started_s = time.monotonic()
    times = timing()
    # The conditions on the attempt stay in the outer WHERE, where PostgreSQL checks them again after a wait.
    allowed = Call.objects.filter(
        Q(batch=None) | Q(batch__status__in=(BatchStatus.QUEUED, BatchStatus.RUNNING)),
        pk=OuterRef("call_id"),
        status=CallStatus.DIALING,
        end_hint="",
        workspace__calling_paused_at=None,
    ).exclude(Exists(CallingSwitch.objects.filter(stopped_at__isnull=False)))
    with transaction.atomic():
        # The call's row is locked first, here as everywhere.
        call = Call.objects.select_for_update().filter(attempts=attempt_id).first()
        if call is not None and stopping.is_stopped(call):
            return None  # since it was claimed
        won = DialAttempt.objects.filter(
            Exists(allowed), pk=attempt_id, state=DialState.PREPARED, fence_until__gt=Now()
        ).update(state=DialState.POSTING, posted_at=Now(), next_at=Now() + times.grace)
        if not won:
            return None
        attempt = DialAttempt.objects.select_related(
            "call__workspace", "call__batch", "call__agent_version__agent__profile"
        ).get(pk=attempt_id)
        if not pacing.about_to_ask(attempt_id) and attempt.dial_at is not None:
            transaction.set_rollback(True)
            return None
        Call.objects.filter(pk=attempt.call_id).update(
            placed_at=attempt.posted_at,
            sweep_at=Now() + timedelta(seconds=times.ring_s + times.grace_s * 2),
        )
    account = pacing.account_sid(attempt.call.account_sid)
    return Fenced(
        attempt_id,
        attempt.call_id,
        _order(attempt),
        deadline_s=started_s + times.post_within_s,
        send_by_s=started_s + times.fence_s,
        account=account,
    )


def post(fenced: Fenced, carrier: Carrier) -> DialState:
    """The one request. A process that was asleep since the fence does not send it."""
    state = _post(fenced, carrier)
    _STARTS[state].inc()
    return state


def _post(fenced: Fenced, carrier: Carrier) -> DialState:
    if time.monotonic() > fenced.deadline_s:
        return _not_asked(fenced)
    failpoint.hit("dial.before_post")
    try:
        placed = carrier.place_call(
            fenced.order, timeout_s=timing().post_timeout_s, send_by_s=fenced.send_by_s
        )
    except CarrierNotAsked:
        return _not_asked(fenced)
    except CarrierThrottled as exc:
        _arrived(fenced, exc)
        return _throttled(fenced, exc)
    except CarrierRejected as exc:
        _arrived(fenced, exc)
        return _rejected(fenced, exc)
    except CarrierError as exc:
        _arrived(fenced, exc)
        return _unknown(fenced, exc)
    failpoint.hit("dial.posted")
    pacing.arrived(fenced.attempt_id, account=fenced.account, reached_s=placed.reached_s, in_trouble=False)
    if adopt(fenced.attempt_id, placed.sid) == Adoption.SUPERSEDED:
        _drop(carrier, placed, fenced)
    failpoint.hit("dial.resolved")
    return DialState.PLACED


def _not_asked(fenced: Fenced) -> DialState:
    """This process was asleep for too long: somebody else may have decided about the attempt meanwhile."""
    pacing.unused(fenced.attempt_id)
    give_back(fenced.attempt_id, why="deadline", state=DialState.POSTING)
    return DialState.NOT_PLACED


def _arrived(fenced: Fenced, exc: CarrierError) -> None:
    """No call came of it, but the request is no longer on its way. A refusal for good is a good answer."""
    refused = isinstance(exc, CarrierRejected)
    pacing.arrived(fenced.attempt_id, account=fenced.account, in_trouble=not refused)


def adopt(attempt_id: uuid.UUID, sid: str) -> Adoption:
    """The carrier has this attempt under `sid`. SUPERSEDED: nobody may talk on that call.

    Raises:
        DialAttempt.DoesNotExist: no such attempt.
        IntegrityError: the sid belongs to another call.
    """
    call_id, state, known = DialAttempt.objects.values_list("call_id", "state", "provider_sid").get(
        pk=attempt_id
    )
    if state == DialState.PLACED:  # the usual case of a callback; nothing leads out of that state
        return Adoption.CURRENT if known == sid else Adoption.SUPERSEDED
    with transaction.atomic():
        call = Call.objects.select_for_update().get(pk=call_id)
        attempt = DialAttempt.objects.select_for_update().get(pk=attempt_id)
        if attempt.state == DialState.PLACED:
            return Adoption.CURRENT if attempt.provider_sid == sid else Adoption.SUPERSEDED
        if call.status not in LIVE or call.attempts.filter(number__gt=attempt.number).exists():
            return Adoption.SUPERSEDED
        if call.status == CallStatus.QUEUED and not calls.move(call.pk, CallStatus.DIALING):
            return Adoption.SUPERSEDED
        DialAttempt.objects.filter(pk=attempt_id).update(
            state=DialState.PLACED, provider_sid=sid, resolved_at=Now(), next_at=None
        )
        call.provider_sid = sid
        call.sweep_at = timezone.now() + timedelta(seconds=timing().ring_s)
        call.placed_at = call.placed_at or attempt.posted_at or attempt.created_at
        call.save(update_fields=["provider_sid", "sweep_at", "placed_at"])
        pacing.seen(attempt_id)
        _line(call.pk, attempt.number, DialState.PLACED, {"sid": sid})
        failpoint.hit("dial.adopted")
    return Adoption.CURRENT


def give_back(attempt_id: uuid.UUID, *, why: str, state: DialState) -> bool:
    """The carrier never had it: `state` -> `not_placed`; the call waits for another attempt or is given up.

    False if the attempt is no longer in `state`: somebody else knew better.
    """
    with transaction.atomic():
        attempt = DialAttempt.objects.select_related("call").filter(pk=attempt_id).first()
        if attempt is None:
            return False
        Call.objects.select_for_update().get(pk=attempt.call_id)
        won = DialAttempt.objects.filter(pk=attempt_id, state=state).update(
            state=DialState.NOT_PLACED, resolved_at=Now(), next_at=None, error_code=why[:40]
        )
        if not won:
            return False
        _line(attempt.call_id, attempt.number, DialState.NOT_PLACED, {"why": why})
        # Our own deaths count against a limit of their own, a long one: who is on the list shall be called.
        missing = Counter(
            DialAttempt.objects.filter(
                call_id=attempt.call_id, state=DialState.NOT_PLACED, error_code__in=(NOT_FOUND, ASKER_LOST)
            ).values_list("error_code", flat=True)
        )
        if missing[NOT_FOUND] >= MAX_NOT_PLACED or missing[ASKER_LOST] >= MAX_ASKERS_LOST:
            calls.end(attempt.call_id, EndReason.NOT_PLACED)
        else:
            _requeue(attempt.call_id, timedelta(0))
    log.info("dial attempt given back", call_id=str(attempt.call_id), why=why)
    return True


def _requeue(call_id: uuid.UUID, wait: timedelta) -> None:
    """Back into the queue; a call whose end was asked for meanwhile ends here."""
    call = Call.objects.get(pk=call_id)
    if call.end_hint:
        calls.end(call_id, EndReason(call.end_hint))
    else:
        calls.move(call_id, CallStatus.QUEUED, sweep_at=timezone.now() + wait)


def _throttled(fenced: Fenced, exc: CarrierError) -> DialState:
    with transaction.atomic():
        number = _resolve(fenced, DialState.THROTTLED, exc)
        if number is not None:
            times = timing()
            tries = DialAttempt.objects.filter(call_id=fenced.call_id, state=DialState.THROTTLED).count()
            wait_s = delay_s(
                tries, first_s=times.throttle_first_s, longest_s=times.throttle_longest_s, draw=random.random
            )
            _requeue(fenced.call_id, timedelta(seconds=wait_s))
    return DialState.THROTTLED


def _rejected(fenced: Fenced, exc: CarrierError) -> DialState:
    with transaction.atomic():
        number = _resolve(fenced, DialState.REJECTED, exc)
        if number is not None:
            calls.end(fenced.call_id, EndReason.REJECTED)
    log.warning(
        "carrier refused a call",
        call_id=str(fenced.call_id),
        provider_code=exc.provider_code,
        to=mask(fenced.order.to),
    )
    return DialState.REJECTED


def _unknown(fenced: Fenced, exc: CarrierError) -> DialState:
    with transaction.atomic():
        _resolve(fenced, DialState.UNKNOWN, exc)
    log.warning(
        "dial answer unknown", call_id=str(fenced.call_id), ambiguous=isinstance(exc, CarrierAmbiguous)
    )
    return DialState.UNKNOWN


def _resolve(fenced: Fenced, state: DialState, exc: CarrierError) -> int | None:
    """`posting` -> `state`; the attempt's number, or None if somebody else knew better before."""
    Call.objects.select_for_update().get(pk=fenced.call_id)
    fields: dict[str, Any] = {
        "state": state,
        "http_status": exc.http_status,
        "error_code": exc.provider_code or exc.code,
    }
    if state != DialState.UNKNOWN:
        fields |= {"resolved_at": Now(), "next_at": None}
    attempt = DialAttempt.objects.filter(pk=fenced.attempt_id, state=DialState.POSTING)
    if not attempt.update(**fields):
        return None
    number = DialAttempt.objects.values_list("number", flat=True).get(pk=fenced.attempt_id)
    _line(fenced.call_id, number, state, {"code": fields["error_code"]})
    return number


def note_lookup(attempt_id: uuid.UUID) -> int:
    """The carrier's list did not have it once more; how often that is now."""
    times = timing()
    DialAttempt.objects.filter(pk=attempt_id, state__in=_OPEN).update(
        lookups=F("lookups") + 1, next_at=Now() + timedelta(seconds=times.grace_s / 3)
    )
    return DialAttempt.objects.values_list("lookups", flat=True).get(pk=attempt_id)


def adopt_found(attempt_id: uuid.UUID, found: CarrierCall) -> bool:
    """Take over a call out of the carrier's list, with the state that it has by now; False if not ours."""
    try:
        if adopt(attempt_id, found.sid) != Adoption.CURRENT:
            return False
    except IntegrityError:
        return False
    call_id = DialAttempt.objects.values_list("call_id", flat=True).get(pk=attempt_id)
    progress.apply(call_id, progress.of_call(found))
    return True


def _drop(carrier: Carrier, placed: CarrierCall, fenced: Fenced) -> None:
    """A late answer for an attempt that was given up: end that call; its answer URL says hang up as well."""
    log.warning("superseded call ended", call_id=str(fenced.call_id))
    try:
        carrier.hang_up(placed.sid)
    except CarrierError as exc:
        log.warning("superseded call not ended", call_id=str(fenced.call_id), code=exc.code)


def _order(attempt: DialAttempt) -> CallOrder:
    call = attempt.call
    version = call.agent_version
    limit_s = version.agent.profile.max_duration_s if version else 1800
    amd = bool(call.batch and call.batch.machine_detection)
    return CallOrder(
        to=call.to_number,
        from_=call.from_number,
        answer_url=addresses.answer(attempt.pk),
        status_url=addresses.attempt_status(attempt.pk),
        fallback_url=addresses.fallback(),
        ring_timeout_s=RING_TIMEOUT_S,
        time_limit_s=limit_s + 15,  # the live session says goodbye first
        machine_detection="DetectMessageEnd" if amd else "",
        amd_url=addresses.answered_by(attempt.pk) if amd else "",
    )


def _line(call_id: uuid.UUID, number: int, state: DialState, data: dict[str, Any]) -> None:
    journal.append(call_id, [journal.Line("dial.attempt", {"number": number, "state": str(state), **data})])
