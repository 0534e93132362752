"""When a batch pauses itself: its calls fail, or people answer and nobody of ours is there.

Pure below `judge` and `judge_abandoned`: counts go in, words for people or nothing come out.
"""

import uuid
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db.models import Count, F, FloatField, Q
from django.db.models.fields.json import KT
from django.db.models.functions import Cast
from django.utils import timezone

from tenex.errors import Conflict
from voice.models import Batch, BatchPacer, BatchStatus, Call, EndReason, PauseCode
from voice.models.calls import OVER
from voice.services import batches
from voice.services.timing import scaled
from voice.telephony.statuses import MACHINE_ANSWERS

log = structlog.get_logger(__name__)

_ACTOR = "system:dialer"

FAILURES = frozenset(
    {
        EndReason.REJECTED,
        EndReason.CARRIER_FAILED,
        EndReason.NOT_PLACED,
        EndReason.MODEL_UNAVAILABLE,
        EndReason.MEDIA_LOST,
        EndReason.NO_AGENT,
        EndReason.NO_CAPACITY,
        EndReason.INTERNAL_ERROR,
    }
)
"""Ends that say something of us, the carrier or the list, and nothing of the person."""

WINDOW = 50
"""The latest calls that are looked at."""
_RECENT = timedelta(hours=6)

ABANDONED_SHARE = 0.01
"""Of answered calls (promises.md I7; the law allows 3 %)."""
ABANDONED_MIN_ANSWERED = 100
SPEAKS_WITHIN_S = 2.0
_DAYS = timedelta(days=30)


def look() -> int:
    """Judge every running batch that had calls lately; how many were paused."""
    return sum(
        _judge(batch_id)
        for batch_id in list(Batch.objects.filter(status=BatchStatus.RUNNING).values_list("pk", flat=True))
    )


def look_for_abandoned() -> int:
    """The same for calls that were answered by nobody of ours. Wider: a month of calls, so it runs seldom."""
    paused = 0
    for batch_id in list(Batch.objects.filter(status=BatchStatus.RUNNING).values_list("pk", flat=True)):
        answered, abandoned = _abandoned(batch_id)
        reason = judge_abandoned(answered, abandoned)
        if reason:
            paused += _stop(batch_id, PauseCode.ABANDONED, reason)
    return paused


def judge(reasons: Mapping[str, int], *, min_calls: int, share: float) -> str:
    """Why a batch whose latest calls ended like this must pause; "" if it need not."""
    total = sum(reasons.values())
    failed = {EndReason(name): count for name, count in reasons.items() if name in FAILURES}
    count = sum(failed.values())
    if total < min_calls or count < share * total:
        return ""
    most = sorted(failed.items(), key=lambda item: (-item[1], item[0]))
    kinds = ", ".join(
        f"{number} × {reason.label[0].lower()}{reason.label[1:]}" for reason, number in most[:3]
    )
    return f"{count} of the latest {total} calls failed: {kinds}."


def judge_abandoned(answered: int, abandoned: int) -> str:
    """The same for calls in which nobody of ours spoke in time."""
    if answered < ABANDONED_MIN_ANSWERED or abandoned <= ABANDONED_SHARE * answered:
        return ""
    return (
        f"In {abandoned} of {answered} answered calls of 30 days nobody of ours spoke within"
        f" {SPEAKS_WITHIN_S:g} seconds."
    )


def _judge(batch_id: uuid.UUID) -> bool:
    since = _judged_from(batch_id, timezone.now() - _RECENT)
    latest = (
        Call.objects.filter(batch=batch_id, created_at__gt=since, status__in=OVER)
        .exclude(end_reason=EndReason.CANCELED)  # taken back by us: says nothing
        .order_by("-created_at", "-id")
        .values_list("end_reason", flat=True)[: max(WINDOW, settings.BREAKER_MIN_CALLS)]
    )
    reasons: Counter[str] = Counter(str(reason) for reason in latest)
    reason = judge(reasons, min_calls=settings.BREAKER_MIN_CALLS, share=settings.BREAKER_SHARE)
    return bool(reason) and _stop(batch_id, PauseCode.FAILURES_JUMPED, reason)


def _abandoned(batch_id: uuid.UUID) -> tuple[int, int]:
    """Answered by a person (or nobody knows by what), and those of them in which we did not speak in time.

    Somebody who hangs up sooner than we must have spoken was not abandoned.
    """
    now = timezone.now()
    since = _judged_from(batch_id, now - _DAYS)
    answered = Call.objects.filter(
        batch=batch_id, created_at__gt=since, answered_at__isnull=False, status__in=OVER
    ).exclude(answered_by__in=MACHINE_ANSWERS)
    spoke_ms = Cast(KT("latency__first_audio_ms"), FloatField())
    late = Q(spoke_ms__isnull=True) | Q(spoke_ms__gt=SPEAKS_WITHIN_S * 1000)
    stayed = Q(ended_at__gte=F("answered_at") + scaled(SPEAKS_WITHIN_S))
    found = answered.annotate(spoke_ms=spoke_ms).aggregate(
        answered=Count("pk"), abandoned=Count("pk", filter=late & stayed)
    )
    return found["answered"], found["abandoned"]


def _judged_from(batch_id: uuid.UUID, earliest: datetime) -> datetime:
    """Calls before the last pause of this kind were judged: somebody looked at them and went on."""
    known = BatchPacer.objects.filter(batch=batch_id).values_list("judged_from", flat=True).first()
    return max(known, earliest) if known else earliest


def _stop(batch_id: uuid.UUID, code: PauseCode, reason: str) -> bool:
    batch = Batch.objects.filter(pk=batch_id, status=BatchStatus.RUNNING).first()
    if batch is None:
        return False
    try:
        batches.pause(batch, reason=reason, code=code, actor=_ACTOR)
    except Conflict:
        return False  # it was closed this instant
    log.warning("batch paused", batch_id=str(batch_id), code=str(code), reason=reason)
    BatchPacer.objects.update_or_create(batch_id=batch_id, defaults={"judged_from": timezone.now()})
    return True
