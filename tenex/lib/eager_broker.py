"""Celery's way to its broker, in less of a wait than kombu's own after the broker was away."""

from typing import Any

from celery.app.amqp import AMQP
from kombu import Connection


class EagerConnection(Connection):
    """Comes back soon after the broker does: kombu's waits grow to half a minute while a broker is away."""

    def _ensure_connection(
        self,
        errback: Any = None,
        max_retries: int | None = None,
        interval_start: float = 2,
        interval_step: float = 2,
        interval_max: float = 30,
        *rest: Any,
        **options: Any,
    ) -> Any:
        waits = (min(interval_start, 0.5), min(interval_step, 0.5), min(interval_max, 2.0))
        return super()._ensure_connection(errback, max_retries, *waits, *rest, **options)  # type: ignore[arg-type]


class EagerAMQP(AMQP):
    Connection = EagerConnection
