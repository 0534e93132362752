"""Subscriptions with their health, what was delivered to them, and sending it again."""

import json
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from tenex.adminsite import Evidence, EvidenceInline, Page, in_words
from tenex.errors import Conflict, InvalidInput
from tenex.webhooks import selectors
from tenex.webhooks.catalogue import EVENT_TYPES, TEST_TYPE
from tenex.webhooks.models import (
    Delivery,
    DeliveryAttempt,
    DeliveryStatus,
    Replay,
    SubscriptionStatus,
    WebhookSubscription,
)
from tenex.webhooks.services import deliveries, subscriptions

_FIELDS = ("url", "events", "description", "timeout_s", "stop_after_five")


def _actor(request: HttpRequest) -> str:
    return f"user:{request.user.get_username()}"


@admin.register(WebhookSubscription)
class SubscriptionAdmin(Page):
    resource = "webhooks"
    list_display = (
        "url",
        "workspace",
        "status",
        "events",
        "failing_since",
        "failures",
        "throttled_until",
        "disabled_reason",
    )
    list_filter = ("status", "workspace")
    search_fields = ("url", "description")
    list_select_related = ("workspace",)
    fields = (
        "workspace", *_FIELDS, "status", "failing_since", "failures", "throttled_until",
        "disabled_at", "disabled_reason",
    )  # fmt: skip
    readonly_fields = (
        "status",
        "failing_since",
        "failures",
        "throttled_until",
        "disabled_at",
        "disabled_reason",
    )
    actions = ("test", "activate", "pause", "rotate")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "workspace") if obj else self.readonly_fields

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)

        class Checked(form):  # type: ignore[misc, valid-type]
            def clean_url(self) -> str:
                url = str(self.cleaned_data["url"])
                try:
                    subscriptions.check_url(url)
                except InvalidInput as exc:
                    raise ValidationError(str(exc)) from exc
                return url

            def clean_events(self) -> list[str]:
                wanted = self.cleaned_data["events"] or []
                if not isinstance(wanted, list) or not set(map(str, wanted)) <= {*EVENT_TYPES} - {TEST_TYPE}:
                    raise ValidationError("a list of event types, see docs/webhooks.md")
                return wanted

        return Checked

    def save_model(self, request: HttpRequest, obj: WebhookSubscription, form: Any, change: bool) -> None:
        if change:
            changed = {name: form.cleaned_data[name] for name in form.changed_data}
            subscriptions.update(obj, changed, _actor(request))
            return
        wanted = {name: form.cleaned_data[name] for name in _FIELDS}
        made, secret = subscriptions.create(obj.workspace, actor=_actor(request), **wanted)
        obj.pk, obj._state.adding = made.pk, False
        messages.success(request, f"The signing secret, shown this once: {secret}")

    def delete_model(self, request: HttpRequest, obj: WebhookSubscription) -> None:
        subscriptions.delete(obj, _actor(request))

    @admin.action(description="Send a test event", permissions=["change"])
    def test(self, request: HttpRequest, queryset: QuerySet[WebhookSubscription]) -> None:
        for one in queryset:
            try:
                subscriptions.send_test(one, _actor(request))
            except Conflict as exc:
                messages.error(request, f"{one.url}: {exc.detail}")
            else:
                messages.success(request, f"{one.url}: sent, see Deliveries.")

    @admin.action(description="Enable or resume", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[WebhookSubscription]) -> None:
        self._set(request, queryset, SubscriptionStatus.ACTIVE)

    @admin.action(description="Pause", permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[WebhookSubscription]) -> None:
        self._set(request, queryset, SubscriptionStatus.PAUSED)

    @admin.action(
        description="New signing secret (the old one signs for another day)", permissions=["change"]
    )
    def rotate(self, request: HttpRequest, queryset: QuerySet[WebhookSubscription]) -> None:
        for one in queryset:
            _, secret = subscriptions.rotate_secret(one, _actor(request))
            messages.success(request, f"{one.url}: the new secret, shown this once: {secret}")

    def _set(
        self, request: HttpRequest, queryset: QuerySet[WebhookSubscription], status: SubscriptionStatus
    ) -> None:
        for one in queryset:
            subscriptions.update(one, {"status": status}, _actor(request))
        messages.success(request, f"{len(queryset)} subscriptions are {status}.")


class AttemptInline(EvidenceInline):
    model = DeliveryAttempt
    fields = ("number", "created_at", "status_code", "error", "duration_ms", "response_body")
    readonly_fields = fields


@admin.register(Delivery)
class DeliveryAdmin(Evidence):
    resource = "webhooks"
    list_display = (
        "created_at",
        "event_type",
        "subscription",
        "status",
        "attempts",
        "next_at",
        "delivered_at",
    )
    list_filter = ("status", "workspace")
    search_fields = ("event__id", "event__call_id", "subscription__url")
    date_hierarchy = "created_at"
    list_select_related = ("subscription", "event")
    fields = ("event", "subscription", "status", "attempts", "next_at", "delivered_at", "replay", "content")
    readonly_fields = ("content",)
    inlines = (AttemptInline,)
    actions = ("replay",)

    @admin.display(description="type", ordering="event__type")
    def event_type(self, delivery: Delivery) -> str:
        return delivery.event.type

    @admin.display(description="body")
    def content(self, delivery: Delivery) -> SafeString:
        return in_words(json.loads(bytes(delivery.body)))

    def has_control_permission(self, request: HttpRequest) -> bool:
        """The page only shows, so the right to change subscriptions is asked for by itself."""
        return self.may_write(request)

    @admin.action(description="Send again", permissions=["control"])
    def replay(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        again = 0
        for delivery in queryset.select_related("subscription"):
            try:
                deliveries.replay(delivery, _actor(request))
                again += 1
            except Conflict as exc:
                messages.error(request, f"{delivery.subscription.url}: {exc.detail}")
        messages.success(request, f"{again} deliveries are sent again.")


@admin.register(Replay)
class ReplayAdmin(Evidence):
    resource = "webhooks"
    list_display = ("created_at", "subscription", "kind", "since", "until", "total", "prepared_at", "actor")
    list_filter = ("kind", "workspace")
    list_select_related = ("subscription",)
    fields = (*list_display, "progress")
    readonly_fields = ("progress",)

    @admin.display(description="progress")
    def progress(self, replay: Replay) -> str:
        row = selectors.replay(replay.workspace, replay.subscription_id, replay.pk)
        return ", ".join(f"{getattr(row, name)} {name}" for name in DeliveryStatus.values)
