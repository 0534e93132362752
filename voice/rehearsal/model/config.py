"""The session object: what is the default, and how an update changes it.

Rules: openai_realtime.md sections 2, 3 and 7. An update is all or nothing: one wrong key and nothing of it
is kept.
"""

import copy
import time
from typing import cast

from voice.rehearsal.model import session_shapes
from voice.rehearsal.model.shapes import Json, Refusal

DEFAULT_INSTRUCTIONS = (
    "You are a friendly voice assistant. Speak naturally and keep answers short, "
    "since they are heard and not read."
)

_DEFAULT_SERVER_VAD: dict[str, Json] = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
_DEFAULT_SEMANTIC_VAD: dict[str, Json] = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}


class SessionConfig:
    """The effective configuration of one session. `value` is the object as `session.updated` carries it."""

    def __init__(self, session_id: str, model: str, lifetime_s: float) -> None:
        """`lifetime_s` is real seconds until the provider ends the session."""
        self.model = model
        pcm: dict[str, Json] = {"type": "audio/pcm", "rate": 24000}
        self.value: dict[str, Json] = {
            "type": "realtime",
            "object": "realtime.session",
            "id": session_id,
            "model": model,
            "output_modalities": ["audio"],
            "instructions": DEFAULT_INSTRUCTIONS,
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "tracing": None,
            "truncation": "auto",
            "prompt": None,
            "include": None,
            "expires_at": int(time.time() + lifetime_s),
            "audio": {
                "input": {
                    "format": dict(pcm),
                    "transcription": None,
                    "noise_reduction": None,
                    "turn_detection": {**_DEFAULT_SERVER_VAD, "silence_duration_ms": 200},
                },
                "output": {"format": dict(pcm), "voice": "marin", "speed": 1.0},
            },
        }
        if session_shapes.reasons(model):
            self.value |= {"reasoning": {"effort": "low"}, "parallel_tool_calls": True}

    # Readers: the validated shape is known, so the casts are safe.
    def _audio(self, side: str) -> dict[str, Json]:
        return cast(dict[str, Json], cast(dict[str, Json], self.value["audio"])[side])

    @property
    def input_format(self) -> str:
        return cast(str, cast(dict[str, Json], self._audio("input")["format"])["type"])

    @property
    def output_format(self) -> str:
        return cast(str, cast(dict[str, Json], self._audio("output")["format"])["type"])

    @property
    def voice(self) -> Json:
        return self._audio("output")["voice"]

    @property
    def speed(self) -> float:
        return float(cast(float, self._audio("output")["speed"]))

    @property
    def turn_detection(self) -> dict[str, Json] | None:
        return cast("dict[str, Json] | None", self._audio("input")["turn_detection"])

    @property
    def transcription(self) -> dict[str, Json] | None:
        return cast("dict[str, Json] | None", self._audio("input")["transcription"])

    @property
    def instructions(self) -> str:
        return cast(str, self.value["instructions"])

    @property
    def output_modalities(self) -> list[Json]:
        return cast(list[Json], self.value["output_modalities"])

    @property
    def tool_names(self) -> set[str]:
        return {str(tool.get("name")) for tool in cast(list[dict[str, Json]], self.value["tools"])}

    def update(self, patch: Json, *, voice_used: bool, responding: bool) -> None:
        """Apply one `session.update` wholly or not at all.

        `voice_used`: assistant audio has been produced. `responding`: a response is being produced now.

        Raises:
            Refusal: with the path of the first wrong key.
        """
        session_shapes.SESSION(patch, "session")
        change = cast(dict[str, Json], copy.deepcopy(patch))
        self._check_fixed(change, voice_used=voice_used, responding=responding)
        session_shapes.check_model_options(change, self.model, "session")
        merged = copy.deepcopy(self.value)
        audio = cast(dict[str, dict[str, Json]], change.pop("audio", {}))
        merged |= change
        for side, fields in audio.items():
            target = cast(dict[str, dict[str, Json]], merged["audio"])[side]
            _merge_audio(target, fields)
        self.value = merged

    def _check_fixed(self, change: dict[str, Json], *, voice_used: bool, responding: bool) -> None:
        if change["type"] != "realtime":
            raise Refusal(
                "Session type cannot be changed after the session was created.", param="session.type"
            )
        if change.get("model", self.model) != self.model:
            raise Refusal(
                "Session model cannot be changed after the session was created.", param="session.model"
            )
        tracing = self.value["tracing"]
        if tracing is not None and change.get("tracing", tracing) not in (tracing, None):
            raise Refusal("Tracing cannot be modified once it is enabled.", param="session.tracing")
        output = cast(dict[str, dict[str, Json]], change.get("audio", {})).get("output", {})
        if voice_used and output.get("voice", self.voice) != self.voice:
            raise Refusal(
                "Cannot update a conversation's voice if assistant audio is present.",
                code="cannot_update_voice",
                param="session.audio.output.voice",
            )
        if responding and output.get("speed", self.speed) != self.speed:
            raise Refusal(
                "Cannot update the speed while a response is in progress.", param="session.audio.output.speed"
            )
        transcription = (
            cast(dict[str, dict[str, Json]], change.get("audio", {})).get("input", {}).get("transcription")
        )
        if transcription:
            session_shapes.check_transcription(cast(dict[str, Json], transcription))


def _merge_audio(target: dict[str, Json], fields: dict[str, Json]) -> None:
    """Absent keys keep their value; a turn detection that is given starts from the defaults of its type."""
    for name, value in fields.items():
        if name == "turn_detection" and isinstance(value, dict):
            base = _DEFAULT_SERVER_VAD if value["type"] == "server_vad" else _DEFAULT_SEMANTIC_VAD
            target[name] = {**base, **value}
        elif name == "noise_reduction" and isinstance(value, dict):
            before = target.get(name)
            strength = before.get("strength", 1.0) if isinstance(before, dict) else 1.0
            target[name] = {"strength": strength, **value}
        else:
            target[name] = value
