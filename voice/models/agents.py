"""Who answers: agents and their versions, voices, numbers."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

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

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="voice_profiles")
    name = models.CharField(max_length=100)
    voice = models.CharField(max_length=60, default="marin")
    model = models.CharField(
        max_length=60, blank=True, help_text="Realtime model; empty uses REALTIME_MODEL."
    )
    speed = models.FloatField(default=1.0, validators=[MinValueValidator(0.25), MaxValueValidator(1.5)])
    language = models.CharField(
        max_length=16, default="en", help_text="ISO 639-1 hint for the transcription."
    )
    turn_detection = models.CharField(
        max_length=12, choices=TurnDetection.choices, default=TurnDetection.SERVER_VAD
    )
    vad_threshold = models.FloatField(default=0.5, validators=[MinValueValidator(0), MaxValueValidator(1)])
    prefix_padding_ms = models.PositiveIntegerField(default=300, validators=[MaxValueValidator(5000)])
    silence_duration_ms = models.PositiveIntegerField(
        default=500, validators=[MinValueValidator(100), MaxValueValidator(5000)]
    )
    eagerness = models.CharField(max_length=6, choices=Eagerness.choices, default=Eagerness.AUTO)
    noise_reduction = models.CharField(max_length=10, choices=NoiseReduction.choices, blank=True, default="")
    keywords = models.JSONField(
        default=list, blank=True, help_text="Names and terms that the transcription should expect."
    )
    greeting = models.CharField(
        max_length=500, blank=True, help_text="How to open; empty leaves it to the prompt."
    )
    silence_reprompt_s = models.PositiveSmallIntegerField(
        default=12, validators=[MinValueValidator(4), MaxValueValidator(120)]
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
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("name",)
        constraints = [models.UniqueConstraint(fields=("workspace", "slug"), name="agent_slug_once")]

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


class PhoneNumber(Row):
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="numbers")
    e164 = models.CharField(max_length=20, unique=True)
    label = models.CharField(max_length=100, blank=True)
    provider_sid = models.CharField(max_length=64, blank=True, help_text="Twilio PN…")
    agent = models.ForeignKey(Agent, on_delete=models.SET_NULL, null=True, blank=True, related_name="numbers")
    fallback_number = models.CharField(
        max_length=20, blank=True, help_text="Where calls go when the agent or the model is not available."
    )
    released_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("e164",)

    def __str__(self) -> str:
        return self.e164
