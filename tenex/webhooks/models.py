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
    events = models.JSONField(default=list, blank=True, help_text="Event types to send; empty means all.")
    secret_sealed = models.TextField(
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="whsec_…; signs the Standard Webhooks headers.",
    )
    previous_secret_sealed = models.TextField(blank=True, default="", db_default="", editable=False)
    # In plain only what an earlier release wrote (tenex.webhooks.services.secrets).
    secret = models.CharField(max_length=100, blank=True, default="", editable=False)
    previous_secret = models.CharField(max_length=100, blank=True, default="", editable=False)
    previous_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    status = models.CharField(
        max_length=10, choices=SubscriptionStatus.choices, default=SubscriptionStatus.ACTIVE
    )
    timeout_s = models.PositiveSmallIntegerField(
        default=5, validators=[MinValueValidator(1), MaxValueValidator(30)]
    )
    stop_after_five = models.BooleanField(default=False, help_text="Give up after the first five retries.")
    failing_since = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="First failed try since the last success."
    )
    failures = models.PositiveIntegerField(
        default=0, editable=False, help_text="Failed tries since the last success."
    )
    throttled_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="The receiver asked us to slow down."
    )
    throttles = models.PositiveSmallIntegerField(
        default=0, editable=False, help_text="How often it did since the last success."
    )
    disabled_at = models.DateTimeField(null=True, blank=True, editable=False)
    disabled_reason = models.CharField(max_length=200, blank=True, editable=False)
    notice_due_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When the e-mail about it is sent (again)."
    )

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status="disabled", disabled_at__isnull=False)
                | (~models.Q(status="disabled") & models.Q(disabled_at__isnull=True)),
                name="webhook_disabled_iff_at",
            ),
            models.CheckConstraint(
                condition=models.Q(timeout_s__gte=1, timeout_s__lte=30), name="webhook_timeout_range"
            ),
        ]
        indexes = [
            # Queue of webhooks.notices.
            models.Index(
                fields=("notice_due_at",), condition=~models.Q(notice_due_at=None), name="webhook_notice_due"
            ),
        ]

    def __str__(self) -> str:
        return self.url


class RetiringSecret(models.Model):
    """The secret that a workspace had before its last rotation, while receivers may still go by it."""

    workspace = models.OneToOneField(Workspace, on_delete=models.CASCADE, primary_key=True, related_name="+")
    secret = models.CharField(max_length=100, blank=True, default="", editable=False)
    secret_sealed = models.TextField(blank=True, default="", db_default="", editable=False)
    until = models.DateTimeField()


class ReplayKind(models.TextChoices):
    FAILED = "failed", "What was given up"
    MISSING = "missing", "Events that were never made out to it"
    ALL = "all", "Everything"


class Replay(Row):
    """One request to send a span of time again. Its progress is the state of its deliveries."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    subscription = models.ForeignKey(WebhookSubscription, on_delete=models.CASCADE, related_name="replays")
    kind = models.CharField(max_length=10, choices=ReplayKind.choices)
    since = models.DateTimeField()
    until = models.DateTimeField()
    actor = models.CharField(max_length=200)
    prepared_at = models.DateTimeField(
        null=True, blank=True, help_text="Since then its deliveries stand in the queue."
    )
    total = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.CheckConstraint(condition=models.Q(since__lt=models.F("until")), name="replay_span"),
            models.UniqueConstraint(
                fields=("subscription",), condition=models.Q(prepared_at=None), name="replay_one_at_a_time"
            ),
        ]
        indexes = [
            # Queue of webhooks.replays.
            models.Index(
                fields=("created_at",), condition=models.Q(prepared_at=None), name="replay_unprepared"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} since {self.since:%Y-%m-%d %H:%M}"


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
    attempts = models.PositiveIntegerField(default=0, help_text="All tries; also the number of the last one.")
    attempts_before = models.PositiveIntegerField(
        default=0, help_text="Tries before the last replay: the schedule counts from there."
    )
    replay = models.ForeignKey(
        Replay, on_delete=models.SET_NULL, null=True, blank=True, related_name="deliveries"
    )
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
            # The two queues of webhooks.lanes: what is new, and behind it what a replay sends again.
            models.Index(
                fields=("subscription", "next_at", "id"),
                condition=models.Q(status="pending", replay=None),
                name="delivery_due",
            ),
            models.Index(
                fields=("subscription", "next_at", "id"),
                condition=models.Q(status="pending") & ~models.Q(replay=None),
                name="delivery_due_replay",
            ),
            # How many requests of a lane are on their way.
            models.Index(
                fields=("subscription", "lease_until"),
                condition=~models.Q(lease_until=None),
                name="delivery_leased",
            ),
            # The log, and the spans of a replay.
            models.Index(fields=("subscription", "-created_at", "-id"), name="delivery_log"),
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
