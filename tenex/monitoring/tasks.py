"""The worker's tasks, counted and timed where they run, and its port."""

import time
from typing import Any

import structlog
from celery.signals import task_postrun, task_prerun, worker_ready
from django.conf import settings

from tenex.monitoring import counts, listener

log = structlog.get_logger(__name__)
_began_s: dict[str, float] = {}
"""Of the tasks that run here; one at a time in a forked child."""


@task_prerun.connect
def _begun(task_id: str, **_: object) -> None:
    _began_s[task_id] = time.monotonic()


@task_postrun.connect
def _over(task_id: str, task: Any, state: str | None = None, **_: object) -> None:
    """The names are those of our own tasks: nobody else chooses one."""
    began_s = _began_s.pop(task_id, None)
    if began_s is not None:
        counts.TASKS.labels(task.name).observe(time.monotonic() - began_s)
    if state == "FAILURE":
        counts.TASKS_FAILED.labels(task.name).inc()


@worker_ready.connect
def _listen(**_: object) -> None:
    """In the main process, when its children are there."""
    if counts.FOLDER is None:
        return
    try:
        listener.listen(settings.HOST, settings.WORKER_METRICS_PORT)
    except OSError as exc:  # a worker without figures is better than none
        log.error("metrics port not had", port=settings.WORKER_METRICS_PORT, error=type(exc).__name__)
