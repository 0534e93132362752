"""A session that only writes down what it hears: the words of a person who talks in the agent's place.

The same socket, time-outs and signs of life as a session that talks (:mod:`voice.realtime.openai`), at
another address and with other settings. What it tells: speech begun and over, a turn committed, its words or
that there are none.
"""

from dataclasses import replace
from typing import Final

from voice.realtime.openai import Endpoint, OpenAIConnection
from voice.realtime.port import OnEvent
from voice.session.events import ModelError
from voice.wire import openai_commands, realtime_models
from voice.wire.openai_commands import SessionConfig

_BY_TURNS: Final = "gpt-transcribe"


class OpenAITranscription(OpenAIConnection):
    """One session. Commands other than sound and its end are not for it."""

    def __init__(self, endpoint: Endpoint, config: SessionConfig, on_event: OnEvent) -> None:
        super().__init__(endpoint, config_of(config), 0, on_event)

    def _address(self) -> str:
        return self._endpoint.transcription_url()

    def _settings(self) -> str:
        return openai_commands.transcription_update(self._config)

    def _on_refused(self, error: ModelError) -> None:
        self._lost(error.code or "session_refused", retryable=False, detail=error.param or "")


def config_of(call: SessionConfig) -> SessionConfig:
    """The call's own settings, as far as a microphone beside it needs them."""
    model = call.transcription_model or _BY_TURNS
    if not realtime_models.transcription(model).hears_turns:
        model = _BY_TURNS
    return replace(
        call, transcription_model=model, noise_reduction="near_field", noise_reduction_strength=None
    )
