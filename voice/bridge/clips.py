"""Our own pre-rendered lines: 8 kHz µ-law files beside this module, kept in memory as base64.

They play when the model cannot speak. `manage.py render_clips` makes the files anew.
"""

import base64
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal, get_args

from voice.wire import g711

ClipName = Literal["one_moment", "apology", "goodbye", "opted_out"]
NAMES: Final[tuple[ClipName, ...]] = get_args(ClipName)
FOLDER: Final = Path(__file__).resolve().parent / "clips"

TEXTS: Final[dict[ClipName, str]] = {
    "one_moment": "One moment, please.",
    "apology": "I am sorry, we have a technical problem. We will call you back. Goodbye.",
    "goodbye": "Thank you for your time. Goodbye.",
    "opted_out": "All right, we will not call you again. Goodbye.",
}
"""What each says, for rendering and for the journal."""


@dataclass(frozen=True, slots=True)
class Clip:
    name: ClipName
    payload: str
    """Base64 µ-law."""
    ms: int


@cache
def load() -> dict[ClipName, Clip]:
    """All clips.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    return {name: _read(name) for name in NAMES}


def from_ms(payload: str, ms: int) -> str:
    """The rest of a base64 line, from `ms` on, cut at a whole group of three bytes."""
    return payload[ms * g711.BYTES_PER_MS // 3 * 4 :] if ms > 0 else payload


def _read(name: ClipName) -> Clip:
    raw = (FOLDER / f"{name}.ulaw").read_bytes()
    return Clip(name, base64.b64encode(raw).decode("ascii"), len(raw) // g711.BYTES_PER_MS)
