"""Lines become sound: a packaged synthesizer, two kinds of voices, kept on disk once rendered.

There is one packaged voice. Callers are told from the agent by shifting its pitch: the text is spoken slower
or faster by the same factor as the samples are then resampled, so that the pace stays natural.
"""

import asyncio
import hashlib
import re
import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from voice.opening.packaged import RATE_HZ, speak
from voice.rehearsal import mulaw

_LONGEST_PAUSE_S = 0.2
_QUIET = 0.02  # of full scale
_REVISION = "2"  # part of every cache key: raise it when the sound of the same text changes
_PEAK = 0.6


@dataclass(frozen=True, slots=True)
class Voice:
    name: str
    pitch: float
    """Factor on the packaged voice's pitch; below 1 is deeper."""


AGENT = Voice("agent", 1.0)
CALLERS = (Voice("caller-1", 0.80), Voice("caller-2", 1.16), Voice("caller-3", 0.87), Voice("caller-4", 1.08))
MACHINE = Voice("machine", 0.94)


def caller_voice(number: str) -> Voice:
    """The same number always has the same voice."""
    digits = re.sub(r"\D", "", number)
    return CALLERS[int(digits[-4:] or 0) % len(CALLERS)]


class Speech:
    """Renders text in a thread of its own and remembers it on disk; safe for many calls at once."""

    def __init__(self, cache_dir: Path | str) -> None:
        self._dir = Path(cache_dir)
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="speech")
        self._running: dict[str, asyncio.Future[NDArray[np.int16]]] = {}

    async def mulaw(self, text: str, voice: Voice) -> bytes:
        """`text` as µ-law, 8 kHz, mono (8 bytes a millisecond)."""
        key = self._key(text, voice)
        kept = await self._read(key, "ulaw")
        if kept is None:
            pcm = await self._render(key, text, voice)
            kept = await self._in_thread(_to_mulaw, pcm)
            await self._write(key, "ulaw", kept)
        return kept

    async def pcm24(self, text: str, voice: Voice) -> bytes:
        """`text` as 16-bit little-endian PCM, 24 kHz, mono (48 bytes a millisecond)."""
        key = self._key(text, voice)
        kept = await self._read(key, "pcm24")
        if kept is None:
            pcm = await self._render(key, text, voice)
            kept = pcm.astype("<i2").tobytes()
            await self._write(key, "pcm24", kept)
        return kept

    async def warm(self) -> None:
        """Load the synthesizer now: a template line in the middle of a call must not wait for it."""
        await self._in_thread(self._synthesize, "Ready.", AGENT)

    async def prepare(self, lines: Iterable[tuple[str, Voice]]) -> None:
        """Render ahead, so that nothing waits for the first use. Lines with `{{ … }}` are left out."""
        for text, voice in lines:
            if "{{" not in text:
                await (self.pcm24(text, voice) if voice == AGENT else asyncio.sleep(0))
                await self.mulaw(text, voice)

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    # --- inside ------------------------------------------------------------------------------------

    @staticmethod
    def _key(text: str, voice: Voice) -> str:
        return hashlib.sha256(f"{_REVISION}|{voice.name}|{voice.pitch}|{text}".encode()).hexdigest()[:40]

    async def _render(self, key: str, text: str, voice: Voice) -> NDArray[np.int16]:
        """24 kHz samples; the same line asked for twice at once is rendered once."""
        running = self._running.get(key)
        if running is None:
            running = asyncio.ensure_future(self._in_thread(self._synthesize, text, voice))
            self._running[key] = running
            running.add_done_callback(lambda _: self._running.pop(key, None))
        return await asyncio.shield(running)

    async def _in_thread[**P, T](self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: function(*args, **kwargs))

    def _synthesize(self, text: str, voice: Voice) -> NDArray[np.int16]:
        sound = speak(text, speed=1 / voice.pitch)
        if voice.pitch != 1.0:
            sound = soxr.resample(sound, RATE_HZ * voice.pitch, RATE_HZ)
        sound = _shorten_pauses(sound)
        sound = sound * (_PEAK / max(float(np.abs(sound).max(initial=0.0)), 1e-3))
        samples: NDArray[np.int16] = np.round(np.clip(sound, -1.0, 1.0) * 32767).astype(np.int16)
        return samples

    async def _read(self, key: str, kind: str) -> bytes | None:
        def read() -> bytes | None:
            try:
                return (self._dir / f"{key}.{kind}").read_bytes()
            except FileNotFoundError:
                return None

        return await asyncio.to_thread(read)

    async def _write(self, key: str, kind: str, data: bytes) -> None:
        def write() -> None:
            self._dir.mkdir(parents=True, exist_ok=True)
            partial = self._dir / f".{key}.{kind}.{secrets.token_hex(8)}"
            partial.write_bytes(data)
            partial.replace(self._dir / f"{key}.{kind}")  # others may write the same line now

        await asyncio.to_thread(write)


def _to_mulaw(pcm: NDArray[np.int16]) -> bytes:
    return mulaw.encode(soxr.resample(pcm, RATE_HZ, mulaw.RATE_HZ))


def _shorten_pauses(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cap the quiet between sentences: the synthesizer's 0.8 s would read as the end of a turn."""
    window = RATE_HZ // 50
    whole = sound[: len(sound) // window * window]
    loud = np.abs(whole).reshape(-1, window).max(axis=1, initial=0.0) > _QUIET
    kept: list[NDArray[np.float32]] = []
    quiet = 0
    for index, is_loud in enumerate(loud):
        quiet = 0 if is_loud else quiet + window
        if quiet <= _LONGEST_PAUSE_S * RATE_HZ:
            kept.append(whole[index * window : (index + 1) * window])
    return np.concatenate(kept) if kept else sound
