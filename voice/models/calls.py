"""One phone call: its row, its live sessions, its journal.

The status of a call moves only through `voice.services.calls.move`; the database refuses rows whose
status, instants and outcome do not fit together (architecture.md 4).
"""

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from crm.models import Calendar, Lead
from tenex.lib.models import Row
from tenex.workspaces.models import Workspace
from voice.models.agents import Agent, AgentVersion
from voice.models.numbers import PhoneNumber


class Direction(models.TextChoices):
    INBOUND = "inbound", "Inbound"
    OUTBOUND = "outbound", "Outbound"


class CallStatus(models.TextChoices):
    QUEUED = "queued", "Queued"
    DIALING = "dialing", "Dialing"
    RINGING = "ringing", "Ringing"
    IN_PROGRESS = "in_progress", "In progress"
    ENDED = "ended", "Ended"
    FINALIZING = "finalizing", "Finalizing"
    FINALIZED = "finalized", "Finalized"


LIVE = (CallStatus.QUEUED, CallStatus.DIALING, CallStatus.RINGING, CallStatus.IN_PROGRESS)
OVER = (CallStatus.ENDED, CallStatus.FINALIZING, CallStatus.FINALIZED)
UNFINALIZED = (*LIVE, CallStatus.ENDED, CallStatus.FINALIZING)


class Outcome(models.TextChoices):
    """What lists filter by (contract.md 2)."""

    QUALIFIED = "qualified", "Qualified"
    UNQUALIFIED = "unqualified", "Unqualified"
    UNDETERMINED = "undetermined", "Undetermined"
    NO_ANSWER = "no-answer", "No answer"
    BUSY = "busy", "Busy"
    FAILED = "failed", "Failed"
    CANCELED = "canceled", "Canceled"
    VOICEMAIL = "voicemail", "Voicemail"
    OPTED_OUT = "opted-out", "Opted out"
    CALLBACK = "callback", "Callback"
    TRANSFERRED = "transferred", "Transferred"


class EndReason(models.TextChoices):
    """Why the phone call ended. A closed list (promises.md A7)."""

    CALLER_HANGUP = "caller-hangup", "The other side hung up"
    AGENT_HANGUP = "agent-hangup", "The agent ended the call"
    OPERATOR_HANGUP = "operator-hangup", "An operator ended the call"
    TRANSFERRED = "transferred", "Transferred to a person"
    OPTED_OUT = "opted-out", "Asked not to be called again"
    SILENCE = "silence", "Nobody spoke"
    MAX_DURATION = "max-duration", "Longest allowed duration"
    MACHINE = "machine", "Answering machine"
    FAX = "fax", "Fax"
    NO_ANSWER = "no-answer", "Not answered"
    BUSY = "busy", "Busy"
    REJECTED = "rejected", "The carrier refused the call"
    CARRIER_FAILED = "carrier-failed", "The carrier could not connect the call"
    NOT_PLACED = "not-placed", "The carrier never had the call"
    CANCELED = "canceled", "Canceled before it was answered"
    MODEL_UNAVAILABLE = "model-unavailable", "The speech model was not available"
    MEDIA_LOST = "media-lost", "The media connection was lost"
    NO_AGENT = "no-agent", "No agent on that number"
    NO_CAPACITY = "no-capacity", "All lines busy on our side"
    SUPERSEDED = "superseded", "A late answer of an abandoned attempt"
    INTERNAL_ERROR = "internal-error", "Our own fault"


class RecordingAsked(models.TextChoices):
    OFF = "off", "Not recorded"
    ANNOUNCE = "announce", "They were told"
    EXPLICIT = "explicit", "They were asked"


class RecordingAnswer(models.TextChoices):
    TOLD = "told", "The notice was spoken"
    YES = "yes", "They agreed"
    NO = "no", "They did not agree"
    OBJECTED = "objected", "They objected"


