"""Which keys and values a session may have (openai_realtime.md 2, 3, 7, 8)."""

from typing import cast

from voice.rehearsal.model import hosted_mcp, shapes
from voice.rehearsal.model.shapes import Check, Json, Refusal

VOICES = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
KEYWORD_TRANSCRIBERS = ("gpt-transcribe", "gpt-live-transcribe")
MANUAL_TRANSCRIBERS = ("gpt-live-transcribe", "gpt-realtime-whisper")
"""In transcription sessions they take no turn detection: the client commits."""
TRANSCRIBERS = (
    *KEYWORD_TRANSCRIBERS,
    "gpt-realtime-whisper",
    "whisper-1",
    "gpt-4o-mini-transcribe",
    "gpt-4o-mini-transcribe-2025-12-15",
    "gpt-4o-transcribe",
    "gpt-4o-transcribe-diarize",
)

_pcm = shapes.record(
    {"type": shapes.anything, "rate": shapes.number(24000, 24000, whole=True)}, required=["type", "rate"]
)
_g711 = shapes.record({"type": shapes.anything})
_format = shapes.tagged({"audio/pcm": _pcm, "audio/pcmu": _g711, "audio/pcma": _g711})

_server_vad = shapes.record(
    {
        "type": shapes.anything,
        "threshold": shapes.number(0.0, 1.0),
        "prefix_padding_ms": shapes.number(0, 10_000, whole=True),
        "silence_duration_ms": shapes.number(0, 60_000, whole=True),
        "idle_timeout_ms": shapes.nullable(shapes.number(5_000, 30_000, whole=True)),
        "create_response": shapes.boolean,
        "interrupt_response": shapes.boolean,
    }
)
_semantic_vad = shapes.record(
    {
        "type": shapes.anything,
        "eagerness": shapes.choice("low", "medium", "high", "auto"),
        "create_response": shapes.boolean,
        "interrupt_response": shapes.boolean,
    }
)
_transcription = shapes.record(
    {
        "model": shapes.choice(*TRANSCRIBERS),
        "language": shapes.string(),
        "languages": shapes.array(shapes.string()),
        "prompt": shapes.string(),
        "keywords": shapes.array(shapes.string()),
        "delay": shapes.choice("minimal", "low", "medium", "high", "xhigh"),
    },
    required=["model"],
)
_noise_reduction = shapes.record(
    {"type": shapes.choice("near_field", "far_field"), "strength": shapes.number(0.0, 1.0)}, required=["type"]
)


def _voice(value: Json, path: str) -> None:
    shapes.either_string(VOICES, shapes.record({"id": shapes.string(min_length=1)}, required=["id"]))(
        value, path
    )


def _max_output_tokens(value: Json, path: str) -> None:
    shapes.either_string(("inf",), shapes.number(1, 4096, whole=True))(value, path)


def _output_modalities(value: Json, path: str) -> None:
    shapes.array(shapes.choice("text", "audio"))(value, path)
    if value not in (["audio"], ["text"]):
        raise Refusal(
            f"Invalid modalities: {value!r}. Supported combinations are: ['text'] and ['audio'].", param=path
        )


def _function_parameters(value: Json, path: str) -> None:
    if not isinstance(value, dict):
        raise shapes.wrong_type(path, "an object", value)
    if value and value.get("type", "object") != "object":
        raise Refusal(
            f"Invalid schema for '{path}': schema must be a JSON Schema of 'type: \"object\"'.",
            code="invalid_function_parameters",
            param=path,
        )


_function_tool = shapes.record(
    {
        "type": shapes.anything,
        "name": shapes.string(max_length=64, min_length=1),
        "description": shapes.string(),
        "parameters": _function_parameters,
    },
    required=["name"],
)


def check_tools(value: Json, path: str) -> None:
    """Flat function tools (no nested `function`, no `strict`) and hosted MCP tools; names are unique."""
    shapes.array(shapes.tagged({"function": _function_tool, "mcp": hosted_mcp.tool}), max_length=128)(
        value, path
    )
    seen: set[Json] = set()
    for tool in cast(list[dict[str, Json]], value):
        name = tool.get("name") or tool.get("server_label")
        if name in seen:
            raise Refusal(f"Duplicate tool '{name}' in '{path}'.", param=path)
        seen.add(name)


def check_tool_choice(value: Json, path: str) -> None:
    named = shapes.tagged(
        {
            "function": shapes.record({"type": shapes.anything, "name": shapes.string()}, required=["name"]),
            "mcp": shapes.record(
                {
                    "type": shapes.anything,
                    "server_label": shapes.string(),
                    "name": shapes.nullable(shapes.string()),
                },
                required=["server_label"],
            ),
        }
    )
    shapes.either_string(("none", "auto", "required"), named)(value, path)


