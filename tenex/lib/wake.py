"""Waking a Celery task by name after commit. Losing the wake-up costs at most one sweep, never a promise."""

from typing import Any

import structlog
from celery import current_app
from django.db import transaction

log = structlog.get_logger(__name__)


def wake(task: str, *args: Any) -> None:
    """Send `task` (its registered name) with plain arguments once the running transaction commits."""

    def send() -> None:
        try:
            current_app.send_task(task, args=args, retry=False, ignore_result=True)
        except Exception as exc:  # the broker may be down; the sweep finds the row
            log.warning("wake-up not sent", task=task, error=type(exc).__name__)

    transaction.on_commit(send, robust=True)
