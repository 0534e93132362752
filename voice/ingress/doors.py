"""What every door has in common: only Twilio may knock, only with a form, and it always gets an answer."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse, QueryDict
from django.views.decorators.csrf import csrf_exempt

from tenex.lib.storable import text
from voice.telephony import signature, statuses

log = structlog.get_logger(__name__)

View = Callable[..., HttpResponse]
MAX_FIELDS_BYTES = 64 * 1024


class Form:
    """The fields of a Twilio request: texts, cleaned and bounded; a missing one is empty."""

    def __init__(self, fields: QueryDict) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        return text(self._fields.get(name) or "")[:500]

    def cleaned(self) -> dict[str, str]:
        """All fields, for a service that knows their names."""
        return {name: self[name] for name in self._fields}

    def number(self, name: str) -> int | None:
        """A decimal field, or None."""
        return statuses.number(self[name].strip())


def twilio(view: Callable[..., HttpResponse]) -> View:
    """A view behind the signature check: `view(form, **path_arguments)`.

    403 for anything that Twilio did not sign over our public address, whatever the Host header says.
    """

    @csrf_exempt
    @wraps(view)
    def door(request: HttpRequest, **arguments: Any) -> HttpResponse:
        if request.method != "POST":
            return HttpResponse(status=405, headers={"Allow": "POST"})
        if len(request.body) > MAX_FIELDS_BYTES:
            return HttpResponse(status=413)
        given = request.headers.get(signature.HEADER, "")
        if not signature.genuine(request.get_full_path(), request.POST, given):
            log.warning("request without Twilio's signature", path=view.__name__, signed=bool(given))
            return HttpResponse(status=403)
        return view(Form(request.POST), **arguments)

    return door


def xml(document: str) -> HttpResponse:
    return HttpResponse(document, content_type="text/xml; charset=utf-8")


def done() -> HttpResponse:
    """What a callback is answered with."""
    return HttpResponse(status=204)
