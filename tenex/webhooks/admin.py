"""Subscriptions, and what was delivered to them, with replay."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from tenex.adminsite import Evidence, EvidenceInline, Page, in_words
from tenex.errors import InvalidInput
from tenex.webhooks import signing
from tenex.webhooks.models import Delivery, DeliveryAttempt, WebhookSubscription
from tenex.webhooks.services import deliveries, subscriptions


@admin.register(WebhookSubscription)
class SubscriptionAdmin(Page):
    list_display = ("url", "workspace", "status", "events", "failing_since", "disabled_reason")
    list_filter = ("status", "workspace")
    search_fields = ("url", "description")
    list_select_related = ("workspace",)
    readonly_fields = ("failing_since", "disabled_reason")

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

        return Checked

    def save_model(self, request: HttpRequest, obj: WebhookSubscription, form: Any, change: bool) -> None:
        if not change:
            obj.secret = signing.new_secret()
            messages.success(request, f"The signing secret, shown this once: {obj.secret}")
        super().save_model(request, obj, form, change)


class AttemptInline(EvidenceInline):
    model = DeliveryAttempt
    fields = ("number", "created_at", "status_code", "error", "duration_ms", "response_body")
    readonly_fields = fields


@admin.register(Delivery)
class DeliveryAdmin(Evidence):
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
    fields = ("event", "subscription", "status", "attempts", "next_at", "delivered_at", "content")
    readonly_fields = ("content",)
    inlines = (AttemptInline,)
    actions = ("replay",)

    @admin.display(description="type", ordering="event__type")
    def event_type(self, delivery: Delivery) -> str:
        return delivery.event.type

    @admin.display(description="body")
    def content(self, delivery: Delivery) -> SafeString:
        import json

        return in_words(json.loads(bytes(delivery.body)))

    @admin.action(description="Send again", permissions=["view"])
    def replay(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        for delivery in queryset:
            deliveries.replay(delivery)
        messages.success(request, f"{len(queryset)} deliveries are sent again.")
