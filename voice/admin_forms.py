"""Forms for agents, voices and numbers: written by the services, explained in an operator's words."""

from typing import Any, Final

from django import forms
from django.contrib.admin.widgets import AdminTextareaWidget
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator

from tenex.adminsite import ServiceForm
from voice.models import Agent, PhoneNumber, VoiceProfile
from voice.services import agents, drafts, numbers, profiles
from voice.services.agents import TOOL_NAMES
from voice.tools.catalog import TOOLS
from voice.wire.realtime_models import VOICES

WORDS: Final[dict[str, str]] = {
    "name": "What you call this voice; agents choose it by this name.",
    "voice": "Who speaks. Or the id of a custom voice of your OpenAI account (voice_…).",
    "model": "Which Realtime model speaks and understands. Leave it empty unless you compare models.",
    "speed": "How fast it speaks. 1.0 is natural; older listeners like 0.9.",
    "language": "Two letters, for instance en, de, es. It speaks this and expects it. Empty: it follows "
    "whoever is "
    "on the line.",
    "greeting": "The first sentence, word for word. May hold variables like {{lead.first_name}}. Empty: it "
    "opens as "
    "its prompt says.",
    "speaks_first": "Off: it waits until the other side has said something.",
    "turn_detection": "How it notices that somebody has finished. Silence: after a pause of fixed length. "
    "Meaning: "
    "the model judges by the words, and waits longer for an unfinished sentence.",
    "vad_threshold": "Silence only: how loud counts as speech. Higher ignores noise, and quiet speakers.",
    "prefix_padding_ms": "Silence only: how much sound before the first loud moment is taken along, so that "
    "no first "
    "syllable is lost. Thousandths of a second.",
    "silence_duration_ms": "Silence only: the pause after which it answers. Shorter answers faster and "
    "interrupts "
    "slow speakers more often. Thousandths of a second.",
    "idle_timeout_ms": "Silence only: after so much silence the model itself asks whether somebody is "
    "there. Empty: "
    "we do, as set below. Thousandths of a second.",
    "eagerness": "Meaning only: how soon it takes its turn. Low leaves people time to think.",
    "noise_reduction": "Cleans the caller's sound before the model hears it. Near: handsets and headsets. "
    "Far: people "
    "on speaker phone.",
    "noise_reduction_strength": "How much is taken away; needs noise reduction. Empty: as the model does it.",
    "transcription_model": "Who writes down what the caller says. Empty: the installation's. off: nobody; "
    "the verdict "
    "then has nothing to quote.",
    "transcription_prompt": "What the call is about, so that words are recognized better. Not every model "
    "takes it.",
    "keywords": "Names and terms that should be recognized, one a line: your company, products, people.",
    "reasoning_effort": "Models that reason only: more thinks longer before it answers. Empty: low.",
    "max_output_tokens": "Longest answer. A low one cuts off in the middle of a sentence. Empty: no limit.",
    "retention_ratio": "Long calls: the share of the conversation that the model keeps when its memory is "
    "full.",
    "silence_reprompt_s": "So many seconds of silence, and it asks whether somebody is there.",
    "silence_reprompts": "How often it asks before it says goodbye.",
    "max_duration_s": "It brings every call to an end after so many seconds.",
}
"""Every setting of a voice profile, in its user's words; range and default are added from the model."""


def explained(name: str) -> str:
    """What a setting does, from where to where it goes, and what it is if nobody sets it."""
    field: Any = VoiceProfile._meta.get_field(name)
    parts = [WORDS[name]]
    low = next((one.limit_value for one in field.validators if isinstance(one, MinValueValidator)), None)
    high = next((one.limit_value for one in field.validators if isinstance(one, MaxValueValidator)), None)
    if high is not None:
        parts.append(f"From {low or 0} to {high}.")
    if field.has_default() and not callable(field.default) and field.default not in ("", None):
        shown = dict(field.flatchoices).get(field.default, field.default)
        parts.append(f"Unless set: {'on' if shown is True else shown}.")
    return " ".join(parts)


class Lines(forms.CharField):
    """A list of texts as lines."""

    widget = AdminTextareaWidget(attrs={"rows": 4})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        lines = value if isinstance(value, list) else str(value or "").splitlines()
        return [line.strip() for line in lines if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(data) != (initial or []))


