"""Waking a Celery task by name after commit. Losing the wake-up costs at most one sweep, never a promise."""

import time
from typing import Any

import structlog
from celery import current_app
from django.db import transaction

log = structlog.get_logger(__name__)
QUIET_S = 2.0
"""After a failure nothing is sent for so long: a dead broker must not slow every request."""
_quiet_until = 0.0


def wake(task: str, *args: Any, after_s: float = 0.0) -> None:
    """Send `task` (its registered name) with plain arguments once the running transaction commits.

    `after_s` delays it (at most a minute: what must happen later is a time in a row, found by a sweep).
    """

    def send() -> None:
        global _quiet_until  # noqa: PLW0603 - one broker, one breaker a process
        if time.monotonic() < _quiet_until:
            return
        try:
            current_app.send_task(
                task, args=args, countdown=min(after_s, 60.0) or None, retry=False, ignore_result=True
            )
        except Exception as exc:  # the broker may be down; the sweep finds the row
            _quiet_until = time.monotonic() + QUIET_S
            log.warning("wake-up not sent", task=task, error=type(exc).__name__)

    transaction.on_commit(send, robust=True)
