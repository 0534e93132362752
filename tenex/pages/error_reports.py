"""Django's reports of errors (the technical page with DEBUG, mail to admins) without secrets."""

import re
from types import FrameType
from typing import Any

from django.http import HttpRequest, QueryDict
from django.utils.safestring import SafeString
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from tenex.lib import redact

_NAMES = re.compile(
    r"api|auth|token|key|secret|pass|signature|cookie|pepper|credential|sealed|plain|dsn"
    r"|^DATABASE_URL$|^REDIS_URL$|^CELERY_BROKER_URL$|^DATABASES$|^CACHES$|^CHANNEL_LAYERS$",
    re.IGNORECASE,
)


class Filter(SafeExceptionReporterFilter):
    """On top of Django's: settings by name; variables, parameters and headers by name, form and value."""

    hidden_settings = _NAMES

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: FrameType) -> Any:
        found = super().get_traceback_frame_variables(request, tb_frame)
        return [
            (name, self.cleansed_substitute if _NAMES.search(name) else redact.cleanse(value))
            for name, value in found
        ]

    def get_post_parameters(self, request: HttpRequest | None) -> Any:
        sent = super().get_post_parameters(request)
        hidden = QueryDict(mutable=True)
        for name, value in sent.items():
            hidden[name] = self.cleansed_substitute if _NAMES.search(name) else redact.cleanse(value)
        return hidden


class Reporter(ExceptionReporter):
    """The whole report once more: messages of errors, lines of code, whatever is printed of them."""

    def get_traceback_html(self) -> SafeString:
        return SafeString(redact.text(super().get_traceback_html()))

    def get_traceback_text(self) -> SafeString:
        return SafeString(redact.text(super().get_traceback_text()))
