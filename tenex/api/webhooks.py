"""Webhook subscriptions and the log of what was sent."""

import uuid
from typing import Any, ClassVar

import django_filters as df
from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from tenex.errors import NotFound
from tenex.rest import filters as strict
from tenex.rest.idempotency import idempotent
from tenex.rest.pagination import PAGE_PARAMETERS, page
from tenex.rest.schema import PAGE, filter_parameters, operation, page_of
from tenex.rest.serializers import Input, Output
from tenex.rest.views import ApiView, created, no_content
from tenex.webhooks.models import Delivery, DeliveryStatus, SubscriptionStatus, WebhookSubscription
from tenex.webhooks.services import subscriptions as write
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit

TAG = "Webhooks"

EVENT_TYPES = (
    "agent.run.completed",
    "agent.run.started",
    "batch.completed",
    "call.answered",
    "call.ended",
    "call.ringing",
    "lead.created",
    "lead.opted_out",
    "lead.updated",
    "meeting.booked",
    "number.updated",
    "recording.available",
    "transcript.available",
    "webhook.disabled",
)


class WebhookIn(Input):
    """A URL that wants to hear of events."""

    url = f.URLField(max_length=2000, help_text="https; private addresses are refused.")
    events = f.ListField(
        child=f.ChoiceField(choices=EVENT_TYPES),
        required=False,
        max_length=50,
        help_text="Empty or absent: all.",
    )
    description = f.CharField(max_length=200, required=False, allow_blank=True)
    timeout_s = f.IntegerField(min_value=1, max_value=30, required=False)
    stop_after_five = f.BooleanField(required=False, help_text="Give up after the first five retries.")


class WebhookPatchIn(WebhookIn):
    """Changes of a subscription."""

    status = f.ChoiceField(choices=["active", "paused"], required=False)


class WebhookOut(Output):
    """A subscription, without its secret."""

    id = f.UUIDField()
    company_id = f.UUIDField(source="workspace_id")
    url = f.CharField()
    events = f.ListField(child=f.CharField())
    description = f.CharField()
    status = f.ChoiceField(choices=SubscriptionStatus.choices)
    timeout_s = f.IntegerField()
    stop_after_five = f.BooleanField()
    failing_since = f.DateTimeField(allow_null=True)
    disabled_reason = f.CharField()
    created_at = f.DateTimeField()


class CreatedWebhookOut(WebhookOut):
    """The new subscription with its secrets, shown this once."""

    secret = f.CharField(help_text="Signs the Standard Webhooks headers (`webhook-signature`).")
    workspace_secret = f.CharField(
        source="workspace.webhook_secret", help_text="Signs `X-10ex-Signature`; one for the workspace."
    )


class DeliveryAttemptOut(Output):
    """One try."""

    number = f.IntegerField()
    created_at = f.DateTimeField()
    status_code = f.IntegerField(allow_null=True)
    error = f.CharField()
    duration_ms = f.IntegerField()
    response_body = f.CharField(help_text="The first KiB.")


class DeliveryOut(Output):
    """One event for this subscription and all tries to deliver it."""

    id = f.UUIDField()
    event_id = f.CharField()
    event_type = f.CharField(source="event.type")
    status = f.ChoiceField(choices=DeliveryStatus.choices)
    attempts = f.IntegerField()
    next_at = f.DateTimeField(allow_null=True)
    delivered_at = f.DateTimeField(allow_null=True)
    created_at = f.DateTimeField()
    log = DeliveryAttemptOut(many=True)


class DeliveryFilters(df.FilterSet):  # type: ignore[misc]
    status = df.ChoiceFilter(choices=DeliveryStatus.choices, help_text="Where the delivery is.")
    event_type = df.ChoiceFilter(
        "event__type", choices=[(one, one) for one in EVENT_TYPES], help_text="Type of the event."
    )


def _one(workspace: Workspace, webhook_id: uuid.UUID) -> WebhookSubscription:
    row = WebhookSubscription.objects.filter(workspace=workspace, pk=webhook_id).first()
    if row is None:
        raise NotFound("there is no such thing here")
    return row


