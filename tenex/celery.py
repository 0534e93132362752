"""Celery carries ids and only wakes; a sweep finds what it lost (promises.md R1)."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tenex.settings")
app = Celery("tenex")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["tenex.webhooks", "crm", "voice.outbound", "voice.postcall"])
