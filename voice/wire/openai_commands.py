"""OpenAI Realtime (GA), client events: builders, each one text frame.

`event_id` is set on everything but audio: the server echoes it in an `error`, the only way to tell which
request failed. Keys that a model does not know make it refuse the whole update, so only those are sent that
it accepts (`reasoning` and `parallel_tool_calls`: the 2 family only; `rate`: linear PCM only).
"""

import json
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from voice.session.commands import (
    AppendAudio,
    CancelResponse,
    CommitAudio,
    CreateResponse,
    InsertText,
    SendToolOutput,
    TruncateItem,
)
from voice.session.events import ModelReady
from voice.session.items import OWN_ITEM_PREFIX
from voice.wire import realtime_models

SESSION_UPDATE_ID: Final = "cfg"
"""`event_id` of the session's configuration: an `error` that names it fails the start."""

AudioFormat = Literal["audio/pcmu", "audio/pcm"]
Effort = Literal["", "minimal", "low", "medium", "high", "xhigh"]


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """Everything that a session is configured with, provider-neutral where possible."""

    model: str
    instructions: str
    audio_format: AudioFormat = "audio/pcmu"
    voice: str = "marin"
    speed: float = 1.0
    transcription_model: str = "gpt-transcribe"
    """Empty switches the caller's transcript off."""
    language: str = ""
    keywords: tuple[str, ...] = ()
    transcription_prompt: str = ""
    turn_detection: Literal["server_vad", "semantic_vad"] = "server_vad"
    vad_threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500
    idle_timeout_ms: int | None = None
    """Server VAD: after so much silence the model itself speaks; None: never."""
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True
    noise_reduction: Literal["", "near_field", "far_field"] = ""
    noise_reduction_strength: float | None = None
    tools: tuple[dict[str, Any], ...] = ()
    """`{"type": "function", "name", "description", "parameters"}`, flat, without `strict`."""
    tool_choice: Literal["auto", "none", "required"] = "auto"
    max_output_tokens: int | Literal["inf"] = "inf"
    reasoning_effort: Effort = "low"
    parallel_tool_calls: bool = True
    retention_ratio: float | None = 0.8
    """Share of the conversation kept when the context is full; None leaves the server's default."""


def session_body(config: SessionConfig) -> dict[str, Any]:
    """The `session` object of `session.update`."""
    audio_format: dict[str, Any] = {"type": config.audio_format}
    if config.audio_format == "audio/pcm":
        audio_format["rate"] = 24_000
    audio_in: dict[str, Any] = {"format": audio_format, "turn_detection": _turn_detection(config)}
    if config.transcription_model:
        audio_in["transcription"] = _transcription(config)
    if config.noise_reduction:
        audio_in["noise_reduction"] = _noise_reduction(config)
    body: dict[str, Any] = {
        "type": "realtime",
        "model": config.model,
        "output_modalities": ["audio"],
        "instructions": config.instructions,
        "audio": {
            "input": audio_in,
            "output": {"format": audio_format, "voice": _voice(config.voice), "speed": config.speed},
        },
        "tools": list(config.tools),
        "tool_choice": config.tool_choice,
        "max_output_tokens": config.max_output_tokens,
    }
    if realtime_models.model(config.model).efforts:
        if config.reasoning_effort:
            body["reasoning"] = {"effort": config.reasoning_effort}
        if config.tools:
            body["parallel_tool_calls"] = config.parallel_tool_calls
    if config.retention_ratio is not None:
        body["truncation"] = {"type": "retention_ratio", "retention_ratio": config.retention_ratio}
    return body


def _turn_detection(config: SessionConfig) -> dict[str, Any]:
    answers = {"create_response": config.create_response, "interrupt_response": config.interrupt_response}
    if config.turn_detection == "semantic_vad":
        return {"type": "semantic_vad", "eagerness": config.eagerness, **answers}
    found: dict[str, Any] = {
        "type": "server_vad",
        "threshold": config.vad_threshold,
        "prefix_padding_ms": config.prefix_padding_ms,
        "silence_duration_ms": config.silence_duration_ms,
        **answers,
    }
    if config.idle_timeout_ms is not None:
        found["idle_timeout_ms"] = config.idle_timeout_ms
    return found


def _voice(voice: str) -> str | dict[str, str]:
    """A built-in voice by name, one of the account's own by its id."""
    return {"id": voice} if voice.startswith("voice_") else voice


def _noise_reduction(config: SessionConfig) -> dict[str, Any]:
    body: dict[str, Any] = {"type": config.noise_reduction}
    if config.noise_reduction_strength is not None:
        body["strength"] = config.noise_reduction_strength
    return body


