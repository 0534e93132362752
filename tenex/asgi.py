"""Composition root of ASGI: HTTP to Django, sockets to the live call."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tenex.settings")
application = get_asgi_application()
