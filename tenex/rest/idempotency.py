"""Idempotency-Key: the same request again gets the first answer again (promises.md D3).

The claim is a row of its own, committed before the work; the answer is stored in the transaction of the
effect. So a process that dies either leaves no effect and a lease that runs out, or an effect with its
answer. Answers are kept encrypted, for they may hold a secret that is shown once.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.request import Request

from tenex.errors import Conflict, InvalidInput
from tenex.lib import failpoint, limits
from tenex.rest.renderers import dumps
from tenex.rest.views import ApiView
from tenex.workspaces.models import IdempotentRequest
from tenex.workspaces.services import answers

HEADER = "Idempotency-Key"
LEASE = timedelta(seconds=60)

type Handler = Callable[..., HttpResponseBase]


@dataclass(frozen=True, slots=True)
class _Claim:
    row_id: Any
    lease_until: datetime


def idempotent(handler: Handler) -> Handler:
    """Decorate a view's method: with the header its effect happens once, without it nothing changes."""

    @wraps(handler)
    def guarded(view: ApiView, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        key = request.META.get("HTTP_IDEMPOTENCY_KEY")
        if key is None:
            return handler(view, request, *args, **kwargs)
        if not (0 < len(key) <= limits.IDEMPOTENCY_KEY_CHARS and key.isascii() and key.isprintable()):
            raise InvalidInput("must be 1 to 255 printable ASCII characters", loc=("header", HEADER))
        claim = _claim(view, request, key)
        if isinstance(claim, IdempotentRequest):
            return _replay(claim)
        return _run(view, claim, lambda: handler(view, request, *args, **kwargs))

    return guarded


def _claim(view: ApiView, request: Request, key: str) -> _Claim | IdempotentRequest:
    """Our claim to do the work, or the row with the answer of whoever did it.

    Raises:
        Conflict: somebody is doing it.
        InvalidInput: the key was used for another request.
    """
    now = timezone.now()
    fingerprint = _fingerprint(request)
    row, fresh = IdempotentRequest.objects.get_or_create(
        workspace=view.workspace,
        scope=view.principal.rate_key,
        key=key,
        defaults={"fingerprint": fingerprint, "lease_until": now + LEASE},
    )
    if fresh:
        return _Claim(row.pk, row.lease_until)
    if row.fingerprint != fingerprint:
        raise InvalidInput(
            "this key was used for another request", loc=("header", HEADER), type_="idempotency_key_reused"
        )
    if row.status is not None:
        return row
    taken_over = _Claim(row.pk, now + LEASE)
    if row.lease_until > now or not IdempotentRequest.objects.filter(
        pk=row.pk, status=None, lease_until=row.lease_until
    ).update(lease_until=taken_over.lease_until):
        raise Conflict("a request with this key is being worked on", code="idempotency_in_flight")
    return taken_over


def _run(view: ApiView, claim: _Claim, handle: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """Effect and stored answer in one transaction; a refusal is stored too, a failure of ours is not."""
    try:
        with transaction.atomic():
            response = handle()
            _keep(claim, response)
        failpoint.hit("idempotency.committed")
    except Exception as exc:  # the top of a request: any exception becomes an answer
        response = view.handle_exception(exc)
        if response.status_code < 500:
            _keep(claim, response)
        else:
            IdempotentRequest.objects.filter(
                pk=claim.row_id, status=None, lease_until=claim.lease_until
            ).delete()
    return response


def _keep(claim: _Claim, response: HttpResponseBase) -> None:
    """Store the answer if the claim still is ours.

    Raises:
        Conflict: the lease ran out and somebody else took the work over; ours is rolled back.
    """
    stored = IdempotentRequest.objects.filter(
        pk=claim.row_id, status=None, lease_until=claim.lease_until
    ).update(
        status=response.status_code,
        body=answers.seal(dumps(getattr(response, "data", None))),
    )
    if not stored:
        raise Conflict("this request took too long and was begun again", code="idempotency_in_flight")


def _replay(row: IdempotentRequest) -> HttpResponseBase:
    return HttpResponse(
        answers.opened(row.body),
        status=row.status,
        content_type="application/json",
        headers={"Idempotent-Replayed": "true"},
    )


def _fingerprint(request: Request) -> str:
    """HMAC-SHA-256 of method, path with query, and raw body (or of the digest of a body that was streamed).

    With a key, because a body may be a phone number and little else, which a plain hash would give away.
    """
    plain = request._request
    head = f"{plain.method} {plain.get_full_path()}\n".encode()
    if digest := getattr(plain, "body_digest", None):
        return _mac(head + digest.encode())
    return _mac(head + plain.body)


def _mac(text: bytes) -> str:
    return hmac.new(settings.ANSWER_KEY, text, hashlib.sha256).hexdigest()
