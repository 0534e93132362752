"""Calendars that meetings are booked in, `/connectors`."""

import uuid
from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from crm.api.connector_forms import (
    AuthorizationOut,
    AuthorizedIn,
    ChoiceOut,
    ChoicesOut,
    ConnectorIn,
    ConnectorOut,
    ConnectorPatchIn,
    TestOut,
)
from crm.selectors import calendars as read
from crm.services import connector_checks, connectors
from tenex.rest.idempotency import idempotent
from tenex.rest.pagination import PAGE_PARAMETERS, page
from tenex.rest.schema import PAGE, operation, page_of
from tenex.rest.views import ApiView, created, no_content

TAG = "Connectors"


class ConnectorList(ApiView):
    scopes: ClassVar = {"GET": "connectors:read", "POST": "connectors:write"}

    @operation(
        "connectors_list",
        "List calendars",
        "The newest first, with the health of those elsewhere.",
        tag=TAG,
        response=page_of(ConnectorOut),
        parameters=PAGE,
    )
    def get(self, request: Request) -> Response:
        self.known_query(PAGE_PARAMETERS)
        rows = read.all_of(self.workspace.pk).select_related("account")
        found = page(rows, self.query, bound_to=f"connectors:{self.workspace.pk}")
        return Response(found.as_json(ConnectorOut))

    @operation(
        "connectors_create",
        "Create a calendar",
        "Built in: ready at once. CalDAV: then `POST …/discover` and, if there are several, `PATCH` with the "
        "`address` of one. Google: then `POST …/authorize` for the address where somebody lets us in.",
        tag=TAG,
        request=ConnectorIn,
        response=ConnectorOut,
        status=201,
        errors=(409,),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        self.known_query()
        body = self.body(ConnectorIn)
        kind = body.pop("kind")
        made = connectors.create(self.workspace, body, kind=kind, actor=self.principal.actor)
        return created(ConnectorOut(read.get(self.workspace.pk, made.pk)).data)


class ConnectorDetail(ApiView):
    scopes: ClassVar = {
        "GET": "connectors:read",
        "PATCH": "connectors:write",
        "DELETE": "connectors:write",
    }

    @operation(
        "connectors_get",
        "Get a calendar",
        "With its health.",
        tag=TAG,
        response=ConnectorOut,
        errors=(404,),
    )
    def get(self, request: Request, connector_id: uuid.UUID) -> Response:
        self.known_query()
        return Response(ConnectorOut(read.get(self.workspace.pk, connector_id)).data)

    @operation(
        "connectors_update",
        "Change a calendar",
        "What is absent stays. Another `url` needs the password again, and a calendar to be chosen.",
        tag=TAG,
        request=ConnectorPatchIn,
        response=ConnectorOut,
        errors=(404,),
    )
    def patch(self, request: Request, connector_id: uuid.UUID) -> Response:
        body = self.body(ConnectorPatchIn)
        calendar = read.get(self.workspace.pk, connector_id)
        return Response(ConnectorOut(connectors.update(calendar, body, actor=self.principal.actor)).data)

    @operation(
        "connectors_delete",
        "Delete a calendar",
        "Refused (409 `connector_in_use`) while meetings in it are to come. How it was reached is forgotten; "
        "past meetings stay in the leads' histories.",
        tag=TAG,
        status=204,
        errors=(404, 409),
    )
    def delete(self, request: Request, connector_id: uuid.UUID) -> Response:
        calendar = read.get(self.workspace.pk, connector_id)
        connector_checks.disconnect(calendar, actor=self.principal.actor)
        return no_content()


class ConnectorTest(ApiView):
    scopes: ClassVar = {"POST": "connectors:write"}

    @operation(
        "connectors_test",
        "Test a calendar",
        "Signs in, looks for the chosen calendar, reads when it is busy. Writes nothing.",
        tag=TAG,
        response=TestOut,
        errors=(404,),
    )
    def post(self, request: Request, connector_id: uuid.UUID) -> Response:
        self.known_query()
        checks = connector_checks.test(read.get(self.workspace.pk, connector_id))
        return Response(TestOut({"ok": all(one.ok for one in checks), "checks": checks}).data)


class ConnectorDiscovery(ApiView):
    scopes: ClassVar = {"POST": "connectors:write"}

    @operation(
        "connectors_discover",
        "Find the calendars of an account",
        "At the CalDAV server or at Google. If only one can be written in and none is chosen yet, it is.",
        tag=TAG,
        response=ChoicesOut,
        errors=(404, 409, 502, 503),
    )
    def post(self, request: Request, connector_id: uuid.UUID) -> Response:
        self.known_query()
        calendar = read.get(self.workspace.pk, connector_id)
        found = connector_checks.discover(calendar, actor=self.principal.actor)
        return Response({"items": ChoiceOut(found, many=True).data})


class ConnectorConsent(ApiView):
    scopes: ClassVar = {"POST": "connectors:write"}

    @operation(
        "connectors_authorize",
        "Begin to connect a Google calendar",
        "Send somebody to the address. Google sends them back to the console, where they must be signed in; "
        "or take `state` and `code` from there yourself and send them to `POST /connectors/authorized`.",
        tag=TAG,
        response=AuthorizationOut,
        errors=(404, 409),
    )
    def post(self, request: Request, connector_id: uuid.UUID) -> Response:
        self.known_query()
        calendar = read.get(self.workspace.pk, connector_id)
        url = connector_checks.consent_url(calendar, self.principal)
        return Response({"authorization_url": url, "expires_in_s": connector_checks.CONSENT_S})


class ConnectorAuthorized(ApiView):
    scopes: ClassVar = {"POST": "connectors:write"}

    @operation(
        "connectors_authorized",
        "Finish connecting a Google calendar",
        "With what Google sent back. Then `POST …/discover`. 409 `link_expired`: `state` is too old or "
        "not of this workspace; begin again.",
        tag=TAG,
        request=AuthorizedIn,
        response=ConnectorOut,
        errors=(409, 502, 503),
    )
    def post(self, request: Request) -> Response:
        self.known_query()
        body: dict[str, Any] = self.body(AuthorizedIn)
        made = connector_checks.come_in(self.workspace, **body, actor=self.principal.actor)
        return Response(ConnectorOut(read.get(self.workspace.pk, made.pk)).data)
