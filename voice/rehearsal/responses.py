"""`POST /v1/responses` of the offline server: answers the verdict request from the rubric.

Strict like the service: unknown keys, wrong types and schemas that are not strict are refused (400). The
answer is a complete Response object; its model name and metadata say that no language model was at work.
"""

import re
import time
from typing import cast

import orjson
import structlog
from aiohttp import web

from tenex.lib.clock import Clock
from voice.rehearsal import rubric
from voice.rehearsal.http_api import check_key, json_response
from voice.rehearsal.model import shapes
from voice.rehearsal.model.faults import Fault, Faults
from voice.rehearsal.model.items import new_id, text_tokens
from voice.rehearsal.model.options import Options
from voice.rehearsal.model.shapes import Json, Refusal
from voice.rehearsal.structured import check_strict, fit

log = structlog.get_logger(__name__)

_KNOWN = frozenset(
    re.findall(
        r"\w+",
        """access_programs background background_options context_management conversation image include input
        instructions max_output_tokens max_tool_calls metadata model moderation parallel_tool_calls
        previous_response_id prompt prompt_cache_key prompt_cache_options prompt_cache_retention reasoning
        safety_identifier service_tier store stream stream_options temperature text tool_choice tools
        top_logprobs top_p truncation user""",
    )
)
_CHECKS: dict[str, shapes.Check] = {
    "model": shapes.string(min_length=1),
    "instructions": shapes.nullable(shapes.string()),
    "metadata": shapes.nullable(shapes.METADATA),
    "max_output_tokens": shapes.nullable(shapes.number(16, 1_000_000, whole=True)),
    "temperature": shapes.nullable(shapes.number(0, 2)),
    "top_p": shapes.nullable(shapes.number(0, 1)),
    "store": shapes.nullable(shapes.boolean),
    "stream": shapes.nullable(shapes.boolean),
    "background": shapes.nullable(shapes.boolean),
    "parallel_tool_calls": shapes.nullable(shapes.boolean),
    "safety_identifier": shapes.string(max_length=64),
    "truncation": shapes.nullable(shapes.choice("auto", "disabled")),
    "text": shapes.record(
        {
            "format": shapes.tagged(
                {
                    "text": shapes.record({"type": shapes.anything}),
                    "json_object": shapes.record({"type": shapes.anything}),
                    "json_schema": shapes.record(
                        {
                            "type": shapes.anything,
                            "name": shapes.string(max_length=64, min_length=1),
                            "schema": shapes.anything,
                            "strict": shapes.nullable(shapes.boolean),
                            "description": shapes.string(),
                        },
                        required=["name", "schema"],
                    ),
                }
            ),
            "verbosity": shapes.nullable(shapes.choice("low", "medium", "high")),
        }
    ),
}
_NOT_OFFERED = ("stream", "background", "tools", "conversation", "previous_response_id", "prompt")

_OPTIONS = web.AppKey("responses_options", Options)
_FAULTS = web.AppKey("responses_faults", Faults)
_CLOCK = web.AppKey("responses_clock", Clock)
REQUESTS = web.AppKey("responses_requests", list[dict[str, Json]])
"""Every body that was accepted, newest last (bounded)."""


def add_routes(app: web.Application, *, options: Options, faults: Faults, clock: Clock) -> None:
    app[_OPTIONS], app[_FAULTS], app[_CLOCK], app[REQUESTS] = options, faults, clock, []
    app.router.add_post("/v1/responses", create)


