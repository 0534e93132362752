"""The event streams in the OpenAPI document: plain async views, which the generator cannot see."""

from typing import Any

from tenex.webhooks.catalogue import EVENT_TYPES


def _refusal(description: str, schema: str = "ApplicationError") -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content}


_CALL_ID = {"in": "path", "name": "call_id", "required": True, "schema": {"type": "string", "format": "uuid"}}

_LAST_EVENT_ID: list[dict[str, Any]] = [
    {
        "in": "header",
        "name": "Last-Event-ID",
        "schema": {"type": "string"},
        "description": "Number of the last event that was received. A browser sends it by itself.",
    },
    {
        "in": "query",
        "name": "last_event_id",
        "schema": {"type": "string"},
        "description": "The same, for clients that cannot send the header at first.",
    },
]

_FOLLOW: dict[str, Any] = {
    "in": "query",
    "name": "follow",
    "schema": {"type": "boolean", "default": True},
    "description": "`false`: end behind what is there now, for clients that ask from time to time.",
}


def _token(opens: str) -> dict[str, Any]:
    return {"in": "query", "name": "token", "schema": {"type": "string"}, "description": opens}


_STREAM_ERRORS: dict[str, Any] = {
    "401": _refusal("No credential, or one that is not valid."),
    "403": _refusal("The credential lacks a scope (`forbidden_scope`)."),
    "422": _refusal("A parameter is wrong, or the id is none of this stream.", "ValidationErrors"),
    "429": _refusal("More than 1000 requests a minute.", "RateLimitError"),
}

_EVENT: dict[str, Any] = {
    "type": "object",
    "description": "One event of the stream, as clients of the protocol give it.",
    "properties": {
        "event": {"type": "string"},
        "id": {"type": "string"},
        "data": {"type": "string"},
        "retry": {"type": "integer"},
    },
}

CALL: dict[str, Any] = {
    "operationId": "calls_stream",
    "summary": "Follow a call live",
    "description": "Server-sent events: what happened so far, then what happens. `id` is the line's number "
    "in the call's journal; send the last one back as `Last-Event-ID` and nothing is missed or repeated. "
    "`call.ended` tells that the phone call is over; the stream closes when the call is finalized. Browsers: "
    "`token` of `POST …/stream-token` instead of the header.\n\nScope: `calls:read`.",
    "tags": ["Live control"],
    "security": [{"bearer": ["calls:read"]}, {}],
    "parameters": [
        _CALL_ID,
        *_LAST_EVENT_ID,
        {
            "in": "query",
            "name": "snapshot",
            "schema": {"type": "boolean", "default": False},
            "description": "Begin with one event `call.snapshot` (status, turns, words of turns that are "
            "being spoken) in place of all lines so far. Without effect where a `Last-Event-ID` is given.",
        },
        _FOLLOW,
        _token("Opens the stream of this one call without a header."),
    ],
    "responses": {
        "200": {
            "description": "Events. `event` is the line's type, `data` is JSON: `seq`, `type`, `at_ms`, "
            "`data`.",
            "content": {"text/event-stream": {"schema": _EVENT}},
        },
        "204": {"description": "Nothing after that id will ever come: stop reconnecting."},
        "404": _refusal("There is no such call in your workspace."),
        **_STREAM_ERRORS,
    },
}

WORKSPACE: dict[str, Any] = {
    "operationId": "events_stream",
    "summary": "Follow the workspace live",
    "description": "Server-sent events: the events of webhooks, with the same body, as they happen. `id` is "
    "the event's `sequence`; send the last one back as `Last-Event-ID` and nothing is missed or repeated. "
    "Without it the stream begins now, with `stream.opened`. Browsers: `token` of `POST …/stream-token` "
    "instead of the header.\n\nScopes, by the types that are asked for: `batches:read` (`batch.…`), "
    "`leads:read` (`lead.…`), `numbers:read` (`number.…`), `webhooks:read` (`webhook.…`), else `calls:read`; "
    "without `types` all of them.",
    "tags": ["Live control"],
    "security": [{"bearer": ["calls:read"]}, {}],
    "parameters": [
        *_LAST_EVENT_ID,
        {
            "in": "query",
            "name": "types",
            "style": "form",
            "explode": False,
            "schema": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "string", "enum": list(EVENT_TYPES)},
            },
            "description": "Only events of these types, separated by commas. Ids go on as if all were sent.",
        },
        _FOLLOW,
        _token("Opens the stream of one workspace without a header."),
    ],
    "responses": {
        "200": {
            "description": "Events. `event` is the type, `data` is JSON: the body of a webhook.",
            "content": {"text/event-stream": {"schema": _EVENT}},
        },
        "410": _refusal(
            "Events behind that id are not kept any more (`events_expired`). Begin anew "
            "without an id, and read what you missed from the lists."
        ),
        **_STREAM_ERRORS,
    },
}
