import base64
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings

_OF_LIBRARIES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""Variables that others read."""
_SECRET_SETTINGS = (
    "SECRET_KEY",
    "API_KEY_PEPPER",
    "PHONE_HASH_KEY",
    "TWILIO_AUTH_TOKEN",
    "TWILIO_AUTH_TOKEN_SECONDARY",
    "TWILIO_API_KEY_SECRET",
    "OPENAI_API_KEY",
    "METRICS_TOKEN",
)


class TenexConfig(AppConfig):
    name = "tenex"
    label = "tenex"
    verbose_name = "Tenex"

    def ready(self) -> None:
        from tenex import celery  # noqa: F401 - the app that wake-ups are sent through

        hide_secrets()


def hide_secrets() -> None:
    """From the first line on, nothing that this process was started with reaches a log."""
    from tenex.lib import redact

    redact.remember_for_good(_started_with())
    redact.hide_last_words()


def _started_with() -> Iterator[str]:
    """Secrets of the settings, by value: they may stand in a line in any form."""
    for name in _SECRET_SETTINGS:
        value = getattr(settings, name, "")
        yield value.decode("latin-1") if isinstance(value, bytes) else str(value or "")
    for key in settings.SECRETS_KEYS.values():
        yield base64.b64encode(key).decode()
    yield str(settings.DATABASES["default"].get("PASSWORD") or "")
    for name in _OF_LIBRARIES:
        yield os.environ.get(name, "")
    for url in (settings.REDIS_URL, settings.CELERY_BROKER_URL):
        yield urlsplit(url).password or ""
    mailer: Any = settings.MAILERS["default"]
    yield mailer.get("OPTIONS", {}).get("password", "")
