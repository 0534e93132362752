"""Integrators' subscriptions and what was sent to them."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from tenex.events.models import Event
from tenex.lib.models import Row
from tenex.workspaces.models import Workspace


class SubscriptionStatus(models.TextChoices):
    ACTIVE = "active", "Active"
    PAUSED = "paused", "Paused"
    DISABLED = "disabled", "Disabled after failures"


class WebhookSubscription(Row):
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="subscriptions")
    url = models.URLField(max_length=2000)
    description = models.CharField(max_length=200, blank=True)
    events = models.JSONField(default=list, help_text="Event types to send; empty means all.")
    secret = models.CharField(
        max_length=100, editable=False, help_text="whsec_…; signs the Standard Webhooks headers."
    )
    previous_secret = models.CharField(max_length=100, blank=True, editable=False)
    previous_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    status = models.CharField(
        max_length=10, choices=SubscriptionStatus.choices, default=SubscriptionStatus.ACTIVE
    )
    timeout_s = models.PositiveSmallIntegerField(
        default=5, validators=[MinValueValidator(1), MaxValueValidator(30)]
    )
    stop_after_five = models.BooleanField(default=False, help_text="Give up after the first five retries.")
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    disabled_reason = models.CharField(max_length=200, blank=True, editable=False)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return self.url


class DeliveryStatus(models.TextChoices):
    PENDING = "pending", "Pending"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"


class Delivery(Row):
    """One event for one subscription, with the exact bytes that are signed and sent."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="deliveries")
    subscription = models.ForeignKey(WebhookSubscription, on_delete=models.CASCADE, related_name="deliveries")
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="deliveries")
    body = models.BinaryField()
    status = models.CharField(max_length=10, choices=DeliveryStatus.choices, default=DeliveryStatus.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(fields=("event", "subscription"), name="delivery_once"),
            models.CheckConstraint(
                condition=models.Q(status="pending", next_at__isnull=False)
                | (~models.Q(status="pending") & models.Q(next_at__isnull=True)),
                name="delivery_due_iff_pending",
            ),
        ]
        indexes = [
            # Queue of webhooks.deliver.
            models.Index(
                fields=("subscription", "next_at"), condition=models.Q(status="pending"), name="delivery_due"
            ),
        ]


class DeliveryAttempt(Row):
    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="log")
    number = models.PositiveIntegerField()
    status_code = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=200, blank=True)
    duration_ms = models.PositiveIntegerField()
    response_body = models.TextField(blank=True, help_text="First 1 KiB.")

    class Meta:
        ordering = ("number",)
        constraints = [models.UniqueConstraint(fields=("delivery", "number"), name="delivery_attempt_once")]
