"""What integrators get to see of agents, voices and numbers."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as f

from tenex.rest.serializers import Output
from voice.models import VoiceProfile


class CriterionDefinitionOut(Output):
    """A question that the call should settle."""

    name = f.CharField()
    description = f.CharField()


class AgentVersionOut(Output):
    """One immutable state of an agent."""

    id = f.UUIDField()
    number = f.IntegerField()
    system_prompt = f.CharField()
    objective = f.CharField()
    criteria = CriterionDefinitionOut(many=True)
    tools = f.ListField(child=f.CharField())
    note = f.CharField()
    created_by = f.CharField()
    created_at = f.DateTimeField()


class AgentOut(Output):
    """An agent and the version that it runs."""

    id = f.UUIDField()
    company_id = f.UUIDField(source="workspace_id")
    name = f.CharField()
    slug = f.CharField()
    profile_id = f.UUIDField()
    calendar_id = f.UUIDField(allow_null=True)
    version = f.SerializerMethodField()
    system_prompt = f.SerializerMethodField()
    objective = f.SerializerMethodField()
    criteria = f.SerializerMethodField()
    tools = f.SerializerMethodField()
    created_at = f.DateTimeField()

    def get_version(self, agent: Any) -> int:
        return agent.current_version.number if agent.current_version else 0

    def get_system_prompt(self, agent: Any) -> str:
        return agent.current_version.system_prompt if agent.current_version else ""

    def get_objective(self, agent: Any) -> str:
        return agent.current_version.objective if agent.current_version else ""

    @extend_schema_field(CriterionDefinitionOut(many=True))
    def get_criteria(self, agent: Any) -> Any:
        return agent.current_version.criteria if agent.current_version else []

    def get_tools(self, agent: Any) -> list[str]:
        return agent.current_version.tools if agent.current_version else []


class ProfileOut(Output):
    """How an agent sounds and takes turns."""

    id = f.UUIDField()
    company_id = f.UUIDField(source="workspace_id")
    name = f.CharField()
    voice = f.CharField()
    model = f.CharField(help_text="Realtime model; empty uses the installation's.")
    speed = f.FloatField()
    language = f.CharField()
    turn_detection = f.ChoiceField(choices=VoiceProfile.TurnDetection.choices)
    vad_threshold = f.FloatField()
    prefix_padding_ms = f.IntegerField()
    silence_duration_ms = f.IntegerField()
    eagerness = f.ChoiceField(choices=VoiceProfile.Eagerness.choices)
    noise_reduction = f.SerializerMethodField()
    keywords = f.ListField(child=f.CharField())
    greeting = f.CharField()
    silence_reprompt_s = f.IntegerField()
    max_duration_s = f.IntegerField()
    created_at = f.DateTimeField()

    def get_noise_reduction(self, profile: Any) -> str | None:
        return profile.noise_reduction or None


class NumberOut(Output):
    """A phone number and the agent that answers it."""

    id = f.UUIDField()
    company_id = f.UUIDField(source="workspace_id")
    e164 = f.CharField()
    label = f.CharField()  # type: ignore[assignment]
    provider_sid = f.CharField()
    agent_id = f.UUIDField(allow_null=True)
    fallback_number = f.CharField(help_text="Where calls go when the agent or the model is not available.")
    created_at = f.DateTimeField()
