"""Webhook subscriptions and their secrets."""

import uuid
from typing import Any, ClassVar

from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from tenex.rest.idempotency import idempotent
from tenex.rest.pagination import PAGE_PARAMETERS, page
from tenex.rest.schema import PAGE, operation, page_of
from tenex.rest.serializers import Input, Output
from tenex.rest.views import ApiView, created, no_content
from tenex.webhooks import selectors as read
from tenex.webhooks.catalogue import EVENT_TYPES, TEST_TYPE
from tenex.webhooks.models import SubscriptionStatus
from tenex.webhooks.services import secrets
from tenex.webhooks.services import subscriptions as write

TAG = "Webhooks"


class WebhookIn(Input):
    """A URL that wants to hear of events."""

    url = f.URLField(max_length=2000, help_text="https; private addresses are refused.")
    events = f.ListField(
        child=f.ChoiceField(choices=[one for one in EVENT_TYPES if one != TEST_TYPE]),
        required=False,
        max_length=50,
        help_text="Empty or absent: all.",
    )
    description = f.CharField(max_length=200, required=False, allow_blank=True)
    timeout_s = f.IntegerField(
        min_value=1, max_value=30, required=False, help_text="For one try, all in all; 5 if absent."
    )
    stop_after_five = f.BooleanField(
        required=False, help_text="Give up after the first five retries instead of three days and a half."
    )


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
    failing_since = f.DateTimeField(allow_null=True, help_text="First failed try since the last success.")
    failures = f.IntegerField(help_text="Failed tries since the last success.")
    throttled_until = f.DateTimeField(allow_null=True, help_text="The receiver asked for a rest until then.")
    disabled_at = f.DateTimeField(allow_null=True)
    disabled_reason = f.CharField()
    previous_secret_until = f.DateTimeField(
        allow_null=True, help_text="Until then the secret before the last rotation signs as well."
    )
    created_at = f.DateTimeField()


class CreatedWebhookOut(WebhookOut):
    """The new subscription with its secrets, shown this once."""

    secret = f.CharField(help_text="Signs the Standard Webhooks headers (`webhook-signature`).")
    workspace_secret = f.CharField(help_text="Signs `X-10ex-Signature`; one for the workspace.")


class RotationIn(Input):
    """How long the old secret goes on."""

    overlap_s = f.IntegerField(
        min_value=0,
        max_value=write.LONGEST_OVERLAP_S,
        required=False,
        help_text="Both secrets sign for so long; a day if absent, 0 for a secret that is known to others.",
    )


class RotatedWebhookOut(Output):
    """The new secret, shown this once."""

    id = f.UUIDField()
    secret = f.CharField()
    previous_secret_until = f.DateTimeField(allow_null=True)


class RotatedWorkspaceSecretOut(Output):
    """The new secret of the workspace, shown this once."""

    company_id = f.UUIDField()
    workspace_secret = f.CharField(help_text="Signs `X-10ex-Signature` once the overlap is over.")
    previous_secret_until = f.DateTimeField(
        allow_null=True, help_text="Until then `X-10ex-Signature-Next` has the new secret's signature."
    )


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
        rows = read.subscriptions(self.workspace)
        found = page(rows, self.query, bound_to=f"webhooks:{self.workspace.pk}")
        return Response(found.as_json(WebhookOut))

    @operation(
        "webhooks_create",
        "Subscribe",
        "Events that happen from now on are posted to `url`, at least once each, until it answers 2xx. A "
        "workspace can have 50 subscriptions (`too_many_subscriptions`).",
        tag=TAG,
        request=WebhookIn,
        response=CreatedWebhookOut,
        status=201,
        errors=(409,),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        row, secret = write.create(self.workspace, actor=self.principal.actor, **self.body(WebhookIn))
        shown = {"secret": secret, "workspace_secret": secrets.of_workspace(self.workspace)}
        return created({**WebhookOut(row).data, **shown})


class WebhookDetail(ApiView):
    scopes: ClassVar = {"GET": "webhooks:read", "PATCH": "webhooks:write", "DELETE": "webhooks:write"}

    @operation(
        "webhooks_get", "Get a subscription", "One subscription.", tag=TAG, response=WebhookOut, errors=(404,)
    )
    def get(self, request: Request, webhook_id: uuid.UUID) -> Response:
        self.known_query()
        return Response(WebhookOut(read.subscription(self.workspace, webhook_id)).data)

    @operation(
        "webhooks_update",
        "Change a subscription",
        "`status` pauses it (what happens meanwhile is sent later), or revives one that was paused or "
        "disabled.",
        tag=TAG,
        request=WebhookPatchIn,
        response=WebhookOut,
        errors=(404,),
    )
    def patch(self, request: Request, webhook_id: uuid.UUID) -> Response:
        row = read.subscription(self.workspace, webhook_id)
        changes: dict[str, Any] = self.body(WebhookPatchIn)
        return Response(WebhookOut(write.update(row, changes, self.principal.actor)).data)

    @operation(
        "webhooks_delete",
        "Unsubscribe",
        "Nothing more is sent; the delivery log goes too.",
        tag=TAG,
        status=204,
        errors=(404,),
    )
    def delete(self, request: Request, webhook_id: uuid.UUID) -> Response:
        write.delete(read.subscription(self.workspace, webhook_id), self.principal.actor)
        return no_content()


class WebhookRotation(ApiView):
    scopes: ClassVar = {"POST": "webhooks:write"}

    @operation(
        "webhooks_rotate_secret",
        "Rotate a subscription's secret",
        "The new secret signs from now on. Until the overlap ends `webhook-signature` has a signature of the "
        "old one too. A second rotation ends the overlap of the first.",
        tag=TAG,
        request=RotationIn,
        response=RotatedWebhookOut,
        errors=(404,),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request, webhook_id: uuid.UUID) -> Response:
        row = read.subscription(self.workspace, webhook_id)
        row, secret = write.rotate_secret(row, self.principal.actor, **self.body(RotationIn))
        shown = {"id": row.pk, "secret": secret, "previous_secret_until": row.previous_secret_until}
        return Response(RotatedWebhookOut(shown).data)


class WorkspaceSecretRotation(ApiView):
    scopes: ClassVar = {"POST": "webhooks:write"}

    @operation(
        "webhooks_rotate_workspace_secret",
        "Rotate the workspace's secret",
        "For `X-10ex-Signature`. That header has room for one signature: until the overlap ends it stays "
        "with the old secret, and `X-10ex-Signature-Next` beside it is made with the new one.",
        tag=TAG,
        request=RotationIn,
        response=RotatedWorkspaceSecretOut,
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        secret, retiring = write.rotate_workspace_secret(
            self.workspace, self.principal.actor, **self.body(RotationIn)
        )
        return Response(
            RotatedWorkspaceSecretOut(
                {
                    "company_id": self.workspace.pk,
                    "workspace_secret": secret,
                    "previous_secret_until": retiring.until if retiring else None,
                }
            ).data
        )