class ProfileForm(ServiceForm):
    voice = forms.CharField(max_length=60, widget=forms.TextInput(attrs={"list": "voices"}), initial="marin")
    keywords = Lines(required=False, max_length=6000)

    class Meta:
        model = VoiceProfile
        fields = ("workspace", *WORDS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in WORDS:
            if name in self.fields:
                self.fields[name].help_text = explained(name)

    def clean_voice(self) -> str:
        voice = str(self.cleaned_data["voice"]).strip()
        if voice not in VOICES and not voice.startswith("voice_"):
            raise ValidationError(f"One of {', '.join(VOICES)}, or voice_… of your account.")
        return voice

    def write(self, row: VoiceProfile, changed: dict[str, Any]) -> VoiceProfile:
        if row._state.adding:
            return profiles.create(row.workspace, changed, self.actor)
        return profiles.update(VoiceProfile.objects.get(pk=row.pk), changed, self.actor)


class Tools(forms.MultipleChoiceField):
    def has_changed(self, initial: Any, data: Any) -> bool:
        return set(initial or []) != set(data or [])


class AgentForm(ServiceForm):
    """The agent together with the text of its current version: saving a change makes a new version."""

    system_prompt = forms.CharField(
        max_length=32_000,
        strip=False,
        widget=AdminTextareaWidget(attrs={"rows": 24, "class": "vLargeTextField mono"}),
        help_text="May use {{lead.first_name}}, {{lead.company}}, {{lead.title}}, {{objective}} and more: "
        "the agent's "
        "page in the console lists and checks them while you type, and shows a preview.",
    )
    objective = forms.CharField(
        max_length=4000,
        widget=AdminTextareaWidget(attrs={"rows": 3}),
        required=False,
        help_text="What a call is for, in a sentence. A batch may have one of its own.",
    )
    criteria = forms.CharField(
        required=False,
        widget=AdminTextareaWidget(attrs={"rows": 6}),
        help_text="What it finds out, one a line: name: what counts as met. The verdict answers each, with "
        "a quote.",
    )
    tools = Tools(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[(name, f"{name}: {TOOLS[name].description}") for name in TOOL_NAMES],
        help_text="What it may do in a call. Opting out, ending the recording and hanging up it always may.",
    )
    note = forms.CharField(
        required=False, max_length=300, help_text="Why this change? Kept with the version."
    )

    class Meta:
        model = Agent
        fields = ("workspace", "name", "slug", "profile", "calendar", "is_default")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        version = (
            self.instance.current_version if self.instance.pk and not self.instance._state.adding else None
        )
        if version is not None:
            for name in ("system_prompt", "objective", "tools"):
                if name in self.fields:
                    self.fields[name].initial = getattr(version, name)
            if "criteria" in self.fields:
                self.fields["criteria"].initial = criteria_as_text(version.criteria)

    def clean_system_prompt(self) -> str:
        return str(self.cleaned_data["system_prompt"]).replace("\r\n", "\n")

    def clean_objective(self) -> str:
        return str(self.cleaned_data["objective"]).replace("\r\n", "\n")

    def clean_criteria(self) -> list[dict[str, str]]:
        found = []
        for at, line in enumerate(str(self.cleaned_data["criteria"]).splitlines(), 1):
            if not line.strip():
                continue
            name, _, description = (part.strip() for part in line.partition(":"))
            if not name or len(name) > 80 or len(description) > 500:
                raise ValidationError(
                    f"Line {at}: a name of at most 80 characters, a colon, at most 500 more."
                )
            found.append({"name": name, "description": description})
        return found

    def write(self, row: Agent, changed: dict[str, Any]) -> Agent:
        if row._state.adding:
            return agents.create(row.workspace, changed, self.actor)
        fresh = Agent.objects.select_related("workspace").get(pk=row.pk)
        return agents.update(fresh, changed, self.actor)


def criteria_as_text(criteria: list[dict[str, Any]]) -> str:
    return "\n".join(f"{row.get('name', '')}: {row.get('description', '')}" for row in criteria)


def has_draft(agent: Agent) -> bool:
    return drafts.state(agent).is_draft


class NumberForm(ServiceForm):
    class Meta:
        model = PhoneNumber
        fields = ("workspace", "e164", "label", "agent", "calendar", "fallback_number", "provider_sid")
        help_texts = {
            "e164": "In the form +14155550100. Its addresses are set in Twilio's console, see the README; "
            "numbers "
            "that this system buys or sets up itself come through the API.",
            "agent": "Who answers, at any hour. The next call already goes to them; empty: callers hear "
            "that nobody "
            "can take the call.",
            "calendar": "Where calls to this number book meetings; empty: the agent's.",
            "fallback_number": "A person's number, for the moments when agent or model cannot take a call.",
        }

    def write(self, row: PhoneNumber, changed: dict[str, Any]) -> PhoneNumber:
        if row._state.adding:
            return numbers.create(row.workspace, {**changed, "configure": False}, self.actor)
        fresh = PhoneNumber.objects.select_related("workspace").get(pk=row.pk)
        return numbers.update(fresh, changed, self.actor)
