"""One call of a tool, without the SDK: scope, arguments, service, answer or error.

The steps are those of a REST request, out of the same parts, so that both doors refuse alike. Texts of other
people are fenced: a line says that they are data, and inside the fence no text can look like its end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from rest_framework.exceptions import PermissionDenied

from tenex.mcp.registry import NOTICE, Tool
from tenex.rest import errors
from tenex.rest.renderers import dumps
from tenex.workspaces.principal import Principal

FENCE = "untrusted-data"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`data`: the tool's answer as plain JSON, or `code` and `detail` of an error. `text`: for the model."""

    data: dict[str, Any]
    text: str
    failed: bool = False


def call(tool: Tool, principal: Principal, arguments: Mapping[str, Any]) -> Outcome:
    """Carry out one call. Blocking; never raises."""
    try:
        if tool.scope is not None and not principal.allows(tool.scope):
            raise PermissionDenied(f"this credential lacks the scope {tool.scope}")
        form = tool.arguments(data=dict(arguments))
        form.is_valid(raise_exception=True)
        answer = tool.run(principal, form.validated_data)
    except Exception as exc:  # the top of a request: any exception becomes an answer
        return failure(exc)
    data: dict[str, Any] = orjson.loads(dumps(answer))
    text = _harmless(dumps(answer))
    if tool.untrusted:
        return Outcome({"notice": NOTICE, **data}, f"{NOTICE}\n<{FENCE}>\n{text}\n</{FENCE}>")
    return Outcome(data, text)


def failure(exc: Exception) -> Outcome:
    """What REST answers to the exception, with `code` and `detail` in every case."""
    response = errors.exception_handler(exc, {})
    data: dict[str, Any] = orjson.loads(dumps(response.data))
    if response.status_code == 429:
        data = {"detail": data["message"], "code": data["error"]}
    elif "code" not in data:
        data["code"] = "invalid_input"
    return Outcome(data, _harmless(dumps(data)), failed=True)


def _harmless(raw: bytes) -> str:
    """JSON in which no text can look like markup, the end of the fence for instance."""
    return raw.decode().replace("<", "\\u003c").replace(">", "\\u003e")
