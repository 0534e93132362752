"""Finalizing a call exactly once, whoever asks and however often (promises.md R5).

Begun by one conditional UPDATE and one unique row. Steps run in order; one that is done has a row. A worker
that dies leaves its lease to run out, and whoever comes next goes on where it stopped: every step may be
repeated, because what it writes is unique in the database.
"""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from tenex.lib import backoff, failpoint
from tenex.lib.wake import wake
from tenex.monitoring import counts
from voice.models import Call, CallStatus, Finalization, FinalizationStep
from voice.postcall import complete, meeting, questions, stop, transcript, verdict, write_back
from voice.services import callbacks, calls

log = structlog.get_logger(__name__)

MAX_TRIES = 6
"""Of the verdict model, about a minute in all; then the verdict is `undetermined`."""
_MEETING_TRIES = 4
"""Of a calendar that has not confirmed a meeting yet: some ten seconds; the verdict does not wait longer."""
_STUCK_TRIES = 12
"""A step that breaks this often is left out, if it may be: the call must come to an end."""
_MAY_BE_LEFT_OUT = frozenset({"transcript", "questions", "meeting", "verdict", "recording", "callback"})
_FIRST_S = 1.0
_LONGEST_S = 120.0
_GRACE_S = 3.0
"""A call that has just ended has its wake-up on the way; the sweep takes those whose wake-up was lost."""

Step = Callable[[uuid.UUID, int], dict[str, Any]]


def _steps() -> tuple[tuple[str, Step], ...]:
    """The verdict comes before the recording is waited for: the carrier works while the model thinks."""
    return (
        ("transcript", lambda call_id, _: {**transcript.close(call_id), **stop.settle(call_id)}),
        ("questions", lambda call_id, _: questions.settle(call_id)),
        ("meeting", lambda call_id, tries: meeting.settle(call_id, last_try=tries >= _MEETING_TRIES)),
        ("verdict", lambda call_id, tries: verdict.settle(call_id, last_try=tries >= MAX_TRIES)),
        ("recording", lambda call_id, _: complete.await_recording(call_id)),
        ("write_back", lambda call_id, _: write_back.write_back(call_id)),
        ("callback", lambda call_id, _: callbacks.schedule(call_id)),
        ("complete", lambda call_id, _: complete.complete(call_id)),
    )


_COUNTED = {
    (name, result): counts.POSTCALL_STEPS.labels(name, result)
    for name, _ in _steps()
    for result in ("done", "again", "left_out")
}


def finalize(call_id: uuid.UUID) -> bool:
    """Bring a call that has ended to `finalized`, as far as it goes now; True if it got there.

    False: it is not over, it is finalized, somebody else is at it, or a step is to be tried again later.
    """
    tries = _claim(call_id)
    if not tries:
        return False
    try:
        with _lease(call_id):
            for name, step in _steps():
                _run(call_id, name, step, tries)
    except Exception as exc:  # the top of post-call: the row says when to go on
        _later(call_id, tries, exc)
        return False
    log.info("call finalized", call_id=str(call_id), tries=tries)
    return True


def due(limit: int = 200) -> list[uuid.UUID]:
    """Calls that somebody should go on with: not begun although ended, left by a dead worker, or waiting."""
    now = timezone.now()
    unbegun = Q(status=CallStatus.ENDED, ended_at__lt=now - _scaled(_GRACE_S))
    left = Q(status=CallStatus.FINALIZING) & _free(now, "finalization__")
    rows = Call.objects.filter(unbegun | left, status__in=(CallStatus.ENDED, CallStatus.FINALIZING))
    return list(rows.order_by("ended_at").values_list("pk", flat=True)[:limit])


def sweep() -> int:
    """Wake whatever is due; how many."""
    found = due()
    for call_id in found:
        wake("voice.postcall.finalize", str(call_id))
    return len(found)


def _claim(call_id: uuid.UUID) -> int:
    """Begin, or take over; the number of this try, 0 if it is not ours."""
    now = timezone.now()
    until = now + timedelta(seconds=settings.FINALIZE_LEASE_S)
    with transaction.atomic():
        if calls.move(call_id, CallStatus.FINALIZING):
            Finalization.objects.create(call_id=call_id, started_at=now, tries=1, lease_until=until)
            return 1
    taken = Finalization.objects.filter(_free(now), call_id=call_id, finished_at=None).update(
        tries=F("tries") + 1, lease_until=until, next_at=None
    )
    return Finalization.objects.values_list("tries", flat=True).get(pk=call_id) if taken else 0


def _free(now: datetime, prefix: str = "") -> Q:
    """Nobody's lease runs, and its time has come."""
    no_lease = Q(**{f"{prefix}lease_until": None}) | Q(**{f"{prefix}lease_until__lt": now})
    is_time = Q(**{f"{prefix}next_at": None}) | Q(**{f"{prefix}next_at__lte": now})
    return no_lease & is_time


def _run(call_id: uuid.UUID, name: str, step: Step, tries: int) -> None:
    if FinalizationStep.objects.filter(finalization_id=call_id, name=name).exists():
        return
    failpoint.hit(f"finalize.{name}.before")
    result = "done"
    try:
        detail = step(call_id, tries)
    except Exception as exc:
        if tries < _STUCK_TRIES or name not in _MAY_BE_LEFT_OUT:
            _COUNTED[name, "again"].inc()
            raise
        log.exception("post-call step left out", call_id=str(call_id), step=name)
        result, detail = "left_out", {"left_out": type(exc).__name__}
    _COUNTED[name, result].inc()
    failpoint.hit(f"finalize.{name}.after")
    FinalizationStep.objects.get_or_create(
        finalization_id=call_id, name=name, defaults={"done_at": timezone.now(), "detail": detail}
    )


def _later(call_id: uuid.UUID, tries: int, exc: Exception) -> None:
    wait_s = backoff.delay_s(tries, first_s=_FIRST_S, longest_s=_LONGEST_S)
    Finalization.objects.filter(call_id=call_id, finished_at=None).update(
        lease_until=None, next_at=timezone.now() + _scaled(wait_s)
    )
    expected = getattr(exc, "retryable", False)
    report = log.warning if expected else log.exception
    report("post-call step to be repeated", call_id=str(call_id), error=type(exc).__name__, tries=tries)


@contextmanager
def _lease(call_id: uuid.UUID) -> Iterator[None]:
    """Keep the lease while the steps run: short, so that a dead worker's call is soon taken over."""
    done = threading.Event()

    def keep() -> None:
        while not done.wait(settings.FINALIZE_LEASE_S / 3):
            try:
                Finalization.objects.filter(call_id=call_id, finished_at=None).update(
                    lease_until=timezone.now() + timedelta(seconds=settings.FINALIZE_LEASE_S)
                )
            except Exception as exc:  # the next beat may do; without it another worker repeats a step
                log.warning("lease not kept", call_id=str(call_id), error=type(exc).__name__)
            finally:
                connection.close()

    keeper = threading.Thread(target=keep, name=f"lease-{call_id}", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join(timeout=5)


def _scaled(seconds: float) -> timedelta:
    return timedelta(seconds=seconds / settings.TIME_SCALE)
