"""Celery doors of the voice app's own chores. They carry nothing: each looks for what is due."""

from typing import Any

from celery import shared_task

from voice.services import batch_filling, number_orders
from voice.telephony.client import carrier, configured

SCHEDULE: dict[str, dict[str, Any]] = {
    "voice.numbers.settle": {
        "task": "voice.numbers.settle",
        "schedule": 10.0,
        "options": {"expires": 30.0},
    },
    "voice.batches.fill": {"task": "voice.batches.fill", "schedule": 5.0, "options": {"expires": 15.0}},
}
"""Entries for Celery's beat; periods and expiries in seconds of the rehearsal's clock."""


@shared_task(name="voice.numbers.settle")
def settle_numbers() -> None:
    if configured():
        number_orders.settle(carrier())


@shared_task(name="voice.batches.fill")
def fill_batches() -> None:
    batch_filling.fill()
