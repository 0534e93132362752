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
    PERSON = "person", "Operator in the agent's place"


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


class AtRest(models.TextChoices):
    """How the file of a recording is encrypted where it lies."""

    PLAIN = "", "Not by us"
    ENVELOPE = "envelope", "By a key of the workspace"
    BUCKET = "sse-s3", "By the bucket"
    KMS = "sse-kms", "By the bucket, with a key of the key service"


class RecordingProblem(models.TextChoices):
    """What an operator should know of a recording. Those that may pass by themselves are tried again."""

    NONE = "", "None"
    CARRIER = "carrier", "The carrier does not give it"
    STORAGE = "storage", "The file storage does not take it"
    KEY = "key", "There is no key to encrypt it with"
    NOT_WAV = "not_wav", "What the carrier sent is no sound"
    TRUNCATED = "truncated", "The carrier sent less than its header says"
    SHORT = "short", "It is not as long as the carrier says"
    ONE_CHANNEL = "one_channel", "Both people are on one channel"
    ALTERED = "altered", "The file is not what was stored"
    MISSING = "missing", "The file is not in the storage"


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
    # No positive ones below: their checks would be a scan of all recordings under a lock.
    told_ms = models.IntegerField(null=True, help_text="How long it is, as the carrier says.")
    verified_at = models.DateTimeField(
        null=True,
        help_text="The stored file was read back: its hash, length and two channels are right. Before that "
        "the carrier keeps its copy.",
    )
    problem = models.CharField(max_length=12, blank=True, default="", db_default="")
    problem_detail = models.CharField(max_length=80, blank=True, default="", db_default="")
    store_failures = models.SmallIntegerField(
        default=0, db_default=0, help_text="Tries in a row that the storage did not take: never given up."
    )
    at_rest = models.CharField(
        max_length=8, blank=True, choices=AtRest.choices, default=AtRest.PLAIN, db_default=""
    )
    key_id = models.UUIDField(null=True, help_text="The data key of a file in an envelope.")
    leftovers = models.JSONField(
        default=list,
        db_default=models.Value([], models.JSONField()),
        help_text="Names in the storage that have to be deleted still.",
    )

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
            # Queue of recording_files.sweep: files that a storage would not delete at once.
            models.Index(fields=("created_at",), condition=~Q(leftovers=[]), name="recording_leftover"),
            # What operators look at, and what waits to be read back.
            models.Index(
                fields=("workspace", "created_at"),
                condition=~Q(problem="") & Q(status__in=("pending", "stored", "failed")),
                name="recording_problem",
            ),
            models.Index(
                fields=("created_at",),
                condition=Q(
                    status="stored", verified_at__isnull=True, carrier_deleted_at__isnull=True, problem=""
                ),
                name="recording_unverified",
            ),
        ]


class Waveform(models.Model):
    """How loud the two sides of a recording are, for its picture. Gone with the recording.

    `peaks`: one byte a channel and step, 0 to 255 on a square-root scale, caller first.
    """

    recording = models.OneToOneField(
        Recording, on_delete=models.CASCADE, primary_key=True, related_name="waveform"
    )
    peaks = models.BinaryField(default=b"")
    peaks_per_s = models.PositiveSmallIntegerField(default=50)
    offset_ms = models.IntegerField(
        default=0, help_text="Where the clock of the turns begins, in milliseconds of the recording."
    )
    problem = models.CharField(max_length=80, blank=True, help_text="Why there are no peaks.")
    made_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.problem or f"{len(self.peaks) // 2} peaks"


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
    corrected_at = models.DateTimeField(null=True, blank=True, help_text="When a person last corrected it.")
    corrected_by = models.CharField(max_length=300, blank=True, help_text="As in the audit log.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(confidence__gte=0) & Q(confidence__lte=1), name="verdict_confidence_range"
            )
        ]
        indexes = [
            # Calls that wait for a person: few of many.
            models.Index(
                fields=("workspace", "call"), condition=Q(needs_review=True), name="verdict_to_review"
            ),
        ]


class VerdictCorrection(Row):
    """One correction of a verdict by a person: what it said before and after. Never changed."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="corrections")
    number = models.PositiveSmallIntegerField(help_text="1, 2, 3 … within the call.")
    actor = models.CharField(max_length=300)
    reason = models.TextField()
    before = models.JSONField(help_text="The verdict as integrators saw it, and the call's `outcome`.")
    after = models.JSONField()

    class Meta:
        ordering = ("call", "number")
        constraints = [models.UniqueConstraint(fields=("call", "number"), name="correction_once")]


class CallShare(Row):
    """A link that shows one call to whoever has it, until it runs out or is revoked."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="shares")
    digest = models.BinaryField(max_length=32, unique=True, editable=False, help_text="SHA-256 of the token.")
    with_audio = models.BooleanField(default=False)
    created_by = models.CharField(max_length=300, help_text="As in the audit log.")
    issuer = models.CharField(max_length=80, help_text="Whose rights it lends: `user:<id>`.")
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    opened = models.PositiveIntegerField(default=0, help_text="How often the page was opened.")
    last_opened_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at", "-id")


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
