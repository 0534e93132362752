"""OpenAI Realtime (GA), server side events: one text frame in, one event of the machine out.

Source: the vendor's OpenAPI document and guides (docs/architecture.md names the version). `parse` never
raises: malformed JSON and a missing *necessary* field are a :class:`BadMessage`; an unknown type is an
:class:`UnknownEvent`; a known type that tells the machine nothing is None. Optional fields may be absent,
legacy names are tolerated. What we send is in :mod:`voice.wire.openai_commands`.
"""

from collections.abc import Callable
from typing import Any, Final

import orjson

from voice.session import events as ev
from voice.wire import g711

ServerEvent = ev.ModelEvent | ev.UnknownEvent | ev.BadMessage

_Fields = dict[str, Any]


class ServerEvents:
    """Parser of one connection; knows only how many bytes of its audio are a millisecond."""

    __slots__ = ("_bytes_per_ms",)

    def __init__(self, bytes_per_ms: int = g711.BYTES_PER_MS) -> None:
        self._bytes_per_ms = bytes_per_ms

    def parse(self, frame: str | bytes) -> ServerEvent | None:
        """The event of one frame; None if there is nothing to tell."""
        try:
            message = orjson.loads(frame)
        except ValueError:  # also depth, huge numbers, NaN and lone surrogates
            return ev.BadMessage("model", "json")
        if not isinstance(message, dict):
            return ev.BadMessage("model", "shape")
        kind = message.get("type")
        if not isinstance(kind, str):
            return ev.BadMessage("model", "shape")
        if kind in _AUDIO_DELTA:
            return self._audio_delta(message)
        read = _READERS.get(kind)
        if read is not None:
            return read(message)
        return None if kind in _SILENT else ev.UnknownEvent("model", kind[:80])

    def _audio_delta(self, m: _Fields) -> ServerEvent:
        payload, item_id = m.get("delta"), m.get("item_id")
        if not isinstance(payload, str) or not isinstance(item_id, str):
            return _MISSING
        if not g711.is_base64(payload):
            return ev.BadMessage("model", "audio")
        ms = g711.base64_bytes(payload) / self._bytes_per_ms
        return ev.AudioDelta(_text(m, "response_id"), item_id, _index(m), payload, ms)


_MISSING: Final = ev.BadMessage("model", "missing-field")
_AUDIO_DELTA: Final = frozenset({"response.output_audio.delta", "response.audio.delta"})


# --- reading fields: the wrong type counts as absent ----------------------------------------------


def _text(m: _Fields, key: str) -> str:
    value = m.get(key)
    return value if isinstance(value, str) else ""


def _text_or_none(m: _Fields, key: str) -> str | None:
    value = m.get(key)
    return value if isinstance(value, str) and value else None


def _number(m: _Fields, key: str) -> float | None:
    value = m.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _ms(m: _Fields, key: str) -> int:
    return int(_number(m, key) or 0)


def _index(m: _Fields) -> int:
    value = m.get("content_index")
    return value if isinstance(value, int) and 0 <= value < 1000 else 0


def _object(m: _Fields, key: str) -> _Fields:
    value = m.get(key)
    return value if isinstance(value, dict) else {}


def _metadata(m: _Fields) -> dict[str, str]:
    return {k: v for k, v in _object(m, "metadata").items() if isinstance(v, str)}


# --- one reader a type ----------------------------------------------------------------------------


def _session_updated(m: _Fields) -> ServerEvent:
    session = _object(m, "session")
    audio = _object(session, "audio")
    return ev.ModelReady(
        session_id=_text(session, "id"),
        expires_at=_number(session, "expires_at"),
        input_format=_text(_object(_object(audio, "input"), "format"), "type"),
        output_format=_text(_object(_object(audio, "output"), "format"), "type"),
    )


def _speech_started(m: _Fields) -> ServerEvent:
    return ev.SpeechStarted(_text(m, "item_id"), _ms(m, "audio_start_ms"))


def _speech_stopped(m: _Fields) -> ServerEvent:
    return ev.SpeechStopped(_text(m, "item_id"), _ms(m, "audio_end_ms"))


def _committed(m: _Fields) -> ServerEvent:
    item_id = _text(m, "item_id")
    return ev.InputCommitted(item_id, _text_or_none(m, "previous_item_id")) if item_id else _MISSING


def _timeout(m: _Fields) -> ServerEvent:
    return ev.IdleTimeout(_text(m, "item_id"))


def _item_added(m: _Fields) -> ServerEvent:
    item = _object(m, "item")
    item_id = _text(item, "id")
    if not item_id:
        return _MISSING
    return ev.ItemAdded(
        item_id, _text_or_none(m, "previous_item_id"), _text(item, "type"), _text_or_none(item, "role")
    )


def _output_item_done(m: _Fields) -> ServerEvent | None:
    return _tool_call(_object(m, "item"), _text(m, "response_id"))


def _tool_call(item: _Fields, response_id: str) -> ev.ToolCalled | None:
    """A completed call only: a cancelled response leaves `incomplete` ones with half an argument text."""
    if item.get("type") != "function_call" or item.get("status", "completed") != "completed":
        return None
    call_id = _text(item, "call_id")
    if not call_id:
        return None
    name, arguments = _text(item, "name"), _text(item, "arguments")
    return ev.ToolCalled(response_id, _text(item, "id"), call_id, name, arguments)


