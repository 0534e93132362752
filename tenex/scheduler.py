"""`celery --app tenex.scheduler beat`: the clock of the periodic work.

It sends names of tasks (tenex.periodic) and runs none, so it reads the settings and loads no app: a tenth of
the memory and of the time to start.
"""

import os

from celery import Celery

from tenex.engines.bootstrap import ensure_environment
from tenex.lib.eager_broker import EagerAMQP

ensure_environment()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tenex.settings")

from tenex import without_apps  # noqa: E402 - it reads the settings

without_apps.start()

# Without Celery's fixup for Django, which would load it all.
app = Celery("tenex", amqp=EagerAMQP, fixups=[], set_as_current=False)
app.config_from_object("django.conf:settings", namespace="CELERY")
