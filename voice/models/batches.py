"""Outbound: batches, their recipients, and each time we asked the carrier to dial."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from crm.models import Calendar, Lead, Segment
from tenex.lib.models import Row
from tenex.workspaces.models import Workspace
from voice.models.agents import Agent, AgentVersion
from voice.models.calls import Call
from voice.models.numbers import PhoneNumber


class BatchStatus(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    COMPLETED = "completed", "Completed"
    CANCELED = "canceled", "Canceled"


class Batch(Row):
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="batches")
    name = models.CharField(max_length=200, blank=True)
    objective = models.TextField()
    status = models.CharField(max_length=10, choices=BatchStatus.choices, default=BatchStatus.QUEUED)
    status_reason = models.CharField(max_length=200, blank=True)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="batches")
    agent_version = models.ForeignKey(
        AgentVersion,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        help_text="Pinned; empty uses the current one.",
    )
    number = models.ForeignKey(PhoneNumber, on_delete=models.PROTECT, related_name="batches")
    calendar = models.ForeignKey(Calendar, on_delete=models.SET_NULL, null=True, blank=True)
    segment = models.ForeignKey(
        Segment,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="Whose leads were put into it.",
    )
    filling_from = models.UUIDField(
        null=True,
        editable=False,
        help_text="Leads of the segment above this id are still to come; empty: all are in.",
    )
    concurrency = models.PositiveIntegerField(
        default=5, validators=[MinValueValidator(1), MaxValueValidator(500)]
    )
    max_attempts = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(8)]
    )
    retry_after_s = models.PositiveIntegerField(default=7200)
    machine_detection = models.BooleanField(default=True)
    client_reference = models.CharField(max_length=120, null=True, blank=True)  # noqa: DJ001 - unique if given
    starts_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "batches"
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(
                fields=("workspace", "client_reference"),
                condition=Q(client_reference__isnull=False),
                name="batch_reference_once",
            ),
            models.CheckConstraint(
                condition=Q(status__in=("completed", "canceled"), completed_at__isnull=False)
                | (~Q(status__in=("completed", "canceled")) & Q(completed_at__isnull=True)),
                name="batch_completed_iff_over",
            ),
        ]
        indexes = [
            # Read by each tick of outbound.dialer.
            models.Index(
                fields=("created_at",), condition=Q(status__in=("queued", "running")), name="batch_open"
            ),
            # Queue of voice.services.batch_filling.
            models.Index(
                fields=("created_at",), condition=Q(filling_from__isnull=False), name="batch_filling"
            ),
        ]

    def __str__(self) -> str:
        return self.name or f"batch {self.id}"


class RecipientStatus(models.TextChoices):
    PENDING = "pending", "Waiting"
    CALLING = "calling", "Being called"
    DONE = "done", "Done"
    REFUSED = "refused", "Not called"
    CANCELED = "canceled", "Canceled"


class Recipient(Row):
    """One lead in one batch."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE)
    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="recipients")
    lead = models.ForeignKey(Lead, on_delete=models.CASCADE, related_name="recipients")
    position = models.PositiveIntegerField()
    status = models.CharField(max_length=8, choices=RecipientStatus.choices, default=RecipientStatus.PENDING)
    calls_made = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(null=True, blank=True, help_text="Not before; empty means now.")
    outcome = models.CharField(max_length=12, blank=True)
    refusal_code = models.CharField(max_length=40, blank=True)
    refusal_detail = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("batch", "position")
        constraints = [
            models.UniqueConstraint(fields=("batch", "lead"), name="recipient_once"),
            models.UniqueConstraint(fields=("batch", "position"), name="recipient_position_once"),
        ]
        indexes = [
            # Queue of outbound.dialer, claimed with SKIP LOCKED.
            models.Index(
                fields=("batch", "position"), condition=Q(status="pending"), name="recipient_pending"
            ),
            # Read by outbound.settle.
            models.Index(fields=("batch",), condition=Q(status="calling"), name="recipient_calling"),
        ]


class DialState(models.TextChoices):
    """One request to the carrier to place a call (promises.md R3)."""

    PREPARED = "prepared", "Committed, the carrier not yet asked"
    POSTING = "posting", "The carrier is being asked"
    PLACED = "placed", "The carrier has it"
    UNKNOWN = "unknown", "No clear answer; to be looked up"
    THROTTLED = "throttled", "429: not taken, asked again later"
    NOT_PLACED = "not_placed", "Looked up: the carrier never had it"
    REJECTED = "rejected", "Refused for good"


class DialAttempt(Row):
    """Exists before the carrier is asked; an ambiguous answer leaves `unknown`, never a second request."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=10, choices=DialState.choices, default=DialState.PREPARED)
    fence_until = models.DateTimeField(help_text="The worker may ask the carrier only before this instant.")
    posted_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    lookups = models.PositiveSmallIntegerField(
        default=0, help_text="How often the carrier's list did not have it."
    )
    next_at = models.DateTimeField(null=True, help_text="When the reconciler looks at it.")
    provider_sid = models.CharField(max_length=64, blank=True)
    http_status = models.PositiveSmallIntegerField(null=True)
    error_code = models.CharField(max_length=40, blank=True)

    class Meta:
        ordering = ("call", "number")
        constraints = [
            models.UniqueConstraint(fields=("call", "number"), name="attempt_number_once"),
            models.UniqueConstraint(
                fields=("call",),
                condition=Q(state__in=("prepared", "posting", "placed", "unknown")),
                name="one_live_attempt_a_call",
            ),
        ]
        indexes = [
            # Queue of outbound.reconcile.
            models.Index(
                fields=("next_at",),
                condition=Q(state__in=("prepared", "posting", "unknown")),
                name="attempt_open",
            ),
        ]


class Pacer(models.Model):
    """Token bucket of a dialing workspace (tenex.lib.token_bucket): a row, so it holds over processes.

    Taken and given back in the transaction that claims a call.
    """

    workspace = models.OneToOneField(Workspace, on_delete=models.CASCADE, primary_key=True)
    tokens = models.FloatField(default=1.0)
    at_s = models.FloatField(default=0.0, help_text="Unix seconds of the database's clock.")