def _response_created(m: _Fields) -> ServerEvent:
    response = _object(m, "response")
    response_id = _text(response, "id")
    return ev.ResponseCreated(response_id, _metadata(response)) if response_id else _MISSING


def _response_done(m: _Fields) -> ServerEvent:
    response = _object(m, "response")
    response_id = _text(response, "id")
    if not response_id:
        return _MISSING
    details = _object(response, "status_details")
    error = _object(details, "error")
    output = response.get("output")
    items = output if isinstance(output, list) else []
    calls = [_tool_call(item, response_id) for item in items if isinstance(item, dict)]
    usage = response.get("usage")
    return ev.ResponseDone(
        response_id,
        status=_text(response, "status") or "completed",
        reason=_text_or_none(details, "reason"),
        error_code=_text_or_none(error, "code") or _text_or_none(error, "type"),
        usage=usage if isinstance(usage, dict) else None,
        metadata=_metadata(response),
        tool_calls=[call for call in calls if call is not None],
    )


def _audio_done(m: _Fields) -> ServerEvent:
    item_id = _text(m, "item_id")
    return ev.AudioDone(_text(m, "response_id"), item_id, _index(m)) if item_id else _MISSING


def _agent_text_delta(m: _Fields) -> ServerEvent:
    item_id = _text(m, "item_id")
    if not item_id:
        return _MISSING
    return ev.AgentTextDelta(_text(m, "response_id"), item_id, _index(m), _text(m, "delta"))


def _agent_text_done(m: _Fields) -> ServerEvent:
    item_id = _text(m, "item_id")
    if not item_id:
        return _MISSING
    text = _text(m, "transcript") or _text(m, "text")
    return ev.AgentTextDone(_text(m, "response_id"), item_id, _index(m), text)


def _caller_text_delta(m: _Fields) -> ServerEvent:
    item_id = _text(m, "item_id")
    return ev.CallerTextDelta(item_id, _text(m, "delta")) if item_id else _MISSING


def _caller_text_done(m: _Fields) -> ServerEvent:
    item_id = _text(m, "item_id")
    return ev.CallerTextDone(item_id, _text(m, "transcript")) if item_id else _MISSING


def _caller_text_failed(m: _Fields) -> ServerEvent:
    item_id = _text(m, "item_id")
    error = _object(m, "error")
    return ev.CallerTextFailed(item_id, _text(error, "code") or _text(error, "type")) if item_id else _MISSING


def _error(m: _Fields) -> ServerEvent:
    error = _object(m, "error")
    return ev.ModelError(
        code=_text(error, "code"),
        message=_text(error, "message"),
        param=_text_or_none(error, "param"),
        client_event_id=_text_or_none(error, "event_id"),
        type=_text(error, "type"),
    )


_READERS: Final[dict[str, Callable[[_Fields], ServerEvent | None]]] = {
    "session.updated": _session_updated,
    "input_audio_buffer.speech_started": _speech_started,
    "input_audio_buffer.speech_stopped": _speech_stopped,
    "input_audio_buffer.committed": _committed,
    "input_audio_buffer.timeout_triggered": _timeout,
    "conversation.item.added": _item_added,
    "conversation.item.created": _item_added,  # the name before GA
    "response.created": _response_created,
    "response.done": _response_done,
    "response.output_item.done": _output_item_done,
    "response.output_audio.done": _audio_done,
    "response.audio.done": _audio_done,
    "response.output_audio_transcript.delta": _agent_text_delta,
    "response.output_audio_transcript.done": _agent_text_done,
    "response.audio_transcript.delta": _agent_text_delta,
    "response.audio_transcript.done": _agent_text_done,
    "response.output_text.delta": _agent_text_delta,
    "response.output_text.done": _agent_text_done,
    "response.text.delta": _agent_text_delta,
    "response.text.done": _agent_text_done,
    "conversation.item.input_audio_transcription.delta": _caller_text_delta,
    "conversation.item.input_audio_transcription.completed": _caller_text_done,
    "conversation.item.input_audio_transcription.failed": _caller_text_failed,
    "error": _error,
}

_SILENT: Final = frozenset(
    {
        "session.created",
        "conversation.created",
        "conversation.item.done",
        "conversation.item.deleted",
        "conversation.item.retrieved",
        "conversation.item.truncated",
        "conversation.item.input_audio_transcription.segment",
        "input_audio_buffer.cleared",
        "input_audio_buffer.dtmf_event_received",
        "output_audio_buffer.started",
        "output_audio_buffer.stopped",
        "output_audio_buffer.cleared",
        "response.output_item.added",
        "response.content_part.added",
        "response.content_part.done",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_call.in_progress",
        "response.mcp_call.completed",
        "response.mcp_call.failed",
        "mcp_list_tools.in_progress",
        "mcp_list_tools.completed",
        "mcp_list_tools.failed",
        "rate_limits.updated",
    }
)
"""Known, and nothing that a call has to do."""