class Call(Row):
    # Indexes are few and meant: a foreign key has one of its own only if no index below begins with it and
    # rows are looked up by it. Numbers, versions and calendars of calls are not deleted in daily work.
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="calls", db_index=False)
    direction = models.CharField(max_length=8, choices=Direction.choices)
    status = models.CharField(max_length=12, choices=CallStatus.choices, default=CallStatus.QUEUED)
    outcome = models.CharField(max_length=12, choices=Outcome.choices, null=True, blank=True)  # noqa: DJ001
    end_reason = models.CharField(max_length=20, choices=EndReason.choices, null=True, blank=True)  # noqa: DJ001
    from_number = models.CharField(
        max_length=80, help_text="E.164 where it is a number; may be withheld, sip: or client:."
    )
    to_number = models.CharField(max_length=80)
    number = models.ForeignKey(
        PhoneNumber, on_delete=models.SET_NULL, null=True, related_name="calls", db_index=False
    )
    agent_version = models.ForeignKey(
        AgentVersion, on_delete=models.PROTECT, null=True, related_name="calls", db_index=False
    )
    agent = models.ForeignKey(
        Agent,
        on_delete=models.PROTECT,
        null=True,
        related_name="calls",
        db_index=False,
        editable=False,
        help_text="The version's agent: set by a trigger, so that lists by agent are one index scan.",
    )
    lead = models.ForeignKey(
        Lead, on_delete=models.SET_NULL, null=True, blank=True, related_name="calls", db_index=False
    )
    calendar = models.ForeignKey(Calendar, on_delete=models.SET_NULL, null=True, blank=True, db_index=False)
    batch = models.ForeignKey(
        "voice.Batch", on_delete=models.SET_NULL, null=True, blank=True, related_name="calls", db_index=False
    )
    recipient = models.ForeignKey(
        "voice.Recipient", on_delete=models.SET_NULL, null=True, blank=True, related_name="calls"
    )
    is_test = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Somebody tries the agent out: no figure counts it, tools write nothing, nobody is told.",
    )
    trial = models.JSONField(
        null=True,
        blank=True,
        help_text="Of a test: fields of an agent's version that are tried instead of its own.",
    )
    objective = models.TextField(blank=True)
    variables = models.JSONField(default=dict, blank=True)

    account_sid = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="The workspace's own account at the carrier; empty: that of the settings.",
    )
    provider_sid = models.CharField(max_length=64, null=True, unique=True)  # noqa: DJ001 - one Twilio sid, one Call
    provider_status = models.CharField(max_length=20, blank=True)
    provider_seq = models.IntegerField(
        default=-1, help_text="Highest SequenceNumber seen in status callbacks."
    )
    answered_by = models.CharField(max_length=30, blank=True)
    transfer_to = models.CharField(max_length=20, blank=True)
    transfer_state = models.CharField(
        max_length=12, blank=True, help_text="requested, ringing, bridged, failed, returned (warm: briefed)"
    )

    placed_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    # No positive one: its check would be a scan of all calls under a lock.
    purged = models.SmallIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text="Deleted: 1 transcript, 2 journal, 4 evidence.",
    )
    off_record_at = models.DateTimeField(
        null=True, blank=True, help_text="They objected to being recorded: nothing said later is kept."
    )
    recording_asked = models.CharField(
        max_length=8,
        blank=True,
        default="",
        db_default="",
        choices=RecordingAsked.choices,
        help_text="What holds for the recording of this call: off, a notice, or a question.",
    )
    recording_answer = models.CharField(
        max_length=8,
        blank=True,
        default="",
        db_default="",
        choices=RecordingAnswer.choices,
        help_text="What came of it.",
    )
    finalized_at = models.DateTimeField(null=True, blank=True)
    duration_ms = models.PositiveIntegerField(null=True, blank=True, help_text="Answer to end.")
    end_hint = models.CharField(
        max_length=20,
        blank=True,
        help_text="Why the live session asked for the end, before the carrier confirmed it.",
    )

    journal_seq = models.PositiveIntegerField(default=0, help_text="Last number given out in the journal.")
    lease_owner = models.CharField(
        max_length=80, blank=True, help_text="Media process that has the live stream."
    )
    lease_until = models.DateTimeField(null=True, blank=True)
    resumes = models.PositiveSmallIntegerField(default=0)
    sweep_at = models.DateTimeField(
        null=True, blank=True, help_text="When the sweeper should look at this call next."
    )
    latency = models.JSONField(default=dict, blank=True)
    usage = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = [
            models.CheckConstraint(condition=Q(status__in=CallStatus.values), name="call_status_known"),
            models.CheckConstraint(
                condition=Q(outcome__isnull=True) | Q(outcome__in=Outcome.values), name="call_outcome_known"
            ),
            models.CheckConstraint(
                condition=Q(status__in=LIVE, ended_at__isnull=True, end_reason__isnull=True)
                | Q(status__in=OVER, ended_at__isnull=False, end_reason__isnull=False),
                name="call_over_iff_ended",
            ),
            models.CheckConstraint(
                condition=Q(status="finalized", outcome__isnull=False, finalized_at__isnull=False)
                | (~Q(status="finalized") & Q(outcome__isnull=True, finalized_at__isnull=True)),
                name="call_finalized_iff_outcome",
            ),
            models.CheckConstraint(
                condition=Q(placed_at__isnull=True)
                | Q(answered_at__isnull=True)
                | Q(answered_at__gte=F("placed_at")),
                name="call_answered_after_placed",
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True)
                | Q(answered_at__isnull=True)
                | Q(ended_at__gte=F("answered_at")),
                name="call_ended_after_answered",
            ),
            models.UniqueConstraint(
                fields=("recipient",), condition=Q(status__in=LIVE), name="one_live_call_a_recipient"
            ),
        ]
        indexes = [
            # The list, whole and by each of its filters: every page is one index scan, at any depth.
            models.Index(fields=("workspace", "-created_at", "-id"), name="call_page"),
            models.Index(fields=("lead", "-created_at", "-id"), name="call_page_lead"),
            models.Index(fields=("workspace", "agent", "-created_at", "-id"), name="call_page_agent"),
            models.Index(
                fields=("batch", "-created_at", "-id"),
                condition=Q(batch__isnull=False),
                name="call_page_batch",
            ),
            models.Index(fields=("workspace", "direction", "-created_at", "-id"), name="call_page_direction"),
            models.Index(fields=("workspace", "outcome", "-created_at", "-id"), name="call_page_outcome"),
            # Nearly all calls are finalized: for that status the first index does.
            models.Index(
                fields=("workspace", "status", "-created_at", "-id"),
                condition=Q(status__in=UNFINALIZED),
                name="call_page_status",
            ),
            GinIndex(
                OpClass("from_number", "gin_trgm_ops"),
                OpClass("to_number", "gin_trgm_ops"),
                name="call_numbers",
            ),
            # Queue of retention: calls of which something is left.
            models.Index(
                fields=("workspace", "ended_at"),
                condition=Q(status="finalized", purged__lt=7),
                name="call_kept",
            ),
            # Queue of outbound.dialer.
            models.Index(fields=("created_at",), condition=Q(status="queued"), name="call_queued"),
            # How often and when a number was dialed (outbound.facts).
            models.Index(fields=("to_number",), condition=Q(direction="outbound"), name="call_dialed"),
            # Capacity counts and the sweeper of stuck calls.
            models.Index(fields=("workspace", "sweep_at"), condition=Q(status__in=LIVE), name="call_live"),
            # Lines in use of a batch, and what a canceled batch still has outside.
            models.Index(
                fields=("batch",), condition=Q(batch__isnull=False, status__in=LIVE), name="call_live_batch"
            ),
            # Queue of postcall.pipeline.
            models.Index(
                fields=("ended_at",), condition=Q(status__in=("ended", "finalizing")), name="call_unfinalized"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.direction} call {self.id}"

    @property
    def spoken(self) -> AgentVersion | None:
        """What the agent goes by: the version, with what is tried in a test in place of its own."""
        version = self.agent_version
        if version is None or not self.trial:
            return version
        tried = AgentVersion(agent=version.agent, number=version.number)
        for name in ("system_prompt", "objective", "criteria", "tools"):
            setattr(tried, name, self.trial.get(name, getattr(version, name)))
        return tried

    @property
    def remote_number(self) -> str:
        """The other party: who called us, or whom we called."""
        return self.from_number if self.direction == Direction.INBOUND else self.to_number


class SessionStatus(models.TextChoices):
    PROVISIONED = "provisioned", "Provisioned"
    OPEN = "open", "Open"
    CLOSED = "closed", "Closed"
    FAILED = "failed", "Failed"


class VoiceSession(Row):
    """One realtime model session of a call; a reconnect makes another."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="sessions")
    number = models.PositiveSmallIntegerField(default=1)
    channel = models.CharField(max_length=10, default="phone", help_text="phone or browser")
    model = models.CharField(max_length=60, blank=True)
    provider_session_id = models.CharField(max_length=80, blank=True)
    status = models.CharField(max_length=12, choices=SessionStatus.choices, default=SessionStatus.PROVISIONED)
    opened_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    close_reason = models.CharField(max_length=80, blank=True)
    usage = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = [models.UniqueConstraint(fields=("call", "number"), name="session_number_once")]


class StreamToken(models.Model):
    """A media socket may be opened once with it (promises.md R8)."""

    nonce = models.CharField(primary_key=True, max_length=32)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="stream_tokens")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    stream_sid = models.CharField(max_length=64, blank=True)


class CallEvent(models.Model):
    """One line of a call's journal. `seq` is gap-free per call and is the SSE id."""

    id = models.BigAutoField(primary_key=True)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="journal")
    seq = models.PositiveIntegerField()
    at_ms = models.IntegerField(help_text="Milliseconds since the call's row was created.")
    type = models.CharField(max_length=40)
    data = models.JSONField(default=dict)

    class Meta:
        ordering = ("call", "seq")
        constraints = [models.UniqueConstraint(fields=("call", "seq"), name="journal_seq_once")]
