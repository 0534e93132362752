"""Celery doors of the webhook relay. They only wake: the rows know what is to be done."""

from celery import shared_task
from celery.signals import worker_process_shutdown

from tenex.webhooks import pump
from tenex.webhooks.services import notices, replays, secrets

_LAST_ANSWERS_S = 5.0


@shared_task(name="tenex.webhooks.relay")
def relay() -> None:
    """Woken after commit of an event, and of whatever makes a delivery due."""
    pump.here().wake()


@shared_task(name="tenex.webhooks.replays")
def prepare_replays() -> None:
    replays.prepare()


@shared_task(name="tenex.webhooks.notices")
def send_notices() -> None:
    notices.send_due()


@shared_task(name="tenex.webhooks.sweep")
def sweep() -> None:
    """Finds what a lost wake-up or a dead worker left behind."""
    pump.here().wake()
    replays.prepare()
    notices.send_due()


@shared_task(name="tenex.webhooks.seal")
def seal() -> None:
    """Secrets that an earlier release left in plain."""
    secrets.seal_plain()


@worker_process_shutdown.connect
def _stop(**_: object) -> None:
    pump.stop(_LAST_ANSWERS_S)
