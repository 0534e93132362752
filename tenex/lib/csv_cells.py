"""Writing CSV that a spreadsheet opens as text, not as formulas (OWASP ASVS 5.0, 1.2.10)."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\x00")


def safe(value: Any) -> Any:
    """A cell; a text that would begin a formula gets an apostrophe in front."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def lines(rows: Iterable[Sequence[Any]]) -> bytes:
    """Rows as UTF-8 CSV (RFC 4180), every cell safe."""
    text = io.StringIO()
    csv.writer(text).writerows([safe(value) for value in row] for row in rows)
    return text.getvalue().encode()
