"""Who answers: agents, their versions, their voices."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from crm.models import Calendar
from tenex.lib.models import Row
from tenex.workspaces.models import Workspace


class VoiceProfile(Row):
    """How an agent sounds and takes turns.

    Values are those that the Realtime API accepts.
    """

    class TurnDetection(models.TextChoices):
        SERVER_VAD = "server_vad", "Silence (server VAD)"
        SEMANTIC_VAD = "semantic_vad", "Meaning (semantic VAD)"

    class NoiseReduction(models.TextChoices):
        NONE = "", "Off"
        NEAR_FIELD = "near_field", "Near field (headset, handset)"
        FAR_FIELD = "far_field", "Far field (speaker phone)"

    class Eagerness(models.TextChoices):
        LOW = "low", "Low"
        MEDIUM = "medium", "Medium"
        HIGH = "high", "High"
        AUTO = "auto", "Auto"

    class Effort(models.TextChoices):
        MINIMAL = "minimal", "Minimal"
        LOW = "low", "Low"
        MEDIUM = "medium", "Medium"
        HIGH = "high", "High"
        XHIGH = "xhigh", "Highest"

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="voice_profiles")
    name = models.CharField(max_length=100)
    voice = models.CharField(max_length=60, default="marin")
    model = models.CharField(
        max_length=60, blank=True, help_text="Realtime model; empty uses REALTIME_MODEL."
    )
    speed = models.FloatField(default=1.0, validators=[MinValueValidator(0.25), MaxValueValidator(1.5)])
    language = models.CharField(
        max_length=16,
        default="en",
        blank=True,
        help_text="ISO 639-1: the agent speaks it, the transcription expects it. Empty: whatever is spoken.",
    )
    turn_detection = models.CharField(
        max_length=12, choices=TurnDetection.choices, default=TurnDetection.SERVER_VAD
    )
    vad_threshold = models.FloatField(default=0.5, validators=[MinValueValidator(0), MaxValueValidator(1)])
    prefix_padding_ms = models.PositiveIntegerField(default=300, validators=[MaxValueValidator(5000)])
    silence_duration_ms = models.PositiveIntegerField(
        default=500, validators=[MinValueValidator(100), MaxValueValidator(5000)]
    )
    idle_timeout_ms = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(5000), MaxValueValidator(30_000)],
        help_text="Server VAD only: the model itself asks whether somebody is there. Empty: we do.",
    )
    eagerness = models.CharField(max_length=6, choices=Eagerness.choices, default=Eagerness.AUTO)
    noise_reduction = models.CharField(max_length=10, choices=NoiseReduction.choices, blank=True, default="")
    noise_reduction_strength = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(1)]
    )
    transcription_model = models.CharField(
        max_length=60,
        blank=True,
        help_text="Empty uses TRANSCRIPTION_MODEL; `off`: no transcript.",
    )
    transcription_prompt = models.CharField(max_length=1000, blank=True)
    keywords = models.JSONField(
        default=list, blank=True, help_text="Names and terms that the transcription should expect."
    )
    reasoning_effort = models.CharField(
        max_length=8,
        choices=Effort.choices,
        blank=True,
        help_text="Models that reason only; empty: low.",
    )
    max_output_tokens = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(64), MaxValueValidator(4096)],
        help_text="Of one answer; a lower one may cut it off in the middle of a sentence. Empty: no limit.",
    )
    retention_ratio = models.FloatField(
        default=0.8,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Share of the conversation that is kept when the model's context is full.",
    )
    greeting = models.CharField(
        max_length=500, blank=True, help_text="How to open; empty leaves it to the prompt."
    )
    speaks_first = models.BooleanField(default=True, help_text="Off: the agent waits for the other side.")
    silence_reprompt_s = models.PositiveSmallIntegerField(
        default=12, validators=[MinValueValidator(4), MaxValueValidator(120)]
    )
    silence_reprompts = models.PositiveSmallIntegerField(
        default=2, validators=[MaxValueValidator(10)], help_text="How often, before the agent says goodbye."
    )
    max_duration_s = models.PositiveIntegerField(
        default=1800, validators=[MinValueValidator(30), MaxValueValidator(7200)]
    )

    class Meta:
        ordering = ("name",)
        constraints = [models.UniqueConstraint(fields=("workspace", "name"), name="profile_name_once")]

    def __str__(self) -> str:
        return self.name


class Agent(Row):
    """A qualifier. What it says is in its versions; the row points at the one in use."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="agents")
    name = models.CharField(max_length=100)
    slug = models.SlugField(max_length=80)
    profile = models.ForeignKey(VoiceProfile, on_delete=models.PROTECT, related_name="agents")
    calendar = models.ForeignKey(Calendar, on_delete=models.SET_NULL, null=True, blank=True)
    current_version = models.ForeignKey(
        "voice.AgentVersion",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        editable=False,
    )
    is_default = models.BooleanField(
        default=False, help_text="Calls the leads of a batch that names no agent, where there are several."
    )
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint(fields=("workspace", "slug"), name="agent_slug_once"),
            models.UniqueConstraint(
                fields=("workspace",), condition=Q(is_default=True), name="agent_default_once"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class AgentVersion(Row):
    """One immutable state of an agent; a call records the version that it ran."""

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    system_prompt = models.TextField(
        help_text="May use {{lead.first_name}}, {{lead.company}}, {{objective}}, …"
    )
    objective = models.TextField(blank=True)
    criteria = models.JSONField(default=list, help_text='[{"name": "budget", "description": "…"}]')
    tools = models.JSONField(default=list, help_text="Names of the tools that the agent may use.")
    note = models.CharField(max_length=300, blank=True, help_text="Why this version was made.")
    created_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("-number",)
        constraints = [models.UniqueConstraint(fields=("agent", "number"), name="agent_version_once")]

    def __str__(self) -> str:
        return f"{self.agent} v{self.number}"


class AgentDraft(Row):
    """What is being written and not yet said by anybody: at most one of an agent (voice.services.drafts).

    `token` is new with each save: whoever saves over a text says which one they had before them.
    """

    agent = models.OneToOneField(Agent, on_delete=models.CASCADE, related_name="draft")
    base = models.ForeignKey(
        AgentVersion, on_delete=models.SET_NULL, null=True, related_name="+", help_text="Begun from it."
    )
    token = models.CharField(max_length=32)
    system_prompt = models.TextField(blank=True)
    objective = models.TextField(blank=True)
    criteria = models.JSONField(default=list)
    tools = models.JSONField(default=list)
    updated_by = models.CharField(max_length=200)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"draft of {self.agent_id}"
