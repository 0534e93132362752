"""Calls that nobody tells us about any more: lost callbacks, dead processes (promises.md A4, B9).

A live call carries the instant at which somebody should look at it (`sweep_at`): the media process pushes it
on with its lease, the dialer sets it behind the ring time. Looking means asking the carrier, whose word
ends the call; ours ends it only where the carrier does not know it, or lets a limit pass.
"""

import uuid
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from tenex.lib import failpoint
from voice.models import Call, CallStatus, DialAttempt, DialState, Direction, EndReason
from voice.services import accounts, calls, journal, progress
from voice.services.timing import MAX_QUEUED_S, Timing, scaled, timing
from voice.telephony.errors import CarrierError, CarrierGone
from voice.telephony.statuses import ProviderStatus, parse

log = structlog.get_logger(__name__)

_PER_RUN = 100
_LIVE = (CallStatus.DIALING, CallStatus.RINGING, CallStatus.IN_PROGRESS)
_LOST_LEASES = 4
"""Leases that may pass without a stream before a talking call is hung up: its TwiML had time to resume."""
_GIVE_UP_S = 3600.0
"""Behind the longest duration, without a word of the carrier: then the row is closed by us."""


def sweep() -> int:
    """Look at every live call that is due; how many ended."""
    ended = _end_forgotten()
    now = timezone.now()
    due = Call.objects.filter(Q(sweep_at__lte=now) | Q(sweep_at=None), status__in=_LIVE).select_related(
        "agent_version__agent__profile"
    )
    for call in list(due.order_by("sweep_at")[:_PER_RUN]):
        if _take(call):
            ended += _look_at(call, timing())
    return ended


def _take(call: Call) -> bool:
    """One worker looks at it now."""
    later = timezone.now() + timedelta(seconds=timing().sweep_again_s)
    mine = Call.objects.filter(pk=call.pk, status__in=_LIVE, sweep_at=call.sweep_at)
    return bool(mine.update(sweep_at=later))


def _look_at(call: Call, times: Timing) -> bool:
    if call.provider_sid is None:
        if call.status != CallStatus.DIALING:
            return _without_carrier(call)
        return _without_sid(call)
    asker = accounts.asker(call.workspace_id, call.account_sid)
    if asker is None:
        return _give_up(call)
    try:
        there = asker.get_call(call.provider_sid)
    except CarrierGone:
        return calls.end(call.pk, _lost_reason(call))
    except CarrierError as exc:
        log.warning("carrier not asked about a call", call_id=str(call.pk), code=exc.code)
        return _give_up(call)
    failpoint.hit("sweep.asked")
    status = parse(there.status)
    if status not in {ProviderStatus.QUEUED, ProviderStatus.RINGING, ProviderStatus.IN_PROGRESS}:
        return progress.apply(call.pk, progress.of_call(there))
    progress.apply(call.pk, progress.Report(status=there.status, answered_by=there.answered_by))
    reason = _overdue(call, timezone.now(), times, answered=status == ProviderStatus.IN_PROGRESS)
    if reason is None:
        return False
    calls.hint_end(call.pk, reason)
    log.warning("stuck call is hung up", call_id=str(call.pk), reason=str(reason))
    try:
        asker.hang_up(call.provider_sid)
    except CarrierGone:
        return calls.end(call.pk, reason)
    except CarrierError as exc:
        log.warning("stuck call not hung up yet", call_id=str(call.pk), code=exc.code)
    Call.objects.filter(pk=call.pk, status__in=_LIVE).update(
        sweep_at=timezone.now() + timedelta(seconds=max(1.0, times.end_grace_s))
    )
    return False


def _overdue(call: Call, now: datetime, times: Timing, *, answered: bool) -> EndReason | None:
    """Why a call that the carrier still has must not go on, or None."""
    if call.end_hint and call.transfer_state not in {"requested", "ringing", "bridged"}:
        return EndReason(call.end_hint)
    if not answered:
        started_at = call.placed_at or call.created_at
        late = now > started_at + timedelta(seconds=times.ring_s + 2 * times.grace_s)
        return (
            (EndReason.NO_ANSWER if call.direction == Direction.OUTBOUND else EndReason.MEDIA_LOST)
            if late
            else None
        )
    started_at = call.answered_at or now
    if now > started_at + _longest(call) + timedelta(seconds=times.end_grace_s):
        return EndReason.MAX_DURATION
    if call.transfer_state in {"requested", "ringing", "bridged"}:
        return None
    lease_s = settings.CALL_LEASE_S
    last_seen = call.lease_until or started_at + timedelta(seconds=lease_s)
    if now > last_seen + timedelta(seconds=lease_s * _LOST_LEASES):
        return EndReason.MEDIA_LOST
    return None


def _longest(call: Call) -> timedelta:
    version = call.agent_version
    return scaled((version.agent.profile.max_duration_s if version else 1800) + 15)


def _without_carrier(call: Call) -> bool:
    """Provisioned (voice.services.sessions): no socket came, or nobody came back after it was lost."""
    now = timezone.now()
    lost = Q(lease_until=None) | Q(lease_until__lte=now)
    with transaction.atomic():
        if not Call.objects.select_for_update().filter(lost, pk=call.pk).exists():
            return False  # a socket has it
        return calls.end(call.pk, EndReason(call.end_hint or EndReason.MEDIA_LOST), at=now)


def _without_sid(call: Call) -> bool:
    """An outbound call whose attempt is open is the reconciler's; one without an open attempt is put back."""
    with transaction.atomic():
        locked = Call.objects.select_for_update().filter(pk=call.pk, status=CallStatus.DIALING).first()
        if locked is None or locked.provider_sid is not None:
            return False
        open_states = (DialState.PREPARED, DialState.POSTING, DialState.UNKNOWN)
        if DialAttempt.objects.filter(call=locked, state__in=open_states).exists():
            return False
        log.error("dialing call without an attempt", call_id=str(call.pk))
        calls.move(call.pk, CallStatus.QUEUED, sweep_at=None)
    return False


def _give_up(call: Call) -> bool:
    """The carrier says nothing: the row stays open for as long as the call could last, then it is closed."""
    started_at = call.answered_at or call.placed_at or call.created_at
    if timezone.now() < started_at + _longest(call) + scaled(_GIVE_UP_S):
        return False
    return calls.end(call.pk, _lost_reason(call))


def _lost_reason(call: Call) -> EndReason:
    if call.end_hint:
        return EndReason(call.end_hint)
    return EndReason.MEDIA_LOST if call.answered_at else EndReason.CARRIER_FAILED


def _end_forgotten() -> int:
    """Queued calls that nobody could place for a day."""
    before = timezone.now() - scaled(MAX_QUEUED_S)
    stale = Call.objects.filter(status=CallStatus.QUEUED, created_at__lt=before).values_list("pk", flat=True)
    return sum(_forget(call_id) for call_id in list(stale[:_PER_RUN]))


def _forget(call_id: uuid.UUID) -> bool:
    with transaction.atomic():
        if not Call.objects.select_for_update().filter(pk=call_id, status=CallStatus.QUEUED).exists():
            return False
        journal.append(call_id, [journal.Line("dial.refused", {"code": "queued_too_long"})])
        return calls.end(call_id, EndReason.NOT_PLACED)
