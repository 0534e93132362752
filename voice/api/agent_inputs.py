"""What integrators may send about agents, voices and numbers.

Bounds of a voice profile are those of the Realtime API: a value that passes here is one that the model takes.
"""

import re

from rest_framework import serializers as f

from tenex.rest.serializers import Input
from voice.models import VoiceProfile
from voice.services.agents import TOOL_NAMES

VOICES = ("alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse")
_CUSTOM_VOICE = re.compile(r"voice_[A-Za-z0-9_-]{1,50}")


class CriterionDefinitionIn(Input):
    """A question that the call should settle."""

    name = f.CharField(max_length=80)
    description = f.CharField(max_length=500, required=False, allow_blank=True, default="")


class AgentIn(Input):
    """A new agent."""

    name = f.CharField(max_length=100)
    slug = f.RegexField(
        r"^[a-z0-9]+(?:[-_][a-z0-9]+)*$",
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


class AgentPatchIn(AgentIn):
    """Changes of an agent. A change of prompt, objective, criteria or tools makes a new version."""


class ProfileIn(Input):
    """A new voice profile."""

    name = f.CharField(max_length=100)
    voice = f.CharField(
        max_length=60, required=False, help_text=f"One of {', '.join(VOICES)}, or a custom voice (`voice_…`)."
    )
    model = f.RegexField(r"^[A-Za-z0-9][A-Za-z0-9._:-]*$", max_length=60, required=False, allow_blank=True)
    speed = f.FloatField(min_value=0.25, max_value=1.5, required=False)
    language = f.RegexField(r"^[a-z]{2}$", required=False, help_text="ISO 639-1 code, for instance `en`.")
    turn_detection = f.ChoiceField(choices=VoiceProfile.TurnDetection.choices, required=False)
    vad_threshold = f.FloatField(min_value=0, max_value=1, required=False)
    prefix_padding_ms = f.IntegerField(min_value=0, max_value=5000, required=False)
    silence_duration_ms = f.IntegerField(min_value=100, max_value=5000, required=False)
    eagerness = f.ChoiceField(choices=VoiceProfile.Eagerness.choices, required=False)
    noise_reduction = f.ChoiceField(choices=["near_field", "far_field"], required=False, allow_null=True)
    keywords = f.ListField(child=f.CharField(max_length=60), max_length=100, required=False)
    greeting = f.CharField(max_length=500, required=False, allow_blank=True)
    silence_reprompt_s = f.IntegerField(min_value=4, max_value=120, required=False)
    max_duration_s = f.IntegerField(min_value=30, max_value=7200, required=False)

    def validate_voice(self, value: str) -> str:
        if value not in VOICES and not _CUSTOM_VOICE.fullmatch(value):
            raise f.ValidationError(f"must be one of {', '.join(VOICES)}, or voice_…", code="enum")
        return value

    def validate_noise_reduction(self, value: str | None) -> str:
        return value or ""


class ProfilePatchIn(ProfileIn):
    """Changes of a voice profile."""


class NumberIn(Input):
    """A number of the carrier account."""

    e164 = f.CharField(
        max_length=40, help_text="In international form, or national in the workspace's region."
    )
    label = f.CharField(max_length=100, required=False, allow_blank=True)  # type: ignore[assignment]
    provider_sid = f.RegexField(r"^PN[0-9a-f]{32}$", required=False, help_text="Twilio's `PN…` id.")
    agent_id = f.UUIDField(required=False, allow_null=True, help_text="Who answers calls to it.")
    fallback_number = f.CharField(max_length=40, required=False, allow_blank=True)


class NumberPatchIn(Input):
    """Routing of a number."""

    label = f.CharField(max_length=100, required=False, allow_blank=True)  # type: ignore[assignment]
    agent_id = f.UUIDField(required=False, allow_null=True)
    fallback_number = f.CharField(max_length=40, required=False, allow_blank=True)
