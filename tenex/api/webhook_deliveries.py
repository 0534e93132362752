"""What was sent to a subscription: the log, a test, and sending again."""

import uuid
from typing import Any, ClassVar

import django_filters as df
from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from tenex.rest import filters as strict
from tenex.rest.idempotency import idempotent
from tenex.rest.pagination import PAGE_PARAMETERS, page
from tenex.rest.schema import PAGE, filter_parameters, operation, page_of
from tenex.rest.serializers import Input, Output
from tenex.rest.views import ApiView, accepted
from tenex.webhooks import selectors as read
from tenex.webhooks.catalogue import EVENT_TYPES
from tenex.webhooks.models import Delivery, DeliveryStatus, Replay, ReplayKind
from tenex.webhooks.services import deliveries, replays, subscriptions

TAG = "Webhooks"


class DeliveryAttemptOut(Output):
    """One try. A number that is missing is a try whose worker died over it."""

    number = f.IntegerField()
    created_at = f.DateTimeField()
    status_code = f.IntegerField(allow_null=True, help_text="Null if there was no answer.")
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
    replay_id = f.UUIDField(allow_null=True, help_text="The replay that last sent it again.")
    log = DeliveryAttemptOut(many=True)


class DeliveryWithBodyOut(DeliveryOut):
    """The same with what is sent."""

    body = f.SerializerMethodField(help_text="The exact text that is signed and sent, JSON.")

    def get_body(self, delivery: Delivery) -> str:
        return bytes(delivery.body).decode()


class ReplayIn(Input):
    """What to send again."""

    since = f.DateTimeField(help_text="At most 30 days back.")
    until = f.DateTimeField(required=False, allow_null=True, help_text="Not included; now if absent.")
    kind = f.ChoiceField(
        choices=ReplayKind.choices,
        required=False,
        help_text="`failed` (if absent): deliveries that were given up. `missing`: events that were never "
        "made out to this subscription, because it was disabled or did not exist. `all`: every event.",
    )


class ReplayOut(Output):
    """A replay and how far it is."""

    id = f.UUIDField()
    kind = f.ChoiceField(choices=ReplayKind.choices)
    since = f.DateTimeField()
    until = f.DateTimeField()
    state = f.SerializerMethodField(help_text="`preparing`, `sending` or `done`.")
    total = f.IntegerField(help_text="Deliveries that it sends again.")
    pending = f.IntegerField()
    succeeded = f.IntegerField()
    failed = f.IntegerField()
    actor = f.CharField()
    created_at = f.DateTimeField()

    def get_state(self, replay: Replay) -> str:
        if replay.prepared_at is None:
            return "preparing"
        counted: Any = replay
        return "sending" if counted.pending else "done"


class DeliveryFilters(df.FilterSet):  # type: ignore[misc]
    status = df.ChoiceFilter(choices=DeliveryStatus.choices, help_text="Where the delivery is.")
    event_type = df.ChoiceFilter(
        "event__type", choices=[(one, one) for one in EVENT_TYPES], help_text="Type of the event."
    )
    locals()["from"] = df.IsoDateTimeFilter(
        "created_at", lookup_expr="gte", help_text="Made out at this time or later."
    )
    to = df.IsoDateTimeFilter("created_at", lookup_expr="lt", help_text="Made out before this time.")


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
        row = read.subscription(self.workspace, webhook_id)
        rows = strict.apply(DeliveryFilters, self.query, read.deliveries(row))
        found = page(rows, self.query, bound_to=f"deliveries:{row.pk}")
        return Response(found.as_json(DeliveryOut))


class WebhookDelivery(ApiView):
    scopes: ClassVar = {"GET": "webhooks:read"}

    @operation(
        "webhooks_delivery",
        "Get a delivery",
        "One delivery with every try and the body that is sent.",
        tag=TAG,
        response=DeliveryWithBodyOut,
        errors=(404,),
    )
    def get(self, request: Request, webhook_id: uuid.UUID, delivery_id: uuid.UUID) -> Response:
        self.known_query()
        row = read.delivery(self.workspace, webhook_id, delivery_id)
        return Response(DeliveryWithBodyOut(row).data)


class WebhookDeliveryReplay(ApiView):
    scopes: ClassVar = {"POST": "webhooks:write"}

    @operation(
        "webhooks_delivery_replay",
        "Send a delivery again",
        "The same bytes and id with a new timestamp and signature, from the start of the schedule; whatever "
        "its status. Refused while the subscription is disabled (`webhook_disabled`).",
        tag=TAG,
        response=DeliveryOut,
        status=202,
        errors=(404, 409),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request, webhook_id: uuid.UUID, delivery_id: uuid.UUID) -> Response:
        row = read.delivery(self.workspace, webhook_id, delivery_id)
        return accepted(DeliveryOut(deliveries.replay(row, self.principal.actor)).data)


class WebhookTest(ApiView):
    scopes: ClassVar = {"POST": "webhooks:write"}

    @operation(
        "webhooks_test",
        "Send a test event",
        "A `webhook.test`, to this subscription alone and whatever its filter says. The answer is its "
        "delivery: get it again to see what the receiver said. Refused while nothing is sent "
        "(`webhook_disabled`, `webhook_paused`).",
        tag=TAG,
        response=DeliveryOut,
        status=202,
        errors=(404, 409),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request, webhook_id: uuid.UUID) -> Response:
        row = read.subscription(self.workspace, webhook_id)
        return accepted(DeliveryOut(subscriptions.send_test(row, self.principal.actor)).data)


class WebhookReplay(ApiView):
    scopes: ClassVar = {"POST": "webhooks:write"}

    @operation(
        "webhooks_replay",
        "Send a span of time again",
        "At most 10,000 deliveries (`replay_too_large`), one replay being prepared at a time "
        "(`replay_running`), none while the subscription is disabled (`webhook_disabled`). New events go "
        "before what is sent again. `GET …/replays/{id}` shows the progress.",
        tag=TAG,
        request=ReplayIn,
        response=ReplayOut,
        status=202,
        errors=(404, 409),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request, webhook_id: uuid.UUID) -> Response:
        row = read.subscription(self.workspace, webhook_id)
        data = self.body(ReplayIn)
        made = replays.create(
            row,
            kind=data.get("kind", ReplayKind.FAILED),
            since=data["since"],
            until=data.get("until"),
            actor=self.principal.actor,
        )
        return accepted(ReplayOut(read.replay(self.workspace, webhook_id, made.pk)).data)


class WebhookReplays(ApiView):
    scopes: ClassVar = {"GET": "webhooks:read"}

    @operation(
        "webhooks_replays",
        "List replays",
        "Replays of this subscription, the newest first, with their progress.",
        tag=TAG,
        response=page_of(ReplayOut),
        parameters=PAGE,
        errors=(404,),
    )
    def get(self, request: Request, webhook_id: uuid.UUID) -> Response:
        self.known_query(PAGE_PARAMETERS)
        row = read.subscription(self.workspace, webhook_id)
        found = page(read.replays(row), self.query, bound_to=f"replays:{row.pk}")
        return Response(found.as_json(ReplayOut))


class WebhookReplayDetail(ApiView):
    scopes: ClassVar = {"GET": "webhooks:read"}

    @operation(
        "webhooks_replay_get",
        "Get a replay",
        "How far it is. A delivery that another replay has sent again since counts there.",
        tag=TAG,
        response=ReplayOut,
        errors=(404,),
    )
    def get(self, request: Request, webhook_id: uuid.UUID, replay_id: uuid.UUID) -> Response:
        self.known_query()
        return Response(ReplayOut(read.replay(self.workspace, webhook_id, replay_id)).data)