class WebhookList(ApiView):
    scopes: ClassVar = {"GET": "webhooks:read", "POST": "webhooks:write"}

    @operation(
        "webhooks_list",
        "List subscriptions",
        "Subscriptions, the newest first.",
        tag=TAG,
        response=page_of(WebhookOut),
        parameters=PAGE,
    )
    def get(self, request: Request) -> Response:
        self.known_query(PAGE_PARAMETERS)
        rows = WebhookSubscription.objects.filter(workspace=self.workspace)
        found = page(rows, self.query, bound_to=f"webhooks:{self.workspace.pk}")
        return Response({"items": WebhookOut(found.items, many=True).data, "next_cursor": found.next_cursor})

    @operation(
        "webhooks_create",
        "Subscribe",
        "Events that happen from now on are posted to `url`, at least once each, until it answers 2xx.",
        tag=TAG,
        request=WebhookIn,
        response=CreatedWebhookOut,
        status=201,
        errors=(409,),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        row = write.create(self.workspace, **self.body(WebhookIn))
        self._audit("webhook.created", row)
        return created(CreatedWebhookOut(row).data)

    def _audit(self, action: str, row: WebhookSubscription) -> None:
        audit.record(self.workspace.pk, self.principal.actor, action, object_type="webhook", object_id=row.pk)


class WebhookDetail(ApiView):
    scopes: ClassVar = {"GET": "webhooks:read", "PATCH": "webhooks:write", "DELETE": "webhooks:write"}

    @operation(
        "webhooks_get", "Get a subscription", "One subscription.", tag=TAG, response=WebhookOut, errors=(404,)
    )
    def get(self, request: Request, webhook_id: uuid.UUID) -> Response:
        self.known_query()
        return Response(WebhookOut(_one(self.workspace, webhook_id)).data)

    @operation(
        "webhooks_update",
        "Change a subscription",
        "`status` pauses it, or revives one that was disabled after failures.",
        tag=TAG,
        request=WebhookPatchIn,
        response=WebhookOut,
        errors=(404,),
    )
    def patch(self, request: Request, webhook_id: uuid.UUID) -> Response:
        row = _one(self.workspace, webhook_id)
        changes: dict[str, Any] = self.body(WebhookPatchIn)
        if "events" in changes:
            changes["events"] = sorted(set(changes["events"]))
        row = write.update(row, changes)
        audit.record(
            self.workspace.pk,
            self.principal.actor,
            "webhook.updated",
            object_type="webhook",
            object_id=row.pk,
            data={"fields": sorted(changes)},
        )
        return Response(WebhookOut(row).data)

    @operation(
        "webhooks_delete",
        "Unsubscribe",
        "Nothing more is sent; the delivery log goes too.",
        tag=TAG,
        status=204,
        errors=(404,),
    )
    def delete(self, request: Request, webhook_id: uuid.UUID) -> Response:
        row = _one(self.workspace, webhook_id)
        audit.record(
            self.workspace.pk,
            self.principal.actor,
            "webhook.deleted",
            object_type="webhook",
            object_id=row.pk,
        )
        row.delete()
        return no_content()


class WebhookDeliveries(ApiView):
    scopes: ClassVar = {"GET": "webhooks:read"}

    @operation(
        "webhooks_deliveries",
        "List deliveries",
        "What was sent to this subscription, the newest first, with every try.",
        tag=TAG,
        response=page_of(DeliveryOut),
        parameters=filter_parameters(DeliveryFilters),
        errors=(404,),
    )
    def get(self, request: Request, webhook_id: uuid.UUID) -> Response:
        row = _one(self.workspace, webhook_id)
        rows = Delivery.objects.filter(subscription=row).select_related("event").prefetch_related("log")
        rows = strict.apply(DeliveryFilters, self.query, rows.defer("body", "event__data"))
        found = page(rows, self.query, bound_to=f"deliveries:{row.pk}")
        return Response({"items": DeliveryOut(found.items, many=True).data, "next_cursor": found.next_cursor})
