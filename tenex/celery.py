"""Celery carries ids and only wakes; a sweep finds what it lost (promises.md R1)."""

import os

from celery import Celery

from tenex.engines.bootstrap import ensure_environment

# Celery has its own command line: it finds, and holds, the embedded engines as manage.py does.
ensure_environment()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tenex.settings")
app = Celery("tenex")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["tenex.webhooks", "crm", "voice.outbound", "voice.postcall"])
