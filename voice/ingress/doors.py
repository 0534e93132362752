"""What every door has in common: only Twilio may knock, only with a form, and it always gets an answer."""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse, QueryDict
from django.views.decorators.csrf import csrf_exempt

from tenex.lib.phone import normalize_or_none
from tenex.lib.storable import text
from voice.services import accounts
from voice.services.accounts import Owner
from voice.telephony import signature, statuses

log = structlog.get_logger(__name__)

View = Callable[..., HttpResponse]
MAX_FIELDS_BYTES = 64 * 1024


About = Callable[..., Owner | None]
"""(form, **path_arguments) -> whose number or call a request is about."""


class Form:
    """The fields of a Twilio request: texts, cleaned and bounded; a missing one is empty."""

    owner: Owner | None = None
    """Whose account has signed the request; None: that of the settings, for what is nobody's."""

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


def twilio(about: About) -> Callable[[View], View]:
    """A view behind the signature check: `view(form, **path_arguments)`.

    403 for anything that the account of what the request is about did not sign over our public address,
    whatever the Host header says. What is nobody's is signed by the account of the settings.
    """

    def behind(view: View) -> View:
        @csrf_exempt
        @wraps(view)
        def door(request: HttpRequest, **arguments: Any) -> HttpResponse:
            if request.method != "POST":
                return HttpResponse(status=405, headers={"Allow": "POST"})
            if len(request.body) > MAX_FIELDS_BYTES:
                return HttpResponse(status=413)
            given, form = request.headers.get(signature.HEADER, ""), Form(request.POST)
            form.owner = about(form, **arguments) if given else None
            tokens = accounts.tokens(form.owner)
            if not signature.genuine(request.get_full_path(), request.POST, given, tokens=tokens):
                log.warning("request without Twilio's signature", path=view.__name__, signed=bool(given))
                return HttpResponse(status=403)
            return view(form, **arguments)

        return door

    return behind


def by_called_number(form: Form) -> Owner | None:
    """A new call is about the number that is called."""
    e164 = normalize_or_none(form["To"]) or form["To"]
    return accounts.of_number(e164) or accounts.of_sid(form["CallSid"])


def by_call_sid(form: Form) -> Owner | None:
    """What is told of a call that the carrier has is about that call, if it is one of ours."""
    return accounts.of_sid(form["CallSid"]) or by_called_number(form)


def by_call(form: Form, call_id: uuid.UUID) -> Owner | None:
    return accounts.of_call(call_id)


def by_attempt(form: Form, attempt_id: uuid.UUID) -> Owner | None:
    return accounts.of_attempt(attempt_id)


def xml(document: str) -> HttpResponse:
    return HttpResponse(document, content_type="text/xml; charset=utf-8")


def done() -> HttpResponse:
    """What a callback is answered with."""
    return HttpResponse(status=204)
