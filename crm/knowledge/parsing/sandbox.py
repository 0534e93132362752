"""Opening a stranger's document in a process of its own, which may die without taking anything along."""

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any, Final

import structlog

from crm.knowledge.blocks import Block
from crm.knowledge.parsing.refusals import SAYS, Refused
from tenex.errors import Unavailable

log = structlog.get_logger(__name__)

WALL_S: Final = 90.0
INSPECT_WALL_S: Final = 10.0
ANSWER_BYTES: Final = 32 * 1024 * 1024
"""Five million characters as JSON, with room."""
_AT_ONCE = 2
_QUEUE_S = 20.0
_ROOT = str(Path(__file__).resolve().parents[3])
_turns = threading.BoundedSemaphore(_AT_ONCE)


class TooBusy(Unavailable):
    """As many documents as may be are being opened in this process."""

    code = "too_busy"


def inspect(kind: str, file: IO[bytes]) -> int | None:
    """Whether it opens, in a second or so; how many pages it has, if it has pages.

    Raises:
        Refused. TooBusy.
    """
    return _run(kind, "inspect", file, INSPECT_WALL_S).get("pages")


def parse(kind: str, file: IO[bytes]) -> tuple[list[Block], dict[str, Any]]:
    """What is in it, and what is said of it: `pages`, `title`, `language`.

    Raises:
        Refused. TooBusy.
    """
    found = _run(kind, "parse", file, WALL_S)
    blocks = [Block(str(text), int(level), page) for text, level, page in found.pop("blocks", [])]
    return blocks, found


def _run(kind: str, mode: str, file: IO[bytes], wall_s: float) -> dict[str, Any]:
    if not _turns.acquire(timeout=_QUEUE_S):
        raise TooBusy("too many documents are being read")
    try:
        answer, ended = _ask(kind, mode, file, wall_s)
    finally:
        _turns.release()
    try:
        found = json.loads(answer)
    except ValueError as exc:
        raise Refused(_why(ended)) from exc
    code = found.get("refused")
    if code is not None:
        raise Refused(code if code in SAYS else "unreadable")
    result: dict[str, Any] = found
    return result


def _ask(kind: str, mode: str, file: IO[bytes], wall_s: float) -> tuple[bytes, int | str]:
    """Its answer, and how it ended: a return code, or why it was ended by us."""
    file.seek(0)
    child = subprocess.Popen(
        [sys.executable, "-m", "crm.knowledge.parsing.child", kind, mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=_ROOT,
        # Nothing of ours: no database, no keys. Threads of libraries count against its memory.
        env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"},
        start_new_session=True,
    )
    deadline = time.monotonic() + wall_s
    answer = bytearray()
    why: str | None = None
    assert child.stdin is not None and child.stdout is not None  # noqa: S101, PT018 - pipes
    feeder = threading.Thread(target=_feed, args=(file, child.stdin), name="document", daemon=True)
    feeder.start()
    with child.stdout as out, selectors.DefaultSelector() as ready:
        ready.register(out, selectors.EVENT_READ)
        while True:
            if not ready.select(max(0.0, deadline - time.monotonic())):
                why = "took_too_long"
                break
            block = os.read(out.fileno(), 1 << 16)
            answer += block
            if not block:
                break
            if len(answer) > ANSWER_BYTES:
                why = "too_much_text"
                break
    if why is not None:
        os.killpg(child.pid, signal.SIGKILL)
        answer.clear()
    code = child.wait()
    feeder.join()  # the pipe's other end is gone: it ends at once
    if why or code:
        log.info("document reader ended early", kind=kind, mode=mode, code=code, why=why)
    return bytes(answer), why or code


def _feed(file: IO[bytes], into: IO[bytes]) -> None:
    """Its standard input. Whoever sent the document has no say in how much of it is in memory here."""
    try:
        with into:
            while block := file.read(1 << 18):
                into.write(block)
    except OSError:  # it has ended without reading to the end
        return


def _why(ended: int | str) -> str:
    if isinstance(ended, str):
        return ended
    if ended in (-signal.SIGXCPU, -signal.SIGKILL):
        return "took_too_long"
    return "unreadable"
