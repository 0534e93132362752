"""Lines of several processes on one terminal: each with the name of its process in front."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import TextIO

_COLORS = ("36", "35", "33", "34", "32")
_OWN_COLOR = "1"
_LINE_MAX_BYTES = 64 * 1024


class Output:
    """Writes whole lines. Colours only on a terminal, and not with NO_COLOR."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stdout
        self._colored = self._stream.isatty() and not os.environ.get("NO_COLOR")
        self._colors: dict[str, str] = {}
        self._width = len("worker")

    def say(self, text: str) -> None:
        """A line of the supervisor's own."""
        self._write("tenex", _OWN_COLOR, text)

    def line(self, name: str, text: str) -> None:
        """A line that a process printed."""
        color = self._colors.setdefault(name, _COLORS[len(self._colors) % len(_COLORS)])
        self._write(name, color, text)

    async def copy(self, name: str, reader: asyncio.StreamReader) -> None:
        """Copy what a process prints, line by line, until it closes. A line without end is cut, not kept."""
        rest = b""
        while piece := await reader.read(_LINE_MAX_BYTES):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                self.line(name, line.decode(errors="replace").rstrip("\r"))
            if len(rest) > _LINE_MAX_BYTES:
                self.line(name, rest.decode(errors="replace"))
                rest = b""
        if rest:
            self.line(name, rest.decode(errors="replace"))

    def _write(self, name: str, color: str, text: str) -> None:
        prefix = f"{name:<{self._width}} |"
        if self._colored:
            prefix = f"\x1b[{color}m{prefix}\x1b[0m"
        # A reader that went away (a closed pipe) must not take the system with it.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(f"{prefix} {text}\n")
            self._stream.flush()
