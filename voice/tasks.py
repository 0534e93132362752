"""Celery doors of what belongs to no stage of a call. They carry nothing: each looks for what is due."""

from celery import shared_task

from tenex.lib.wake import wake
from voice.services import batch_filling, metrics, number_orders, retention
from voice.services import erasure as erasures

"""Entries for Celery's beat; periods and expiries in seconds of the rehearsal's clock."""


@shared_task(name="voice.numbers.settle")
def settle_numbers() -> None:
    number_orders.settle()


@shared_task(name="voice.batches.fill")
def fill_batches() -> None:
    if batch_filling.is_more(batch_filling.fill()):
        wake("voice.batches.fill")


@shared_task(name="voice.metrics.sum_up")
def sum_up_metrics() -> None:
    """Hours that are over and whose calls have changed. Until then their calls are read."""
    metrics.sum_up_due()


@shared_task(name="voice.persons.erase")
def erase_persons() -> None:
    """Whoever asked to be forgotten and could not be at once."""
    erasures.run_due()


@shared_task(name="voice.retention.purge")
def purge() -> None:
    """What has been kept long enough. What is left after a minute is due again in the next one."""
    retention.purge_all(seconds=50.0)
