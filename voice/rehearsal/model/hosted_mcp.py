"""Hosted MCP tools in a session (openai_realtime.md 10): which of them the service takes.

The offline model calls none of them: it only refuses what is wrong about them.
"""

from ipaddress import ip_address
from typing import cast
from urllib.parse import urlsplit

from voice.rehearsal.model import shapes
from voice.rehearsal.model.shapes import Json, Refusal

_names = shapes.array(shapes.string(min_length=1))
_filter = shapes.record({"tool_names": _names, "read_only": shapes.boolean})
_SHAPE = shapes.record(
    {
        "type": shapes.anything,
        "server_label": shapes.string(min_length=1),
        "server_url": shapes.string(),
        "connector_id": shapes.string(),
        "tunnel_id": shapes.string(),
        "authorization": shapes.string(),
        "headers": shapes.nullable(shapes.anything),
        "allowed_tools": shapes.anything,
        "require_approval": shapes.either_string(
            ("always", "never"), shapes.record({"always": _filter, "never": _filter})
        ),
        "server_description": shapes.string(),
        "defer_loading": shapes.boolean,
        "allowed_callers": shapes.anything,
    },
    required=["server_label"],
)
_TARGETS = ("server_url", "connector_id", "tunnel_id")


def tool(value: Json, path: str) -> None:
    """One target; a server that can be reached over https; one place for the credentials."""
    _SHAPE(value, path)
    given = cast(dict[str, Json], value)
    allowed = given.get("allowed_tools")
    if allowed is not None:
        (_names if isinstance(allowed, list) else _filter)(allowed, f"{path}.allowed_tools")
    if sum(key in given for key in _TARGETS) != 1:
        raise Refusal(
            f"Invalid '{path}': exactly one of 'server_url', 'connector_id' and 'tunnel_id' is needed.",
            param=path,
        )
    if "server_url" in given:
        _check_url(cast(str, given["server_url"]), f"{path}.server_url")
    headers = given.get("headers")
    if headers is not None and not isinstance(headers, dict):
        raise shapes.wrong_type(f"{path}.headers", "an object", headers)
    if "authorization" in given and any(name.lower() == "authorization" for name in headers or {}):
        raise Refusal(
            f"Invalid '{path}': give either 'authorization' or an 'Authorization' header, not both.",
            param=f"{path}.authorization",
        )


def _check_url(url: str, path: str) -> None:
    """https and public, as far as the address tells; names are not looked up."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme != "https" or not host:
        raise Refusal(f"Invalid '{path}': the server must be reachable over https.", param=path)
    try:
        public = ip_address(host).is_global
    except ValueError:
        public = host != "localhost" and not host.endswith((".localhost", ".local", ".internal"))
    if not public:
        raise Refusal(f"Invalid '{path}': the server is private and cannot be reached.", param=path)
