"""Dials without a clear answer (promises.md R3): look, and only then dial again.

prepared   past its fence: nobody may post it any more, so nobody did: given back at once
posting    its process died or sleeps; like
unknown    the carrier's list decides, after the grace: found -> adopted; missing twice in a row -> given back

Callbacks adopt an attempt by themselves, so what is still open here has had none.
"""

from datetime import timedelta

import structlog
from django.db.models.functions import Now

from tenex.lib import failpoint
from voice.models import Call, DialAttempt, DialState
from voice.services import accounts, attempts
from voice.services.timing import timing
from voice.telephony.client import Carrier, CarrierCall
from voice.telephony.errors import CarrierError

log = structlog.get_logger(__name__)

_PER_RUN = 100
_LOOKUPS = 2
_CLOCKS_DIFFER = timedelta(seconds=30)
"""The carrier's clock against ours; calls that we know by their sid are left out anyway."""


def reconcile() -> int:
    """Look at every open attempt that is due; how many were resolved."""
    due = DialAttempt.objects.filter(
        state__in=(DialState.PREPARED, DialState.POSTING, DialState.UNKNOWN), next_at__lte=Now()
    ).order_by("next_at")
    resolved = 0
    for attempt in list(due.select_related("call")[:_PER_RUN]):
        if not _take(attempt):
            continue
        if attempt.state == DialState.PREPARED:
            resolved += attempts.give_back(attempt.pk, why="never-asked", state=DialState.PREPARED)
        elif asker := accounts.asker(attempt.workspace_id, attempt.call.account_sid):
            resolved += _look_up(attempt, asker)
    return resolved


def _take(attempt: DialAttempt) -> bool:
    """One worker looks: the instant of the next look is moved on, by whoever is first."""
    later = Now() + timedelta(seconds=timing().grace_s / 3)
    return bool(
        DialAttempt.objects.filter(pk=attempt.pk, state=attempt.state, next_at=attempt.next_at).update(
            next_at=later
        )
    )


def _look_up(attempt: DialAttempt, asker: Carrier) -> bool:
    call = attempt.call
    posted_at = attempt.posted_at or attempt.created_at
    try:
        listed = asker.find_calls(
            to=call.to_number,
            from_=call.from_number,
            created_after=posted_at - _CLOCKS_DIFFER,
            created_before=posted_at + timing().grace + _CLOCKS_DIFFER,
        )
    except CarrierError as exc:
        log.warning("carrier's list not read", call_id=str(call.pk), code=exc.code)
        return False
    failpoint.hit("reconcile.listed")
    for candidate in _unclaimed(listed):
        if attempts.adopt_found(attempt.pk, candidate):
            log.info("lost call found", call_id=str(call.pk))
            failpoint.hit("reconcile.adopted")
            return True
    if attempts.note_lookup(attempt.pk) < _LOOKUPS:
        return False
    state = DialState(attempt.state)
    why = attempts.NOT_FOUND if state == DialState.UNKNOWN else attempts.ASKER_LOST
    return attempts.give_back(attempt.pk, why=why, state=state)


def _unclaimed(listed: list[CarrierCall]) -> list[CarrierCall]:
    """Calls that no row of ours has yet."""
    sids = [call.sid for call in listed]
    known = set(Call.objects.filter(provider_sid__in=sids).values_list("provider_sid", flat=True))
    known |= set(DialAttempt.objects.filter(provider_sid__in=sids).values_list("provider_sid", flat=True))
    return [call for call in listed if call.sid not in known]
