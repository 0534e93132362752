"""What a client may send (openai_realtime.md 4): one shape an event type."""

import orjson

from voice.rehearsal.model import session_shapes, shapes
from voice.rehearsal.model.shapes import Check, Json, Refusal

MAX_APPEND_BYTES = 15 * 1024 * 1024
"""Decoded bytes of one `input_audio_buffer.append`."""

_text = shapes.string()
_system_content = shapes.array(
    shapes.tagged({"input_text": shapes.record({"type": _text, "text": _text}, required=["text"])})
)
_user_content = shapes.array(
    shapes.tagged(
        {
            "input_text": shapes.record({"type": _text, "text": _text}, required=["text"]),
            "input_audio": shapes.record(
                {"type": _text, "audio": _text, "transcript": shapes.nullable(_text)}, required=["audio"]
            ),
            "input_image": shapes.record(
                {"type": _text, "image_url": _text, "detail": shapes.choice("auto", "low", "high")},
                required=["image_url"],
            ),
        }
    )
)
_assistant_content = shapes.array(
    shapes.tagged({"output_text": shapes.record({"type": _text, "text": _text}, required=["text"])})
)
_common: dict[str, Check] = {
    "id": shapes.string(min_length=1, max_length=32),
    "object": shapes.choice("realtime.item"),
    "status": shapes.choice("completed", "incomplete", "in_progress"),
    "type": _text,
}


def _message(content: Check, **extra: Check) -> Check:
    fields = {**_common, "role": _text, "content": content, **extra}
    return shapes.record(fields, required=["content"])


_messages = shapes.tagged(
    {
        "system": _message(_system_content),
        "user": _message(_user_content),
        "assistant": _message(_assistant_content, phase=shapes.choice("commentary", "final_answer")),
    },
    tag="role",
)
_created_items: dict[str, Check] = {
    "message": _messages,
    "function_call": shapes.record(
        {**_common, "call_id": _text, "name": _text, "arguments": _text}, required=["name", "arguments"]
    ),
    "function_call_output": shapes.record(
        {**_common, "call_id": _text, "output": _text}, required=["call_id", "output"]
    ),
    "mcp_approval_response": shapes.record(
        {
            **_common,
            "approval_request_id": _text,
            "approve": shapes.boolean,
            "reason": shapes.nullable(_text),
        },
        required=["id", "approval_request_id", "approve"],
    ),
}
ITEM = shapes.tagged(_created_items)
_input_item = shapes.tagged(
    {**_created_items, "item_reference": shapes.record({"type": _text, "id": _text}, required=["id"])}
)

RESPONSE = shapes.record(
    {
        **session_shapes.SHARED,
        "conversation": shapes.choice("auto", "none"),
        "input": shapes.array(_input_item),
        "metadata": shapes.nullable(shapes.METADATA),
        "audio": session_shapes.OUTPUT_OF_RESPONSE,
    }
)

_index = shapes.number(0, 1_000_000, whole=True)
EVENTS: dict[str, tuple[dict[str, Check], tuple[str, ...]]] = {
    # The session itself is checked by SessionConfig.update, which knows what may still change.
    "session.update": ({"session": shapes.anything}, ("session",)),
    "input_audio_buffer.append": ({"audio": _text}, ("audio",)),
    "input_audio_buffer.commit": ({}, ()),
    "input_audio_buffer.clear": ({}, ()),
    "conversation.item.create": ({"item": ITEM, "previous_item_id": shapes.nullable(_text)}, ("item",)),
    "conversation.item.delete": ({"item_id": _text}, ("item_id",)),
    "conversation.item.retrieve": ({"item_id": _text}, ("item_id",)),
    "conversation.item.truncate": (
        {"item_id": _text, "content_index": _index, "audio_end_ms": shapes.number(0, 3_600_000, whole=True)},
        ("item_id", "content_index", "audio_end_ms"),
    ),
    "response.create": ({"response": shapes.nullable(RESPONSE)}, ()),
    "response.cancel": ({"response_id": shapes.nullable(_text)}, ()),
}
_SHAPES: dict[str, Check] = {
    name: shapes.record(
        {**fields, "type": shapes.anything, "event_id": shapes.string(max_length=512)}, required=required
    )
    for name, (fields, required) in EVENTS.items()
}


def parse(raw: str | bytes) -> dict[str, Json]:
    """The client event in one frame.

    Raises:
        Refusal: not JSON, an unknown type, an unknown or wrong field. Its `event_id` stays readable
            through :func:`event_id_of`.
    """
    try:
        value: Json = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise Refusal("The event is not valid JSON.", code="invalid_event") from exc
    if not isinstance(value, dict):
        raise Refusal("An event must be a JSON object.", code="invalid_event")
    kind = value.get("type")
    if kind is None:
        raise Refusal("The 'type' field is missing.", code="invalid_event")
    if kind == "output_audio_buffer.clear":
        raise Refusal(
            "'output_audio_buffer.clear' is only available on WebRTC and SIP connections.",
            code="invalid_event",
        )
    if not isinstance(kind, str) or kind not in _SHAPES:
        allowed = ", ".join(f"'{name}'" for name in EVENTS)
        raise Refusal(
            f"Invalid value: '{kind}'. Supported values are: {allowed}.", code="invalid_event", param="type"
        )
    _SHAPES[kind](value, "")
    return value


def event_id_of(raw: str | bytes) -> str | None:
    """The client's own `event_id`, also of an event that was refused."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    found = value.get("event_id") if isinstance(value, dict) else None
    return found if isinstance(found, str) else None
