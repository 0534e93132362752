"""Making text from outside fit for the database.

PostgreSQL's text and jsonb take neither NUL nor half of a surrogate pair, and both can arrive in the
JSON of a model or of a client.
"""

from typing import Any

_MAX_DEPTH = 32


def text(value: str) -> str:
    """`value` without NUL; lone surrogates become U+FFFD."""
    return value.replace("\x00", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def json_value(value: Any, _depth: int = 0) -> Any:
    """A JSON value that jsonb takes: cleaned texts, no NaN or infinity, at most 32 levels."""
    if _depth >= _MAX_DEPTH:
        return None
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None  # noqa: PLR0124 - NaN
    if isinstance(value, dict):
        return {text(str(key)): json_value(item, _depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(item, _depth + 1) for item in value]
    return value
