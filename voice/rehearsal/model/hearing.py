"""What was said in a turn, and when it may be answered: told by the script, or recognized from the sound."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from tenex.lib.clock import Clock
from voice.rehearsal.ears.port import Ears, NotRecognized
from voice.rehearsal.model.input_buffer import Committed
from voice.rehearsal.model.options import Options
from voice.rehearsal.model.steps import Mind

log = structlog.get_logger(__name__)

type Spawn = Callable[[Coroutine[None, None, None]], asyncio.Task[None]]


def _text() -> "asyncio.Future[str | None]":
    return asyncio.get_running_loop().create_future()


def _settled() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True)
class Heard:
    """One turn on its way to being understood. No future fails; both are set unless the session ends."""

    text: "asyncio.Future[str | None]" = field(default_factory=_text)
    """What was said; `""` if nothing was, None if it could not be recognized."""
    settled: asyncio.Future[None] = field(default_factory=_settled)
    """The caller seems to be done: it may be answered."""
    went_on: bool = False
    """The caller spoke again before this was settled."""
    recognized_in_s: float | None = None
    """Real seconds from the commit to the text, if it was recognized."""

    def settle(self, text: str | None) -> None:
        if not self.text.done():
            self.text.set_result(text)
        if not self.settled.done():
            self.settled.set_result(None)


class Hearing(Protocol):
    recognizes: bool

    def turn(self, committed: Committed, speech_ms: float | None) -> Heard:
        """Audio was committed; `speech_ms` is how long the caller spoke in it, if that is known."""

    def speech_began(self) -> None:
        """The caller speaks (again): what seemed to be the end of a turn may have been a breath."""

    def unsettled(self) -> asyncio.Future[None] | None:
        """What an answer that is asked for now has to wait for."""


class ToldHearing:
    """The script tells. In the middle of a line nothing is understood before the line is over."""

    recognizes = False

    def __init__(self, mind: Mind, options: Options, spawn: Spawn) -> None:
        self._mind = mind
        self._options = options
        self._spawn = spawn
        self._mid_line: Heard | None = None

    def turn(self, committed: Committed, speech_ms: float | None) -> Heard:
        heard = Heard()
        text = self._mind.hear(speech_ms)
        if text is None:
            self._mid_line = heard
            self._spawn(self._listen(heard))
        else:
            heard.settle(text)
        return heard

    async def _listen(self, heard: Heard) -> None:
        await self._mind.line_over(self._options.mid_line_wait_s)
        if not heard.settled.done():
            heard.settle(self._mind.hear_rest())

    def speech_began(self) -> None:
        if self._mid_line is not None and not self._mid_line.settled.done():
            self._mid_line.settle("")  # it was only a breath; the words belong to the next turn

    def unsettled(self) -> asyncio.Future[None] | None:
        return None


class RecognizedHearing:
    """Ears recognize. Each turn has words of its own; they are understood in the order of the turns."""

    recognizes = True

    def __init__(self, ears: Ears, mind: Mind, options: Options, clock: Clock, spawn: Spawn) -> None:
        self._ears = ears
        self._mind = mind
        self._options = options
        self._clock = clock
        self._spawn = spawn
        self._last: Heard | None = None

    def turn(self, committed: Committed, speech_ms: float | None) -> Heard:
        heard, before = Heard(), self._last
        self._last = heard
        self._spawn(self._understand(heard, before, committed))
        return heard

    async def _understand(self, heard: Heard, before: Heard | None, committed: Committed) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        text: str | None = None
        try:
            text = (await self._ears.recognize(committed.sound, committed.audio_format)).text
        except NotRecognized as exc:
            log.warning("a turn was not recognized", reason=str(exc))
        except Exception:  # the top of this task: an answer waits for it
            log.exception("the ears failed")
        heard.recognized_in_s = loop.time() - began
        if before is not None:
            await asyncio.shield(before.text)
        begun = self._mind.understand(text or "")
        heard.text.set_result(text)
        if begun and not heard.went_on:
            await asyncio.wait([heard.settled], timeout=self._clock.real_s(self._options.mid_line_wait_s))
            if not heard.settled.done():
                self._mind.settle()
        if not heard.settled.done():
            heard.settled.set_result(None)

    def speech_began(self) -> None:
        """Waiting for more after the last turn is over: its words are the beginning of this one."""
        if self._last is not None:
            self._last.went_on = True
            if self._last.text.done() and not self._last.settled.done():
                self._last.settled.set_result(None)

    def unsettled(self) -> asyncio.Future[None] | None:
        last = self._last
        return None if last is None or last.settled.done() else last.settled
