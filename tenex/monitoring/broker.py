"""Part of the figures: how many wake-ups wait in the broker."""

from collections.abc import Iterator
from typing import Any, Final

from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError
from prometheus_client.metrics_core import Metric

from tenex.monitoring.families import gauge

PART: Final = "broker"


def families() -> Iterator[Metric]:
    with current_app.connection_for_read() as connection:
        waiting = _waiting(connection)
    yield gauge("tenex_broker_up", "Whether the broker answers.", waiting is not None)
    yield gauge("tenex_broker_messages_waiting", "Wake-ups that no worker has taken yet.", waiting)


def _waiting(connection: Any) -> int | None:
    """None if the broker does not answer."""
    try:
        connection.ensure_connection(max_retries=1, timeout=1.0)
        channel = connection.default_channel
        try:
            queue = channel.queue_declare(settings.CELERY_TASK_DEFAULT_QUEUE, passive=True)
        except connection.channel_errors:
            return 0  # an empty queue of Redis is no key at all
        return int(queue.message_count)
    except (OperationalError, *connection.connection_errors):
        return None
