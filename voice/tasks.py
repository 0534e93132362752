"""Celery doors of what belongs to no stage of a call."""

from typing import Any

from celery import shared_task

from voice.services import metrics

SCHEDULE: dict[str, dict[str, Any]] = {
    "voice.metrics.sum_up": {
        "task": "voice.metrics.sum_up",
        "schedule": 10.0,
        "options": {"expires": 30.0},
    },
}
"""Seconds; divided by TIME_SCALE where it is merged."""


@shared_task(name="voice.metrics.sum_up")
def sum_up_metrics() -> None:
    """Hours that are over and whose calls have changed. Until then their calls are read."""
    metrics.sum_up_due()
