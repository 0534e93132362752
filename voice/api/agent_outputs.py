"""What integrators get to see of agents, voices and numbers."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as f

from tenex.rest.serializers import Output
from voice.models import VoiceProfile
from voice.services import templates


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
    is_default = f.BooleanField()
    version = f.SerializerMethodField()
    system_prompt = f.SerializerMethodField()
    objective = f.SerializerMethodField()
    criteria = f.SerializerMethodField()
    tools = f.SerializerMethodField()
    variables = f.SerializerMethodField(help_text="Names in `{{…}}` that prompt and objective use.")
    created_at = f.DateTimeField()
    archived_at = f.DateTimeField(allow_null=True)

    def get_variables(self, agent: Any) -> list[str]:
        version = agent.current_version
        return templates.used(f"{version.system_prompt} {version.objective}") if version else []

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


class VariableOut(Output):
    """A name that prompts, objectives and greetings may use in `{{…}}`."""

    name = f.CharField()
    description = f.CharField()
    example = f.CharField()


class VariablesOut(Output):
    """All of them; `<key>` stands for a name of your own."""

    items = VariableOut(many=True)


@extend_schema_field({"type": ["string", "array"], "items": {"type": ["string", "object"]}})
class TextOrList(f.JSONField):
    """A text, a list of tools, or a list of criteria."""


class FieldChangeOut(Output):
    """A field that differs. Texts and lists of the one and of the other version."""

    field = f.ChoiceField(choices=["system_prompt", "objective", "criteria", "tools"])
    before = TextOrList()
    after = TextOrList()


class VersionDiffOut(Output):
    """What differs between two versions of an agent."""

    locals()["from"] = f.IntegerField(help_text="The version that `before` shows.")
    to = f.IntegerField()
    changes = FieldChangeOut(many=True)
    prompt_diff = f.CharField(help_text="Unified diff of the prompt, line by line; empty if it is the same.")


class RealtimeModelOut(Output):
    """A speech model that is known, and what a profile may set with it."""

    name = f.CharField()
    reasoning_efforts = f.ListField(child=f.CharField(), source="efforts")
    context_tokens = f.IntegerField()
    retired_at = f.CharField(source="retired", help_text="Day from which it is refused; empty: none known.")


class TranscriptionModelOut(Output):
    """A transcription model that is known, and what a profile may set with it."""

    name = f.CharField()
    prompt = f.BooleanField()
    keywords = f.BooleanField()


class ProfileOptionsOut(Output):
    """What voice profiles may name. Other model names are accepted; nothing is assumed of them."""

    default_model = f.CharField()
    default_transcription_model = f.CharField()
    voices = f.ListField(child=f.CharField())
    models = RealtimeModelOut(many=True)
    transcription_models = TranscriptionModelOut(many=True)


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
    idle_timeout_ms = f.IntegerField(allow_null=True)
    eagerness = f.ChoiceField(choices=VoiceProfile.Eagerness.choices)
    noise_reduction = f.SerializerMethodField()
    noise_reduction_strength = f.FloatField(allow_null=True)
    transcription_model = f.CharField(help_text="Empty uses the installation's; `off`: none.")
    transcription_prompt = f.CharField()
    reasoning_effort = f.CharField(help_text="Empty: `low`, where the model reasons.")
    max_output_tokens = f.IntegerField(allow_null=True)
    retention_ratio = f.FloatField()
    keywords = f.ListField(child=f.CharField())
    greeting = f.CharField()
    speaks_first = f.BooleanField()
    silence_reprompt_s = f.IntegerField()
    silence_reprompts = f.IntegerField()
    max_duration_s = f.IntegerField()
    created_at = f.DateTimeField()

    def get_noise_reduction(self, profile: Any) -> str | None:
        return profile.noise_reduction or None
