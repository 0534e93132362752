"""Celery carries ids and only wakes; a sweep finds what it lost (promises.md R1)."""

import os
from typing import Any

from celery import Celery
from celery.signals import task_postrun

from tenex.engines.bootstrap import ensure_environment
from tenex.lib.eager_broker import EagerAMQP

# Celery has its own command line: it finds, and holds, the embedded engines as manage.py does.
ensure_environment()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tenex.settings")
# Django's checks load every page and form, which no worker needs; `manage.py check` makes them.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

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


@task_postrun.connect
def _give_connection_back(sender: Any, **_: object) -> None:
    """To the pool of this process, which outlives the task (CELERY_DB_REUSE_MAX in the settings)."""
    from django.db import close_old_connections

    if not sender.request.is_eager:
        close_old_connections()
