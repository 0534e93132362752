"""OpenAPI 3.1: how an operation is described, and what every operation has."""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import django_filters
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers

from tenex.rest.filters import Several
from tenex.rest.moments import MomentFilter
from tenex.rest.permissions import AnyCredential
from tenex.rest.serializers import Output


@extend_schema_field({"type": "array", "items": {"type": ["string", "integer"]}})
class Path(serializers.ListField):
    """Where in the request."""


class ErrorLocation(Output):
    """One field that is wrong."""

    loc = Path(help_text='For instance `["body", "phone"]`; a place in a list is a number.')
    msg = serializers.CharField()
    type = serializers.CharField()


class ValidationErrors(Output):
    """What is wrong with the request, field by field."""

    detail = ErrorLocation(many=True)


class ApplicationError(Output):
    """Why the request was refused. Branch on `code`, show `detail`."""

    detail = serializers.CharField()
    code = serializers.CharField()


class RateLimitError(Output):
    """Too many requests. `Retry-After` says when to come back."""

    error = serializers.CharField()
    message = serializers.CharField()


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "tenex.rest.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key (`tnx_…`) or a token of `POST /api/v1/users/login`. A token of "
            "somebody "
            "who is in several workspaces also needs the header `X-Workspace` (id or slug).",
        }


class FreeObjectSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = "tenex.rest.serializers.FreeObject"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> dict[str, object]:
        # No deeper: many generators of clients cannot read a schema that refers to itself.
        names = {"pattern": "^[^\\u0000]*$"}
        return {"type": "object", "propertyNames": names, "additionalProperties": True}


class Schema(AutoSchema):
    """Adds each operation's scope to its description and its security requirement."""

    def _scope(self) -> str | None:
        scopes: dict[str, str] = getattr(self.view, "scopes", {})
        return scopes.get(self.method)

    def _map_basic_serializer(self, serializer: Any, direction: str) -> dict[str, Any]:
        made: dict[str, Any] = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]
        return made | getattr(serializer, "together", {})

    def get_auth(self) -> list[dict[str, list[str]]]:
        super().get_auth()  # registers the scheme
        scope = self._scope()
        if scope is None and AnyCredential in self.view.permission_classes:
            return [{"bearer": []}]
        return [{"bearer": [scope]}] if scope else [{}]

    def get_description(self) -> str:  # type: ignore[override]
        text: str = super().get_description()
        scope = self._scope()
        return f"{text}\n\nScope: `{scope}`." if scope else text


_ALWAYS = {
    401: OpenApiResponse(ApplicationError, "No credential, or one that is not valid (`unauthorized`)."),
    403: OpenApiResponse(ApplicationError, "The credential lacks the scope (`forbidden_scope`)."),
    406: OpenApiResponse(ApplicationError, "`Accept` excludes what this answers (`not_acceptable`)."),
    429: OpenApiResponse(RateLimitError, "More than 1000 requests a minute."),
}
_MORE = {
    400: OpenApiResponse(ApplicationError, "The body is not JSON (`invalid_json`)."),
    404: OpenApiResponse(ApplicationError, "There is no such thing in your workspace (`not_found`)."),
    409: OpenApiResponse(ApplicationError, "It cannot be done in the present state; see `code`."),
    410: OpenApiResponse(ApplicationError, "It was here and is gone; see `code`."),
    413: OpenApiResponse(ApplicationError, "The body is too large (`body_too_large`)."),
    415: OpenApiResponse(ApplicationError, "The body is not `application/json` (`unsupported_media_type`)."),
    416: OpenApiResponse(ApplicationError, "The range lies outside the file (`range_not_satisfiable`)."),
    422: OpenApiResponse(ValidationErrors, "A field or parameter is wrong."),
    502: OpenApiResponse(ApplicationError, "The carrier refused or failed; see `code`."),
    503: OpenApiResponse(
        ApplicationError, "Something that this needs does not answer; try again (`unavailable`)."
    ),
}


def error_examples(status: str, description: str) -> dict[str, Any] | None:
    """What an answer of that status looks like; None if it is no error. The code is in the description."""
    match status:
        case "422":
            wrong = {
                "loc": ["body", "phone"],
                "msg": "not a phone number in international form",
                "type": "phone",
            }
            return {"detail": [wrong]}
        case "429":
            return {"error": "rate_limited", "message": "more than 1000 requests a minute; try again in 12 s"}
        case _ if status < "400":
            return None
    code = re.search(r"`([a-z_]+)`\)", description)
    return {
        "detail": description.partition(" (`")[0].rstrip("."),
        "code": code[1] if code else "conflict" if status == "409" else "gone",
    }


IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    OpenApiParameter.HEADER,
    description="Any text of up to 255 characters. The same key with the same request gets the first "
    "answer again "
    "(`Idempotent-Replayed: true`), with another request 422, while the first is in work 409. Kept for 72 "
    "hours.",
)
PAGE = (
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "default": 50},
        description="Items a page; above 200 counts as 200.",
    ),
    OpenApiParameter(
        "cursor",
        {"type": "string", "pattern": "^[A-Za-z0-9_-]{24,}$"},
        description="`next_cursor` of the page before, with the same filters.",
    ),
)


def operation(
    operation_id: str,
    summary: str,
    description: str,
    *,
    tag: str,
    request: Any = None,
    response: Any = None,
    status: int = 200,
    parameters: Sequence[OpenApiParameter] = (),
    errors: Iterable[int] = (),
    idempotent: bool = False,
    public: bool = False,
) -> Callable[[Any], Any]:
    """`extend_schema` with all that our operations have in common.

    `errors` are added to those that follow from the shape: a body can be unreadable, too large or wrong.
    """
    wanted = (
        set(errors) | ({400, 413, 415, 422} if request else set()) | ({409, 422} if idempotent else set())
    )
    if parameters:
        wanted.add(422)
    done = response if response is not None else OpenApiResponse(description="Done.")
    answers: dict[Any, Any] = dict(done) if isinstance(done, dict) else {status: done}
    answers |= {code: one for code, one in _ALWAYS.items() if not (public and code == 403)}
    answers |= {code: _MORE[code] for code in sorted(wanted)}
    described: Callable[[Any], Any] = extend_schema(
        operation_id=operation_id,
        summary=summary,
        description=description,
        tags=[tag],
        request=request,
        responses=answers,
        parameters=[*parameters, *([IDEMPOTENCY_KEY] if idempotent else [])],
    )
    produces = {one[1] for one in answers if isinstance(one, tuple)}

    def decorate(handler: Any) -> Any:
        handler.produces = produces  # for content negotiation
        return described(handler)

    return decorate


def filter_parameters(filters: type[django_filters.FilterSet]) -> list[OpenApiParameter]:
    """The parameters of a filtered list, of the very filters that run."""
    return [*query_parameters(filters), *PAGE]


def query_parameters(filters: type[django_filters.FilterSet]) -> list[OpenApiParameter]:
    """The parameters of what is filtered and no list."""
    return [_parameter(item) for item in filters.base_filters.items()]


def _parameter(item: tuple[str, Any]) -> OpenApiParameter:
    name, one = item
    text = str(one.extra.get("help_text", "") or one.label or "")
    match one:
        case MomentFilter():
            this_century = {"type": "string", "pattern": "^20[0-9]{2}-"}
            moment = this_century | {"anyOf": [{"format": "date-time"}, {"format": "date"}]}
            return OpenApiParameter(name, moment, description=text)
        case Several():
            choices = sorted(value for value, _ in one.extra["choices"])
            some = {"type": "array", "items": {"type": "string", "enum": choices}, "minItems": 1}
            return OpenApiParameter(name, some, description=text, explode=False, style="form")
        case django_filters.ChoiceFilter():
            return OpenApiParameter(
                name, str, description=text, enum=[value for value, _ in one.extra["choices"]]
            )
        case django_filters.NumberFilter():
            whole = {"type": "integer", "minimum": one.extra["min_value"], "maximum": one.extra["max_value"]}
            return OpenApiParameter(name, whole, description=text)
        case django_filters.UUIDFilter():
            return OpenApiParameter(name, OpenApiTypes.UUID, description=text)
        case django_filters.IsoDateTimeFilter():
            return OpenApiParameter(name, OpenApiTypes.DATETIME, description=text)
        case django_filters.BooleanFilter():
            return OpenApiParameter(name, bool, description=text)
        case _:
            most = one.extra.get("max_length", 255)
            words = {"type": "string", "minLength": 1, "maxLength": most, "pattern": "^[^\\u0000]+$"}
            return OpenApiParameter(name, words, description=text)


@cache
def page_of(item: type[Output], base: type[Output] = Output) -> type[Output]:
    """The class of one page of `item`: `<Item>Page`, a `base`."""
    return type(
        f"{item.__name__}Page",
        (base,),
        {
            "__doc__": "One page. `next_cursor` is null on the last one.",
            "items": item(many=True),
            "next_cursor": serializers.CharField(allow_null=True),
        },
    )
