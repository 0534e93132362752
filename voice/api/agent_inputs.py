"""What integrators may send about agents, voices and numbers.

Bounds of a voice profile are those of the Realtime API: a value that passes here is one that the model takes.
"""

from django.core.validators import RegexValidator
from rest_framework import serializers as f

from tenex.rest.serializers import Input
from voice.models import VoiceProfile
from voice.services.agents import TOOL_NAMES
from voice.wire.realtime_models import VOICES

_SLUG = r"^[a-z0-9]+(?:[-_][a-z0-9]+)*$"
_VOICE = RegexValidator(
    rf"^({'|'.join(VOICES)}|voice_[A-Za-z0-9_-]{{1,50}})$",
    f"must be one of {', '.join(VOICES)}, or voice_…",
    code="enum",
)


class CriterionDefinitionIn(Input):
    """A question that the call should settle."""

    name = f.CharField(max_length=80)
    description = f.CharField(max_length=500, required=False, allow_blank=True, default="")


class AgentIn(Input):
    """A new agent."""

    name = f.CharField(max_length=100)
    slug = f.RegexField(
        _SLUG,
        max_length=80,
        required=False,
        help_text="Made of the name if absent.",
    )
    profile_id = f.UUIDField(required=False, help_text="The workspace's first voice profile if absent.")
    calendar_id = f.UUIDField(required=False, allow_null=True, help_text="Where the agent books meetings.")
    system_prompt = f.CharField(
        max_length=32_000, help_text="May use `{{lead.first_name}}`, `{{lead.company}}`, `{{objective}}`, …"
    )
    objective = f.CharField(max_length=4000, required=False, allow_blank=True)
    criteria = CriterionDefinitionIn(many=True, required=False)
    tools = f.ListField(child=f.ChoiceField(choices=TOOL_NAMES), max_length=len(TOOL_NAMES), required=False)
    note = f.CharField(
        max_length=300, required=False, allow_blank=True, help_text="Why this version is made."
    )
    is_default = f.BooleanField(
        required=False,
        help_text="Calls the leads of a batch that names no agent, where there are several. One a workspace.",
    )


class AgentPatchIn(AgentIn):
    """Changes of an agent. A change of prompt, objective, criteria or tools makes a new version."""


class DuplicateIn(Input):
    """The copy."""

    name = f.CharField(max_length=100, required=False, help_text="`Copy of …` if absent.")
    slug = f.RegexField(_SLUG, max_length=80, required=False, help_text="Made of the name if absent.")


class ProfileIn(Input):
    """A new voice profile."""

    name = f.CharField(max_length=100)
    voice = f.CharField(
        max_length=60,
        required=False,
        validators=[_VOICE],
        help_text=f"One of {', '.join(VOICES)}, or a custom voice (`voice_…`).",
    )
    model = f.RegexField(r"^[A-Za-z0-9][A-Za-z0-9._:-]*$", max_length=60, required=False, allow_blank=True)
    speed = f.FloatField(min_value=0.25, max_value=1.5, required=False)
    language = f.RegexField(
        r"^[a-z]{2}$",
        required=False,
        allow_blank=True,
        help_text="ISO 639-1 code, for instance `en`. Empty: whatever the other side speaks.",
    )
    turn_detection = f.ChoiceField(choices=VoiceProfile.TurnDetection.choices, required=False)
    vad_threshold = f.FloatField(min_value=0, max_value=1, required=False)
    prefix_padding_ms = f.IntegerField(min_value=0, max_value=5000, required=False)
    silence_duration_ms = f.IntegerField(min_value=100, max_value=5000, required=False)
    idle_timeout_ms = f.IntegerField(
        min_value=5000,
        max_value=30_000,
        required=False,
        allow_null=True,
        help_text="Server VAD: after so much silence the model itself asks. null: never.",
    )
    eagerness = f.ChoiceField(
        choices=VoiceProfile.Eagerness.choices, required=False, help_text="Semantic VAD only."
    )
    noise_reduction = f.ChoiceField(choices=["near_field", "far_field"], required=False, allow_null=True)
    noise_reduction_strength = f.FloatField(min_value=0, max_value=1, required=False, allow_null=True)
    transcription_model = f.RegexField(
        r"^[A-Za-z0-9][A-Za-z0-9._:-]*$",
        max_length=60,
        required=False,
        allow_blank=True,
        help_text="Who writes down what the caller says; empty: the installation's; `off`: nobody.",
    )
    transcription_prompt = f.CharField(
        max_length=1000, required=False, allow_blank=True, help_text="What the transcription should expect."
    )
    reasoning_effort = f.ChoiceField(
        choices=VoiceProfile.Effort.choices,
        required=False,
        allow_blank=True,
        help_text="Models that reason only; empty: `low`.",
    )
    max_output_tokens = f.IntegerField(
        min_value=64,
        max_value=4096,
        required=False,
        allow_null=True,
        help_text="Of one answer; null: no limit. A low one cuts answers off in mid-sentence.",
    )
    retention_ratio = f.FloatField(
        min_value=0,
        max_value=1,
        required=False,
        help_text="Share of the conversation that is kept when the model's context is full.",
    )
    keywords = f.ListField(child=f.CharField(max_length=60), max_length=100, required=False)
    greeting = f.CharField(
        max_length=500, required=False, allow_blank=True, help_text="May use `{{…}}` as the prompt may."
    )
    speaks_first = f.BooleanField(required=False, help_text="false: the agent waits for the other side.")
    silence_reprompt_s = f.IntegerField(
        min_value=4, max_value=120, required=False, help_text="Silence after which the agent asks."
    )
    silence_reprompts = f.IntegerField(
        min_value=0, max_value=10, required=False, help_text="How often, before it says goodbye."
    )
    max_duration_s = f.IntegerField(min_value=30, max_value=7200, required=False)

    def validate_noise_reduction(self, value: str | None) -> str:
        return value or ""


class ProfilePatchIn(ProfileIn):
    """Changes of a voice profile."""
