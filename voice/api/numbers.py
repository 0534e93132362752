"""Phone numbers and who answers them."""

import re
import uuid
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from tenex.errors import InvalidInput
from tenex.rest import filters as strict
from tenex.rest.idempotency import idempotent
from tenex.rest.pagination import page
from tenex.rest.schema import filter_parameters, operation, page_of
from tenex.rest.views import ApiView, created, no_content
from voice.api.number_forms import (
    KINDS,
    AvailableNumbersOut,
    NumberFilters,
    NumberIn,
    NumberOut,
    NumberPatchIn,
)
from voice.selectors import agents as read
from voice.services import numbers as write
from voice.services import numbers_for_sale

TAG = "Numbers"
_MOST = 50
_SALE_PARAMETERS = [
    OpenApiParameter(
        "country",
        {"type": "string", "pattern": "^[A-Z]{2}$"},
        description="ISO country code; the workspace's region if absent.",
    ),
    OpenApiParameter("type", str, enum=KINDS, default="local", description="Kind of number."),
    OpenApiParameter(
        "area_code",
        {"type": "string", "pattern": "^[2-9][0-9]{2}$"},
        description="Three digits; in the US and Canada only.",
    ),
    OpenApiParameter(
        "contains",
        {"type": "string", "pattern": "^[+]?[0-9A-Za-z*]{2,20}$"},
        description="Digits (or letters of a keypad) that the number has, `*` for any one.",
    ),
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "default": 20},
        description=f"At most so many; above {_MOST} counts as {_MOST}.",
    ),
]
_FORMS = {
    "country": (r"[A-Z]{2}", "must be an ISO country code such as US"),
    "area_code": (r"[2-9][0-9]{2}", "must be three digits"),
    "contains": (r"\+?[0-9A-Za-z*]{2,20}", "must be 2 to 20 digits, letters or *"),
    "limit": (r"0*[1-9][0-9]{0,99}", "must be a whole number above zero"),
}


class NumberList(ApiView):
    scopes: ClassVar = {"GET": "numbers:read", "POST": "numbers:write"}

    @operation(
        "numbers_list",
        "List numbers",
        "Numbers of the workspace, the newest first: also those that are being bought, and those that could "
        "not be (`failed`).",
        tag=TAG,
        response=page_of(NumberOut),
        parameters=filter_parameters(NumberFilters),
    )
    def get(self, request: Request) -> Response:
        rows = strict.apply(NumberFilters, self.query, read.numbers(self.workspace))
        found = page(rows, self.query, bound_to=f"numbers:{self.workspace.pk}")
        return Response(found.as_json(NumberOut))

    @operation(
        "numbers_create",
        "Buy or import a number",
        "With `buy` the number is bought: it stays `pending` until the carrier has answered, and is never "
        "bought twice, also if the answer is lost. Without, it is a number that the carrier account has, by "
        "`e164` or `provider_sid`; its voice and status addresses at the carrier are pointed here, unless "
        "`configure` is false. `number.updated` tells when it is `active` or `failed`.",
        tag=TAG,
        request=NumberIn,
        response=NumberOut,
        status=201,
        errors=(409, 502, 503),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        number = write.create(self.workspace, self.body(NumberIn), self.principal.actor)
        return created(NumberOut(number).data)


class NumbersAvailable(ApiView):
    scopes: ClassVar = {"GET": "numbers:read"}

    @operation(
        "numbers_available",
        "Search numbers to buy",
        "Numbers that take calls and that the carrier sells right now.",
        tag=TAG,
        response=AvailableNumbersOut,
        parameters=_SALE_PARAMETERS,
        errors=(502, 503),
    )
    def get(self, request: Request) -> Response:
        self.known_query(("country", "type", "area_code", "contains", "limit"))
        wanted = {name: self._given(name) for name in _FORMS}
        kind: Any = self.query.get("type", "local")
        if kind not in KINDS:
            raise InvalidInput(f"must be one of {', '.join(KINDS)}", loc=("query", "type"), type_="enum")
        limit = int(wanted["limit"] or 20)
        found = numbers_for_sale.search(
            self.workspace.pk,
            wanted["country"] or self.workspace.default_region,
            kind,
            area_code=wanted["area_code"],
            contains=wanted["contains"],
            limit=min(limit, _MOST),
        )
        return Response(AvailableNumbersOut({"items": found}).data)

    def _given(self, name: str) -> str:
        form, wrong = _FORMS[name]
        value: str | None = self.query.get(name)
        if value is not None and not re.fullmatch(form, value, re.ASCII):
            raise InvalidInput(wrong, loc=("query", name), type_="value_error")
        return value or ""


class NumberDetail(ApiView):
    scopes: ClassVar = {"GET": "numbers:read", "PATCH": "numbers:write", "DELETE": "numbers:write"}

    @operation("numbers_get", "Get a number", "One number.", tag=TAG, response=NumberOut, errors=(404,))
    def get(self, request: Request, number_id: uuid.UUID) -> Response:
        self.known_query()
        return Response(NumberOut(read.number(self.workspace, number_id)).data)

    @operation(
        "numbers_update",
        "Route a number",
        "The next call to it goes to the new agent.",
        tag=TAG,
        request=NumberPatchIn,
        response=NumberOut,
        errors=(404,),
    )
    def patch(self, request: Request, number_id: uuid.UUID) -> Response:
        number = read.number(self.workspace, number_id)
        changed = write.update(number, self.body(NumberPatchIn), self.principal.actor)
        return Response(NumberOut(changed).data)

    @operation(
        "numbers_release",
        "Release a number",
        "Takes the number out of the workspace. With `at_carrier=true` it is also given back to the carrier: "
        "that ends its costs, and somebody else may get it. Refused with 409 `number_in_use` while an open "
        "batch or a live call uses it, and `number_pending` while it is being bought.",
        tag=TAG,
        status=204,
        parameters=[
            OpenApiParameter(
                "at_carrier", bool, default=False, description="Give it back to the carrier too."
            )
        ],
        errors=(404, 409),
    )
    def delete(self, request: Request, number_id: uuid.UUID) -> Response:
        self.known_query(("at_carrier",))
        asked = self.query.get("at_carrier", "false")
        if asked not in ("true", "false"):
            raise InvalidInput("must be true or false", loc=("query", "at_carrier"), type_="enum")
        number = read.number(self.workspace, number_id)
        write.release(number, at_carrier=asked == "true", actor=self.principal.actor)
        return no_content()
