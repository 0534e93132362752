"""The words of an operator who talks in the agent's place, written down by a session beside the call's own.

Opened when somebody takes over, closed a moment after the call is given back. Nothing waits for it: if it
cannot be had, or is lost, their words are in the recording only, as the journal's lines say who talked when.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from tenex.lib.clock import Clock
from voice.realtime.port import ModelConnection, ModelUnavailable, OnEvent, ServerEvent
from voice.session.commands import AppendAudio, CommitAudio
from voice.session.events import (
    CallerTextDone,
    CallerTextFailed,
    InputCommitted,
    ModelLost,
    OperatorWords,
    SpeechStarted,
    SpeechStopped,
)

log = structlog.get_logger(__name__)

Connect = Callable[[OnEvent], ModelConnection]
LAST_WORDS_S: Final = 3.0
"""After the call was given back, for what was said last."""
_MOST_WAITING: Final = 100
"""Pieces of voice that wait for the session to come up: some seconds."""
_MOST_TURNS: Final = 500


class WordsOfOperator:
    """Of one call. Belongs to its event loop."""

    def __init__(self, connect: Connect, feed: Callable[[OperatorWords], None], clock: Clock) -> None:
        self._connect, self._feed, self._clock = connect, feed, clock
        self._connection: ModelConnection | None = None
        self._opening: asyncio.Task[None] | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._waiting: deque[AppendAudio] = deque(maxlen=_MOST_WAITING)
        self._live = False
        self._speaking = ""
        self._spans: dict[str, tuple[float, float]] = {}
        """When each turn that is not written down yet began and ended, on the machine's clock."""
        self._owed: set[str] = set()

    def begin(self) -> None:
        """Somebody talks from here on."""
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        if self._connection is None:
            connection = self._connection = self._connect(self._on_event)
            self._opening = asyncio.get_running_loop().create_task(self._open(connection))

    def hear(self, payload: str) -> None:
        """A piece of their voice, base64 µ-law; silence too."""
        if self._connection is None or self._closing is not None:
            return
        if self._live:
            self._connection.carry_out(AppendAudio(payload))
        else:
            self._waiting.append(AppendAudio(payload))

    def end(self) -> None:
        """They talk no more: what they said last is waited for."""
        if self._connection is None or self._closing is not None:
            return
        if self._speaking:  # nothing comes behind it that could tell where it ends
            self._connection.carry_out(CommitAudio("operator_end"))
        wait_s = self._clock.real_s(LAST_WORDS_S)
        self._closing = asyncio.get_running_loop().call_later(wait_s, self.close)
        self._close_if_done()

    def close(self) -> None:
        """At once. Any number of times."""
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        connection, self._connection = self._connection, None
        self._live = False
        self._waiting.clear()
        self._owed.clear()
        self._spans.clear()
        self._speaking = ""
        if connection is not None:
            connection.close("the operator has stopped")

    async def _open(self, connection: ModelConnection) -> None:
        try:
            await connection.open([])
        except ModelUnavailable as exc:
            log.warning("operator's words not written down", code=exc.code)
            if self._connection is connection:
                self.close()
            return
        if self._connection is connection:
            self._live = True
            while self._waiting:
                connection.carry_out(self._waiting.popleft())

    def _on_event(self, connection: ModelConnection, event: ServerEvent) -> None:
        if connection is not self._connection:
            return
        now = self._clock.now()
        match event:
            case SpeechStarted(item_id=item):
                self._speaking = item
                self._span(item, now, now)
            case SpeechStopped(item_id=item):
                self._speaking = ""
                self._span(item, now, now)
            case InputCommitted(item_id=item):
                self._speaking = ""
                self._span(item, now, now)
                self._owed.add(item)
            case CallerTextDone(item_id=item, text=text):
                began, ended = self._spans.pop(item, (now, now))
                self._owed.discard(item)
                self._feed(OperatorWords(item, text, began, ended))
                self._close_if_done()
            case CallerTextFailed(item_id=item):
                self._spans.pop(item, None)
                self._owed.discard(item)
                self._close_if_done()
            case ModelLost(code=code):
                log.warning("operator's words not written down", code=code)
                self.close()
            case _:
                pass

    def _span(self, item: str, began: float, ended: float) -> None:
        if item in self._spans:
            began = self._spans[item][0]
        elif len(self._spans) >= _MOST_TURNS:
            return
        self._spans[item] = (began, ended)

    def _close_if_done(self) -> None:
        if self._closing is not None and not self._owed and not self._speaking:
            self.close()
