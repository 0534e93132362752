"""Every way to be wrong, as JSON (contract.md 3).

Validation: 422 `{"detail": [{"loc", "msg", "type"}]}`. Everything else: `{"detail", "code"}`, except the rate
limit's `{"error", "message"}`.
"""

from collections.abc import Iterator
from typing import Any

import orjson
import structlog
from django.core.exceptions import ObjectDoesNotExist, ObjectNotUpdated, RequestDataTooBig
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from psycopg.errors import ForeignKeyViolation
from rest_framework import exceptions
from rest_framework.response import Response

from tenex.errors import InvalidInput, TenexError

log = structlog.get_logger(__name__)

CHALLENGE = 'Bearer realm="tenex"'

_TYPES = {"required": "missing", "null": "none_not_allowed", "blank": "too_short", "empty": "too_short"}
"""DRF's codes that have another name in the published error format."""


class BodyTooLarge(TenexError):
    code = "body_too_large"
    status = 413

    def __init__(self) -> None:
        super().__init__("the body is larger than this server takes")


class RateLimited(TenexError):
    """The caller has used up its requests; `retry_after_s` from now there is room again."""

    code = "rate_limited"
    status = 429
    retryable = True

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class QueryInvalid(TenexError):
    """Several query parameters make no sense; `errors` maps each to what is wrong with it."""

    code = "invalid_input"
    status = 422

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__("the query makes no sense")
        self.errors = errors


_APPLICATION: tuple[tuple[type[exceptions.APIException], str], ...] = (
    (exceptions.ParseError, "invalid_json"),
    (exceptions.AuthenticationFailed, "unauthorized"),
    (exceptions.NotAuthenticated, "unauthorized"),
    (exceptions.PermissionDenied, "forbidden_scope"),
    (exceptions.NotFound, "not_found"),
    (exceptions.MethodNotAllowed, "method_not_allowed"),
    (exceptions.NotAcceptable, "not_acceptable"),
    (exceptions.UnsupportedMediaType, "unsupported_media_type"),
)


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response:
    """DRF's hook: the answer to any exception of a view."""
    match exc:
        case RateLimited():
            return Response(
                {"error": exc.code, "message": exc.detail},
                status=429,
                headers={"Retry-After": str(exc.retry_after_s)},
            )
        case InvalidInput():
            return validation_failed([{"loc": list(exc.loc), "msg": exc.detail, "type": exc.type_}])
        case QueryInvalid():
            return validation_failed(
                [
                    {"loc": ["query", name], "msg": text, "type": "value_error"}
                    for name, texts in exc.errors.items()
                    for text in texts
                ]
            )
        case TenexError():
            answer = _application(exc.status, exc.detail, exc.code, **exc.extra)
            if exc.status == 401:
                answer["WWW-Authenticate"] = CHALLENGE
            return answer
        case exceptions.ValidationError():
            return validation_failed(list(flatten(exc.detail, ("body",))))
        case Http404():
            return not_found()
        case _ if row_gone(exc, type(context.get("view")).__name__):
            return not_found()
        case RequestDataTooBig():
            return exception_handler(BodyTooLarge(), context)
        case OperationalError() | InterfaceError():
            log.exception("request failed", view=type(context.get("view")).__name__, exc_info=exc)
            return _application(503, "the database does not answer; try again", "unavailable")
        case exceptions.APIException():
            code = next((code for kind, code in _APPLICATION if isinstance(exc, kind)), "request_failed")
            answer = _application(exc.status_code, str(exc.detail), code)
            if exc.status_code == 401:
                answer["WWW-Authenticate"] = CHALLENGE
            return answer
    view = context.get("view")
    log.exception("request failed", view=type(view).__name__, exc_info=exc)
    return _application(500, "something broke on our side", "internal_error")


def validation_failed(errors: list[dict[str, Any]]) -> Response:
    return Response({"detail": errors}, status=422)


def row_gone(exc: Exception, view: str) -> bool:
    """Whether it says that a row is not there, most likely deleted by another request at this moment.

    It may be a fault of ours too: it is logged with its traceback.
    """
    of_another_row = isinstance(exc, IntegrityError) and isinstance(exc.__cause__, ForeignKeyViolation)
    if not (of_another_row or isinstance(exc, ObjectNotUpdated | ObjectDoesNotExist)):
        return False
    log.warning("row gone meanwhile", view=view, exc_info=exc)
    return True


def not_found() -> Response:
    """One answer for what does not exist and for what belongs to somebody else."""
    return _application(404, "there is no such thing here", "not_found")


def _application(status: int, detail: str, code: str, **extra: Any) -> Response:
    return Response({"detail": detail, "code": code, **extra}, status=status)


def flatten(detail: Any, loc: tuple[str | int, ...]) -> Iterator[dict[str, Any]]:
    """DRF's nested errors as a flat list with paths."""
    match detail:
        case dict():
            for name, inner in detail.items():
                yield from flatten(inner, loc if name == "non_field_errors" else (*loc, name))
        case list():
            for index, inner in enumerate(detail):
                yield from flatten(inner, (*loc, index) if isinstance(inner, dict) and inner else loc)
        case _:
            code = getattr(detail, "code", "invalid")
            yield {"loc": list(loc), "msg": str(detail), "type": _TYPES.get(code, code)}


@csrf_exempt
def django_not_found(request: HttpRequest, exception: Exception | None = None, **_: object) -> HttpResponse:
    """`handler404` and the route that ends /api: JSON for programs, a line of text for people."""
    if request.path.startswith("/api"):
        return _plain_json(404, "there is no such thing here", "not_found")
    return HttpResponse("Not found\n", status=404, content_type="text/plain")


def django_failed(request: HttpRequest) -> HttpResponse:
    """`handler500`."""
    if request.path.startswith("/api"):
        return _plain_json(500, "something broke on our side", "internal_error")
    return HttpResponse("Something broke on our side\n", status=500, content_type="text/plain")


def django_bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """`handler400`: what Django refuses before a view sees it (a Host that is not ours, for instance)."""
    if request.path.startswith("/api"):
        return _plain_json(400, "the request is not acceptable", "bad_request")
    return HttpResponse("Bad request\n", status=400, content_type="text/plain")


def _plain_json(status: int, detail: str, code: str) -> HttpResponse:
    body = orjson.dumps({"detail": detail, "code": code})
    return HttpResponse(body, status=status, content_type="application/json")
