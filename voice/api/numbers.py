"""Phone numbers and who answers them."""

import uuid
from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from tenex.rest.idempotency import idempotent
from tenex.rest.pagination import PAGE_PARAMETERS, page
from tenex.rest.schema import PAGE, operation, page_of
from tenex.rest.views import ApiView, created
from voice.api.agent_inputs import NumberIn, NumberPatchIn
from voice.api.agent_outputs import NumberOut
from voice.selectors import agents as read
from voice.services import numbers as write

TAG = "Numbers"


class NumberList(ApiView):
    scopes: ClassVar = {"GET": "numbers:read", "POST": "numbers:write"}

    @operation(
        "numbers_list",
        "List numbers",
        "Numbers of the workspace, the newest first.",
        tag=TAG,
        response=page_of(NumberOut),
        parameters=PAGE,
    )
    def get(self, request: Request) -> Response:
        self.known_query(PAGE_PARAMETERS)
        found = page(read.numbers(self.workspace), self.query, bound_to=f"numbers:{self.workspace.pk}")
        return Response({"items": NumberOut(found.items, many=True).data, "next_cursor": found.next_cursor})

    @operation(
        "numbers_create",
        "Import a number",
        "Adds a number that the carrier account has and routes it to an agent.",
        tag=TAG,
        request=NumberIn,
        response=NumberOut,
        status=201,
        errors=(409,),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        number = write.create(self.workspace, self.body(NumberIn), self.principal.actor)
        return created(NumberOut(number).data)


class NumberDetail(ApiView):
    scopes: ClassVar = {"GET": "numbers:read", "PATCH": "numbers:write"}

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