def _transcription(config: SessionConfig) -> dict[str, Any]:
    body: dict[str, Any] = {"model": config.transcription_model}
    if config.language:
        body["language"] = config.language
    able = realtime_models.transcription(config.transcription_model)
    if config.keywords and able.keywords:
        body["keywords"] = list(config.keywords)
    if config.transcription_prompt and able.prompt:
        body["prompt"] = config.transcription_prompt
    return body


def transcription_update(config: SessionConfig, *, event_id: str = SESSION_UPDATE_ID) -> str:
    """Of a session that only writes down what it hears: it answers nobody, so nothing is said of answers."""
    audio_format: dict[str, Any] = {"type": config.audio_format}
    if config.audio_format == "audio/pcm":
        audio_format["rate"] = 24_000
    audio_in: dict[str, Any] = {
        "format": audio_format,
        "transcription": _transcription(config),
        "turn_detection": {
            "type": "server_vad",
            "threshold": config.vad_threshold,
            "prefix_padding_ms": config.prefix_padding_ms,
            "silence_duration_ms": config.silence_duration_ms,
        },
    }
    if config.noise_reduction:
        audio_in["noise_reduction"] = _noise_reduction(config)
    session = {"type": "transcription", "audio": {"input": audio_in}}
    return _frame({"type": "session.update", "event_id": event_id, "session": session})


def session_update(config: SessionConfig, *, event_id: str = SESSION_UPDATE_ID) -> str:
    return _frame({"type": "session.update", "event_id": event_id, "session": session_body(config)})


def mismatch(config: SessionConfig, ready: ModelReady) -> str | None:
    """What the effective configuration has other than we asked, or None.

    A server that does not say its formats is believed. With a wrong format the caller would hear noise.
    """
    for name, actual in (("input", ready.input_format), ("output", ready.output_format)):
        if actual and actual != config.audio_format:
            return f"{name} audio format is {actual[:40]}, not {config.audio_format}"
    return None


def append_audio(command: AppendAudio) -> str:
    """The payload must be checked base64 (it is not escaped)."""
    return f'{{"type":"input_audio_buffer.append","audio":"{command.payload}"}}'


def commit_audio(command: CommitAudio) -> str:
    return _frame({"type": "input_audio_buffer.commit", "event_id": command.event_id})


def create_response(command: CreateResponse) -> str:
    """The metadata comes back in `response.created` and `response.done`."""
    response: dict[str, Any] = {"metadata": {"purpose": command.purpose, "event_id": command.event_id}}
    if command.instructions is not None:
        response["instructions"] = command.instructions
    if command.tool_choice is not None:
        response["tool_choice"] = command.tool_choice
    return _frame({"type": "response.create", "event_id": command.event_id, "response": response})


def cancel_response(command: CancelResponse) -> str:
    return _frame(
        {"type": "response.cancel", "event_id": command.event_id, "response_id": command.response_id}
    )


def truncate_item(command: TruncateItem) -> str:
    return _frame(
        {
            "type": "conversation.item.truncate",
            "event_id": command.event_id,
            "item_id": command.item_id,
            "content_index": command.content_index,
            "audio_end_ms": command.audio_end_ms,
        }
    )


def tool_output(command: SendToolOutput) -> str:
    item = {"type": "function_call_output", "call_id": command.call_id, "output": command.output}
    return _frame({"type": "conversation.item.create", "event_id": command.event_id, "item": item})


def insert_text(command: InsertText) -> str:
    return _frame(
        {
            "type": "conversation.item.create",
            "event_id": command.event_id,
            "item": _message(command.role, command.text, f"{OWN_ITEM_PREFIX}{command.event_id}"),
        }
    )


def history_items(history: list[tuple[Literal["caller", "agent"], str]], *, attempt: int) -> list[str]:
    """What was said so far, for a new session: the caller as user, the agent with what was heard of it."""
    return [
        _frame(
            {
                "type": "conversation.item.create",
                "event_id": f"hist{attempt}_{index}",
                "item": _message(
                    "user" if speaker == "caller" else "assistant",
                    text,
                    f"{OWN_ITEM_PREFIX}h{attempt}_{index}",
                ),
            }
        )
        for index, (speaker, text) in enumerate(history)
    ]


def _message(role: Literal["system", "user", "assistant"], text: str, item_id: str) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {
        "type": "message",
        "id": item_id[:32],
        "role": role,
        "content": [{"type": kind, "text": text}],
    }


def _frame(message: dict[str, Any]) -> str:
    try:
        return orjson.dumps(message).decode()
    except TypeError:  # a lone surrogate or a huge number in somebody's text: escaped instead of refused
        return json.dumps(message)
