"""The wire between the remote person and our side, in 20 ms frames on absolute deadlines.

Everything that happens to sound happens in `_frame`, so that it stays right at any speed: a fast clock or a
late wake-up makes several frames at once, each of them in order.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Protocol

from tenex.lib.clock import Clock
from voice.rehearsal import mulaw
from voice.rehearsal.carrier import tape
from voice.rehearsal.carrier.playback import PlaybackQueue
from voice.rehearsal.carrier.records import CallRecord, RecordingRecord

_LEAST_SLEEP_S = 0.004
_MOST_FRAMES_AT_ONCE = 250


class Tap(Protocol):
    """A media stream: gets what the remote person says, and news of what was played."""

    def on_frame(self, frame: bytes) -> None: ...

    def on_marks(self, names: list[str]) -> None: ...

    def on_digit(self, digit: str) -> None: ...


class Utterance:
    """Sound of the remote person on its way."""

    __slots__ = ("_offset", "sound")

    def __init__(self, sound: bytes) -> None:
        self.sound = sound
        self._offset = 0

    @property
    def done(self) -> bool:
        return self._offset >= len(self.sound)

    def next_frame(self) -> bytes:
        frame = self.sound[self._offset : self._offset + mulaw.FRAME_BYTES]
        self._offset += mulaw.FRAME_BYTES
        return frame + mulaw.SILENT_FRAME[len(frame) :]


class Line:
    """An answered call's audio. `run` is its clockwork; everything else is called from the same loop."""

    def __init__(self, clock: Clock, record: CallRecord) -> None:
        self._clock = clock
        self._record = record
        self._speech: deque[Utterance] = deque()
        self._waiting: dict[str, asyncio.Event] = {}
        self._names = count(1)
        self._closed = False
        self.playback = PlaybackQueue()
        self.tap: Tap | None = None
        self.on_tick: Callable[[], None] | None = None
        """The script: called at the begin of every frame."""
        self.on_digit: Callable[[str], None] | None = None
        """A TwiML verb that collects keys."""
        self.recordings: list[RecordingRecord] = []
        self.frames = 0
        self.heard_ms = 0
        """Sound of our side that was not digital silence."""
        self.quiet_frames = 0
        """Frames since our side last played anything."""
        self.remote_quiet_frames = 0
        self.held = False
        """The person hears ringing, or talks with a colleague: that is no silence of ours."""

    @property
    def playing(self) -> bool:
        return self.quiet_frames == 0

    @property
    def elapsed_ms(self) -> int:
        return self.frames * mulaw.FRAME_MS

    @property
    def scale(self) -> float:
        return self._clock.scale

    def say(self, sound: bytes) -> Utterance:
        """The remote person says this after what it is saying already."""
        utterance = Utterance(sound)
        self._speech.append(utterance)
        return utterance

    def press(self, digit: str) -> None:
        """The remote person presses a key: to the media stream, else to the verb that waits for keys."""
        if self.tap is not None:
            self.tap.on_digit(digit)
        elif self.on_digit is not None:
            self.on_digit(digit)

    async def play(self, sound: bytes) -> None:
        """Play `sound` of our side and return when it has been heard."""
        if not sound:
            return
        name = f"\0{next(self._names)}"
        played = self._waiting[name] = asyncio.Event()
        self.playback.add(sound)
        self.playback.mark(name)
        try:
            await played.wait()
        except asyncio.CancelledError:
            self.playback.clear()
            raise
        finally:
            self._waiting.pop(name, None)

    def close(self) -> None:
        self._closed = True

    async def run(self) -> None:
        """Frames at their time until `close`."""
        loop = asyncio.get_running_loop()
        frame_s = self._clock.real_s(mulaw.FRAME_MS / 1000)
        started = loop.time()
        while not self._closed:
            due = int((loop.time() - started) / frame_s)
            for _ in range(min(due - self.frames, _MOST_FRAMES_AT_ONCE)):
                if not self._closed:
                    self._frame()
            wait_s = started + (self.frames + 1) * frame_s - loop.time()
            await asyncio.sleep(max(wait_s, _LEAST_SLEEP_S if frame_s < _LEAST_SLEEP_S else 0))

    def _frame(self) -> None:
        self.frames += 1
        if self.on_tick is not None:
            self.on_tick()
        remote = self._remote_frame()
        ours, marks = self.playback.pull()
        if ours is None:
            self.quiet_frames = 1 if self.held else self.quiet_frames + 1
        else:
            self.quiet_frames = 0
            if ours != mulaw.SILENT_FRAME:
                self.heard_ms += mulaw.FRAME_MS
                self._record.heard_ms = self.heard_ms
        if self.tap is not None:
            self.tap.on_frame(remote)
        if marks:
            self._played(marks)
        for recording in self.recordings:
            tape.feed(recording, remote, ours or mulaw.SILENT_FRAME)

    def _remote_frame(self) -> bytes:
        if not self._speech:
            self.remote_quiet_frames += 1
            return mulaw.SILENT_FRAME
        self.remote_quiet_frames = 0
        utterance = self._speech[0]
        frame = utterance.next_frame()
        if utterance.done:
            self._speech.popleft()
        self._record.spoke_ms += mulaw.FRAME_MS
        return frame

    def _played(self, marks: list[str]) -> None:
        theirs = []
        for name in marks:
            waiting = self._waiting.get(name)
            if waiting is not None:
                waiting.set()
            else:
                theirs.append(name)
        if theirs and self.tap is not None:
            self.tap.on_marks(theirs)