async def create(request: web.Request) -> web.Response:
    """One response, not streamed."""
    check_key(request, request.app[_OPTIONS])
    body = await _body(request)
    faults = request.app[_FAULTS]
    if (armed := faults.take(Fault.VERDICT_SLOW)) is not None:
        await request.app[_CLOCK].sleep(armed.seconds)
    if (armed := faults.take(Fault.VERDICT_STATUS)) is not None:
        return _http_fault(armed.status)
    known = request.app[REQUESTS]
    known.append(body)
    del known[:-200]
    if faults.take(Fault.VERDICT_REFUSAL) is not None:
        refusal = "I'm sorry, but I can't help with that."
        return json_response(_response(body, {"type": "refusal", "refusal": refusal}, refusal))
    text = _answer(body)
    if faults.take(Fault.VERDICT_MALFORMED) is not None:
        text = text[: max(1, len(text) // 2)]
    content: dict[str, Json] = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return json_response(_response(body, content, text))


async def _body(request: web.Request) -> dict[str, Json]:
    """The checked body.

    Raises:
        Refusal: 400 with the path of the first wrong key.
    """
    try:
        value: Json = orjson.loads(await request.read())
    except orjson.JSONDecodeError as exc:
        raise Refusal("We could not parse the JSON body of your request.", code="invalid_json") from exc
    if not isinstance(value, dict):
        raise Refusal("The body must be a JSON object.", code="invalid_json")
    for name, member in value.items():
        if name not in _KNOWN:
            raise shapes.unknown(name)
        if name in _CHECKS:
            _CHECKS[name](member, name)
        if name in _NOT_OFFERED and member:
            raise Refusal(
                f"Unsupported parameter: '{name}' is not part of the offline server.",
                code="unsupported_parameter",
                param=name,
            )
    for name in ("model", "input"):
        if name not in value:
            raise shapes.missing(name)
    _check_input(value["input"])
    schema = _schema(value)
    if schema is not None:
        check_strict(schema)
    return value


_part = shapes.tagged(
    {
        kind: shapes.record({"type": shapes.anything, "text": shapes.string()}, required=["text"])
        for kind in ("input_text", "output_text")
    }
)
_message = shapes.record(
    {
        "type": shapes.choice("message"),
        "role": shapes.choice("user", "assistant", "system", "developer"),
        "content": lambda value, path: None if isinstance(value, str) else shapes.array(_part)(value, path),
        "id": shapes.string(),
        "status": shapes.string(),
        "phase": shapes.nullable(shapes.string()),
    },
    required=["role", "content"],
)


def _check_input(value: Json) -> None:
    if not isinstance(value, str):
        shapes.array(_message)(value, "input")


def _schema(body: dict[str, Json]) -> dict[str, Json] | None:
    wanted = cast(dict[str, dict[str, Json]], body.get("text") or {}).get("format") or {}
    return cast("dict[str, Json] | None", wanted.get("schema"))


def _http_fault(status: int) -> web.Response:
    if status == 429:
        body = Refusal("Rate limit reached.", code="rate_limit_exceeded", error_type="requests")
    else:
        body = Refusal("The server had an error.", code="server_error", error_type="server_error")
    return json_response({"error": body.body()}, status=status)


# --- the answer ---------------------------------------------------------------------------------------


def _answer(body: dict[str, Json]) -> str:
    case = _case(body)
    verdict = rubric.judge(case)
    schema = _schema(body)
    if schema is None:
        return str(verdict["summary"])
    return orjson.dumps(fit(schema, verdict)).decode()


def _texts(value: Json) -> list[str]:
    """The user's texts of `input`, in order."""
    if isinstance(value, str):
        return [value]
    found = []
    for message in cast("list[dict[str, Json]]", value):
        content = message["content"]
        if message["role"] != "user":
            continue
        parts = (
            [content]
            if isinstance(content, str)
            else [part["text"] for part in cast("list[dict[str, Json]]", content)]
        )
        found += [cast(str, part) for part in parts]
    return found


def _case(body: dict[str, Json]) -> dict[str, Json]:
    """The JSON object with a transcript that some user message holds, bare or inside other text."""
    for text in _texts(body["input"]):
        start = text.find("{")
        end = text.rfind("}")
        if start < 0 or end < start:
            continue
        try:
            value = orjson.loads(text[start : end + 1])
        except orjson.JSONDecodeError:
            continue
        if isinstance(value, dict) and "transcript" in value:
            return cast(dict[str, Json], value)
    log.warning(
        "no case in the verdict request: a JSON object with 'transcript' is expected in a user message"
    )
    return {}


def _response(body: dict[str, Json], content: dict[str, Json], text: str) -> dict[str, Json]:
    read = text_tokens(orjson.dumps(body["input"]).decode()) + text_tokens(
        str(body.get("instructions") or "")
    )
    written = text_tokens(text)
    now = int(time.time())
    message: Json = {
        "id": new_id("msg"),
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [content],
    }
    metadata = cast("dict[str, Json] | None", body.get("metadata")) or {}
    return {
        "id": new_id("resp"),
        "object": "response",
        "created_at": now,
        "completed_at": now,
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": None,
        "model": f"{body['model']}-{rubric.LABEL}",
        "output": [message],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": body.get("safety_identifier"),
        "service_tier": "default",
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": body.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": {
            "input_tokens": read,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": read + written,
        },
        "user": None,
        "metadata": {**metadata, "engine": rubric.LABEL},
    }
