"""Outbound: batches, their recipients, and each time we asked the carrier to dial."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from crm.models import Calendar, Lead, LeadImport, Segment
from tenex.lib.models import Row
from tenex.workspaces.models import CallingPurpose, Workspace
from voice.models.agents import Agent, AgentVersion
from voice.models.calls import Call
from voice.models.numbers import PhoneNumber


class BatchStatus(models.TextChoices):
    DRAFT = "draft", "Draft"
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    COMPLETED = "completed", "Completed"
    CANCELED = "canceled", "Canceled"


OPEN = (BatchStatus.DRAFT, BatchStatus.QUEUED, BatchStatus.RUNNING, BatchStatus.PAUSED)


class VoicemailPolicy(models.TextChoices):
    HANG_UP = "hang_up", "Hang up"
    LEAVE_MESSAGE = "leave_message", "Leave a message after the beep"


class PauseCode(models.TextChoices):
    """Why a batch is paused; empty when it is not."""

    OPERATOR = "operator", "An operator paused it"
    FAILURES_JUMPED = "failures_jumped", "Too many calls failed"
    ABANDONED = "abandoned", "Too many answered calls had nobody to talk to"
    BUDGET = "budget", "The budget is spent"


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
    purpose = models.CharField(
        max_length=15, choices=CallingPurpose.choices, default=CallingPurpose.MARKETING
    )
    window_start = models.TimeField(null=True, blank=True, help_text="Empty: the workspace's hours.")
    window_end = models.TimeField(null=True, blank=True)
    window_days = models.JSONField(null=True, blank=True, help_text="ISO weekdays; empty: the workspace's.")
    calls_per_second = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(0.01), MaxValueValidator(50)]
    )
    retry_policy = models.JSONField(
        default=dict, blank=True, help_text="By outcome; empty: max_attempts and retry_after_s for all."
    )
    voicemail_policy = models.CharField(
        max_length=15, choices=VoicemailPolicy.choices, default=VoicemailPolicy.HANG_UP
    )
    voicemail_message = models.TextField(blank=True, max_length=600)
    priority = models.SmallIntegerField(default=0, help_text="Higher ones first.")
    budget_soft_minor = models.PositiveIntegerField(
        null=True, blank=True, help_text="Cents; above it calls under way are brought to their end."
    )
    budget_hard_minor = models.PositiveIntegerField(
        null=True, blank=True, help_text="Cents; above it nobody else is dialed."
    )
    spent_microusd = models.BigIntegerField(
        default=0, editable=False, help_text="What its finished calls cost (voice.services.costs)."
    )
    soft_budget_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When the soft budget was spent; empty: it is not, or it was raised.",
    )
    pause_code = models.CharField(max_length=20, choices=PauseCode.choices, blank=True)
    is_standing = models.BooleanField(
        default=False,
        editable=False,
        help_text="Holds callbacks of calls that have no open batch; never completed by itself.",
    )
    client_reference = models.CharField(max_length=120, null=True, blank=True)  # noqa: DJ001 - unique if given
    starts_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True, help_text="When it ran for the first time.")
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
            models.UniqueConstraint(
                fields=("workspace", "agent", "number"),
                condition=Q(is_standing=True, completed_at__isnull=True),
                name="one_standing_batch",
            ),
            models.CheckConstraint(
                condition=Q(window_start__isnull=True, window_end__isnull=True)
                | Q(window_start__isnull=False, window_end__isnull=False),
                name="batch_window_whole",
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
    variables = models.JSONField(default=dict, blank=True, help_text="Of this lead in this batch.")
    agent_version = models.ForeignKey(
        AgentVersion,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        help_text="Drawn by weight when it came into the batch; empty: the batch's.",
    )
    callback_of = models.ForeignKey(
        Call,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="The call in which the lead asked to be called again.",
    )
    status = models.CharField(max_length=8, choices=RecipientStatus.choices, default=RecipientStatus.PENDING)
    calls_made = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(null=True, blank=True, help_text="Not before; empty means now.")
    outcome = models.CharField(max_length=12, blank=True)
    refusal_code = models.CharField(max_length=40, blank=True)
    refusal_detail = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("batch", "position")
        constraints = [
            models.UniqueConstraint(
                fields=("batch", "lead"), condition=Q(callback_of__isnull=True), name="recipient_once"
            ),
            models.UniqueConstraint(
                fields=("callback_of",), condition=Q(callback_of__isnull=False), name="one_callback_a_call"
            ),
            models.UniqueConstraint(fields=("batch", "position"), name="recipient_position_once"),
        ]
        indexes = [
            # Whether anybody is left, and how many: outbound.settle and the selectors.
            models.Index(
                fields=("batch", "position"), condition=Q(status="pending"), name="recipient_pending"
            ),
            # Callbacks of a lead that wait: a new promise takes the place of the old one.
            models.Index(
                fields=("lead",),
                condition=Q(status="pending", callback_of__isnull=False),
                name="recipient_lead_callback",
            ),
            # The two queues of outbound.claims, claimed with SKIP LOCKED: who has an instant, by it, and who
            # was never called, by position. Each is one short index scan while 50,000 wait.
            models.Index(
                fields=("batch", "next_at", "position"),
                condition=Q(status="pending", next_at__isnull=False),
                name="recipient_due",
            ),
            models.Index(
                fields=("batch", "position"),
                condition=Q(status="pending", next_at__isnull=True),
                name="recipient_fresh",
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
    dial_at = models.DateTimeField(null=True, help_text="When the pace lets the carrier be asked.")
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


class BatchVersion(models.Model):
    """One agent version of a weighted split."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="versions")
    agent_version = models.ForeignKey(AgentVersion, on_delete=models.PROTECT, related_name="+")
    weight = models.PositiveSmallIntegerField(validators=[MinValueValidator(1), MaxValueValidator(100)])

    class Meta:
        constraints = [models.UniqueConstraint(fields=("batch", "agent_version"), name="batch_version_once")]


class BatchUpload(Row):
    """A CSV file whose rows become recipients: the import makes the leads, its kept rows are taken over.

    Goes with the import, which is forgotten 30 days after its end.
    """

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="uploads")
    lead_import = models.OneToOneField(LeadImport, on_delete=models.CASCADE, related_name="+")
    taken_count = models.PositiveIntegerField(default=0, help_text="Rows that became recipients.")
    refused_count = models.PositiveIntegerField(default=0, help_text="Of these: not to be called.")
    duplicate_count = models.PositiveIntegerField(
        default=0, help_text="Rows whose lead was in the batch already."
    )
    done_at = models.DateTimeField(null=True, blank=True, help_text="When the last row was taken over.")

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [
            # Queue of voice.services.batch_filling.
            models.Index(fields=("created_at",), condition=Q(done_at__isnull=True), name="batch_upload_open"),
        ]


class CallingSwitch(models.Model):
    """The instance's kill switch: one row. While `stopped_at` is set nobody is dialed, in any workspace."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    stopped_at = models.DateTimeField(null=True, blank=True)
    stopped_by = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name_plural = "calling switch"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="calling_switch_single")]