_prompt = shapes.record(
    {"id": shapes.string(), "version": shapes.nullable(shapes.string()), "variables": shapes.anything},
    required=["id"],
)
_tracing = shapes.either_string(
    ("auto",),
    shapes.record(
        {"workflow_name": shapes.string(), "group_id": shapes.string(), "metadata": shapes.anything},
    ),
)
_truncation = shapes.either_string(
    ("auto", "disabled"),
    shapes.tagged(
        {
            "retention_ratio": shapes.record(
                {
                    "type": shapes.anything,
                    "retention_ratio": shapes.number(0.0, 1.0),
                    "token_limits": shapes.record(
                        {"post_instructions": shapes.number(0, 128_000, whole=True)}
                    ),
                },
                required=["retention_ratio"],
            )
        }
    ),
)
_reasoning = shapes.record({"effort": shapes.choice("minimal", "low", "medium", "high", "xhigh")})

SHARED: dict[str, Check] = {
    "instructions": shapes.string(),
    "output_modalities": _output_modalities,
    "tools": check_tools,
    "tool_choice": check_tool_choice,
    "parallel_tool_calls": shapes.boolean,
    "reasoning": _reasoning,
    "max_output_tokens": _max_output_tokens,
    "prompt": shapes.nullable(_prompt),
}
"""Fields that a session and a single response have in common."""

OUTPUT_OF_RESPONSE = shapes.record({"output": shapes.record({"format": _format, "voice": _voice})})

SESSION = shapes.record(
    {
        **SHARED,
        "type": shapes.choice("realtime", "transcription"),
        "model": shapes.string(),
        "audio": shapes.record(
            {
                "input": shapes.record(
                    {
                        "format": _format,
                        "noise_reduction": shapes.nullable(_noise_reduction),
                        "transcription": shapes.nullable(_transcription),
                        "turn_detection": shapes.nullable(
                            shapes.tagged({"server_vad": _server_vad, "semantic_vad": _semantic_vad})
                        ),
                    }
                ),
                "output": shapes.record(
                    {"format": _format, "voice": _voice, "speed": shapes.number(0.25, 1.5)}
                ),
            }
        ),
        "truncation": _truncation,
        "tracing": shapes.nullable(_tracing),
        "include": shapes.nullable(shapes.array(shapes.choice("item.input_audio_transcription.logprobs"))),
    },
    required=["type"],
)


_turns_alone = {
    "server_vad": shapes.record(
        {
            "type": shapes.anything,
            "threshold": shapes.number(0.0, 1.0),
            "prefix_padding_ms": shapes.number(0, 10_000, whole=True),
            "silence_duration_ms": shapes.number(0, 60_000, whole=True),
        }
    ),
    "semantic_vad": shapes.record(
        {"type": shapes.anything, "eagerness": shapes.choice("low", "medium", "high", "auto")}
    ),
}
TRANSCRIPTION_SESSION = shapes.record(
    {
        "type": shapes.choice("realtime", "transcription"),
        "audio": shapes.record(
            {
                "input": shapes.record(
                    {
                        "format": _format,
                        "noise_reduction": shapes.nullable(_noise_reduction),
                        "transcription": shapes.nullable(_transcription),
                        "turn_detection": shapes.nullable(shapes.tagged(_turns_alone)),
                    }
                )
            }
        ),
        "include": shapes.nullable(shapes.array(shapes.choice("item.input_audio_transcription.logprobs"))),
    },
    required=["type"],
)
"""Nobody answers in it, so nothing about answers may be said."""


def reasons(model: str) -> bool:
    """Does this model take `reasoning` and `parallel_tool_calls`? (gpt-realtime-2 and later.)"""
    return model.startswith("gpt-realtime-2") and not model.startswith("gpt-realtime-20")


def check_model_options(value: dict[str, Json], model: str, path: str) -> None:
    """Refuses the options of reasoning models on other models.

    Raises:
        Refusal: `unsupported_parameter`.
    """
    for name in ("reasoning", "parallel_tool_calls"):
        if name in value and not reasons(model):
            raise Refusal(
                f"Unsupported parameter: '{path}.{name}' is not supported with the model '{model}'.",
                code="unsupported_parameter",
                param=f"{path}.{name}",
            )


def check_transcription(wanted: dict[str, Json]) -> None:
    model = wanted["model"]
    path = "session.audio.input.transcription"
    refused: list[str] = [
        name for name in ("keywords", "languages") if name in wanted and model not in KEYWORD_TRANSCRIBERS
    ]
    if "delay" in wanted and model != "gpt-realtime-whisper":
        refused.append("delay")
    if "prompt" in wanted and model == "gpt-realtime-whisper":
        refused.append("prompt")
    if refused:
        raise Refusal(
            f"Unsupported parameter: '{path}.{refused[0]}' is not supported with the model '{model}'.",
            code="unsupported_parameter",
            param=f"{path}.{refused[0]}",
        )
