"""Making text from outside fit for the database.

PostgreSQL's text and jsonb take neither NUL nor half of a surrogate pair, and both can arrive in the
JSON of a model or of a client.
"""

from math import isfinite
from typing import Any

_MAX_DEPTH = 32
_64_BITS = 2**63


def text(value: str) -> str:
    """`value` without NUL; lone surrogates become U+FFFD."""
    return value.replace("\x00", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def fits_64_bits(value: float) -> bool:
    """Whether a number survives jsonb: that keeps 1e30 as a whole number, which no JSON of ours can carry."""
    return -_64_BITS <= value < _64_BITS


def json_value(value: Any, _depth: int = 0) -> Any:
    """A JSON value that jsonb takes and gives back as it was: cleaned texts, at most 32 levels.

    NaN and infinity become null, numbers outside of 64 bits become texts.
    """
    if _depth >= _MAX_DEPTH:
        return None
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float) and not isfinite(value):
        return None
    if isinstance(value, int | float) and not fits_64_bits(value):
        return str(value)
    if isinstance(value, dict):
        return {text(str(key)): json_value(item, _depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(item, _depth + 1) for item in value]
    return value
