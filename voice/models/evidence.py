"""What was said and done in a call, and what we concluded."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from tenex.lib.models import Row
from tenex.workspaces.models import Workspace
from voice.models.calls import Call


class Speaker(models.TextChoices):
    CALLER = "caller", "Caller"
    AGENT = "agent", "Agent"


class TurnStatus(models.TextChoices):
    IN_PROGRESS = "in_progress", "In progress"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Transcription failed"


class Turn(Row):
    """One thing said by one side, keyed by the model's item id."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="turns")
    item_id = models.CharField(max_length=80)
    previous_item_id = models.CharField(max_length=80, blank=True)
    position = models.PositiveIntegerField(help_text="Order in the conversation.")
    speaker = models.CharField(max_length=6, choices=Speaker.choices)
    text = models.TextField(blank=True, help_text="As generated (agent) or transcribed (caller).")
    heard_text = models.TextField(blank=True, help_text="What the other side heard of it.")
    start_ms = models.PositiveIntegerField()
    end_ms = models.PositiveIntegerField(null=True)
    interrupted = models.BooleanField(default=False)
    status = models.CharField(max_length=12, choices=TurnStatus.choices, default=TurnStatus.IN_PROGRESS)
    revision = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ("call", "position")
        constraints = [models.UniqueConstraint(fields=("call", "item_id"), name="turn_once")]
        indexes = [models.Index(fields=("call", "position"), name="turn_order")]


class ToolStatus(models.TextChoices):
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    TIMED_OUT = "timed_out", "Timed out"


class ToolCall(Row):
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="tool_calls")
    tool_call_id = models.CharField(max_length=80)
    name = models.CharField(max_length=80)
    arguments = models.JSONField(default=dict)
    output = models.JSONField(null=True)
    status = models.CharField(max_length=10, choices=ToolStatus.choices, default=ToolStatus.RUNNING)
    at_ms = models.PositiveIntegerField(default=0)
    duration_ms = models.PositiveIntegerField(null=True)

    class Meta:
        ordering = ("call", "at_ms", "id")
        constraints = [models.UniqueConstraint(fields=("call", "tool_call_id"), name="tool_call_once")]


class RecordingStatus(models.TextChoices):
    PENDING = "pending", "Being fetched"
    STORED = "stored", "Stored"
    ABSENT = "absent", "The carrier has none"
    FAILED = "failed", "Could not be fetched"
    DELETED = "deleted", "Deleted"


class Recording(Row):
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="recordings")
    provider_sid = models.CharField(max_length=64, unique=True)
    source_url = models.CharField(max_length=500)
    status = models.CharField(max_length=8, choices=RecordingStatus.choices, default=RecordingStatus.PENDING)
    file = models.CharField(max_length=300, blank=True, help_text="Name in the default storage.")
    channels = models.PositiveSmallIntegerField(null=True)
    duration_ms = models.PositiveIntegerField(null=True)
    size_bytes = models.PositiveBigIntegerField(null=True)
    sha256 = models.CharField(max_length=64, blank=True)
    started_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(null=True, help_text="When to try to fetch it again.")
    purge_after = models.DateTimeField(null=True)
    carrier_deleted_at = models.DateTimeField(null=True, help_text="The carrier's own copy is gone.")

    class Meta:
        ordering = ("created_at",)
        constraints = [
            models.CheckConstraint(
                condition=(Q(status="stored") & ~Q(file="")) | (~Q(status="stored") & Q(file="")),
                name="recording_file_iff_stored",
            )
        ]
        indexes = [
            # Queue of postcall.recording.
            models.Index(fields=("next_at",), condition=Q(status="pending"), name="recording_due"),
            # Queue of retention: what is past.
            models.Index(
                fields=("purge_after",), condition=Q(status__in=("pending", "stored")), name="recording_past"
            ),
            # Queue of retention: copies that the carrier still has.
            models.Index(
                fields=("created_at",),
                condition=Q(status__in=("stored", "deleted"), carrier_deleted_at__isnull=True),
                name="recording_at_carrier",
            ),
        ]


class Verdict(Row):
    """What we concluded about the lead (contract.md 5)."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE)
    call = models.OneToOneField(Call, on_delete=models.CASCADE, related_name="verdict")
    qualification = models.CharField(
        max_length=12,
        choices=[
            ("qualified", "Qualified"),
            ("unqualified", "Unqualified"),
            ("undetermined", "Undetermined"),
        ],
    )
    confidence = models.FloatField(validators=[MinValueValidator(0), MaxValueValidator(1)])
    summary = models.TextField(blank=True)
    reasons = models.JSONField(default=list)
    criteria = models.JSONField(default=list)
    meeting = models.JSONField(null=True)
    follow_up = models.JSONField(default=dict)
    undetermined_because = models.CharField(max_length=200, blank=True)
    needs_review = models.BooleanField(default=False)
    model = models.CharField(max_length=80, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(confidence__gte=0) & Q(confidence__lte=1), name="verdict_confidence_range"
            )
        ]


class Finalization(models.Model):
    """Its existence means: somebody has begun to finalize this call. Nobody can begin twice."""

    call = models.OneToOneField(Call, on_delete=models.CASCADE, primary_key=True, related_name="finalization")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(null=True, help_text="When the sweeper should go on with it.")
    lease_until = models.DateTimeField(null=True)


class FinalizationStep(models.Model):
    """A step that is done and must not be done again."""

    id = models.BigAutoField(primary_key=True)
    finalization = models.ForeignKey(Finalization, on_delete=models.CASCADE, related_name="steps")
    name = models.CharField(max_length=20)
    done_at = models.DateTimeField()
    detail = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=("finalization", "name"), name="finalization_step_once")
        ]
