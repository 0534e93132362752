"""Celery carries ids and only wakes; a sweep finds what it lost (promises.md R1)."""

import os
from importlib import import_module
from typing import Any

from celery import Celery
from celery.app.amqp import AMQP
from celery.signals import beat_init, task_postrun
from kombu import Connection

from tenex.engines.bootstrap import ensure_environment

# Celery has its own command line: it finds, and holds, the embedded engines as manage.py does.
ensure_environment()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tenex.settings")


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


app = Celery("tenex", amqp=EagerAMQP)
app.config_from_object("django.conf:settings", namespace="CELERY")

TASK_APPS = [
    "tenex.monitoring",
    "tenex.workspaces",
    "tenex.webhooks",
    "crm",
    "voice",
    "voice.outbound",
    "voice.postcall",
]
app.autodiscover_tasks(TASK_APPS)


def schedule(time_scale: float) -> dict[str, dict[str, Any]]:
    """The `SCHEDULE` of every app's tasks, with periods and expiries divided by `time_scale`.

    Raises:
        ValueError: two apps name an entry alike.
    """
    merged: dict[str, dict[str, Any]] = {}
    for name in TASK_APPS:
        entries: dict[str, dict[str, Any]] = getattr(_tasks(name), "SCHEDULE", {})
        for key, entry in entries.items():
            if key in merged:
                raise ValueError(f"beat entry {key} is declared twice")
            options = dict(entry.get("options", {}))
            if "expires" in options:
                options["expires"] = max(1.0, options["expires"] / time_scale)
            merged[key] = {**entry, "schedule": float(entry["schedule"]) / time_scale, "options": options}
    return merged


def _tasks(app_name: str) -> object:
    try:
        return import_module(f"{app_name}.tasks")
    except ModuleNotFoundError as exc:
        if exc.name in {f"{app_name}.tasks", app_name}:
            return None
        raise


@task_postrun.connect
def _give_connection_back(sender: Any, **_: object) -> None:
    """To the pool of this process, which outlives the task (CELERY_DB_REUSE_MAX in the settings)."""
    from django.db import close_old_connections

    if not sender.request.is_eager:
        close_old_connections()


@beat_init.connect
def _set_schedule(sender: Any, **_: object) -> None:
    """Only the scheduler needs it, and only then is everything importable.

    Celery has read the configured schedule before it sends this signal, so it is merged in once more.
    """
    from django.conf import settings

    app.conf.beat_schedule = schedule(settings.TIME_SCALE)
    sender.scheduler.merge_inplace(app.conf.beat_schedule)
    sender.scheduler.sync()
