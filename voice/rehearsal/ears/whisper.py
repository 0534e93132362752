"""Whisper as the offline model's ears: a few processes, and a queue that is not endless."""

import asyncio
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from voice.rehearsal.ears import model_files, recognizer
from voice.rehearsal.ears.port import NotRecognized, Recognized

log = structlog.get_logger(__name__)

MAX_WAITING = 32
"""Turns that may wait or be worked on at once; one more is not recognized, as a service under load would."""
MAX_PROCESSES = 2
_THREADS = 1


class WhisperEars:
    """An :class:`voice.rehearsal.ears.port.Ears`. `async with WhisperEars() as ears:`."""

    name = model_files.NAME

    def __init__(self, *, processes: int | None = None, max_waiting: int = MAX_WAITING) -> None:
        """Raises: EarsUnavailable: a part of the extra is not installed."""
        self._folder: Path = model_files.installed()
        self._processes = processes or min(MAX_PROCESSES, os.cpu_count() or 1)
        self._max_waiting = max_waiting
        self._waiting = 0
        self._pool = self._new_pool()

    def _new_pool(self) -> ProcessPoolExecutor:
        # Spawned, not forked: this process has threads and an event loop.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._processes, mp_context=context, initializer=recognizer.begin)

    async def __aenter__(self) -> Self:
        """Load the model in every process.

        Raises:
            EarsUnavailable: it is not the model that we know.
        """
        loop = asyncio.get_running_loop()
        loads = [
            loop.run_in_executor(self._pool, recognizer.load, self._folder, _THREADS)
            for _ in range(self._processes)
        ]
        try:
            await asyncio.gather(*loads)
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def recognize(self, sound: bytes, audio_format: str) -> Recognized:
        if self._waiting >= self._max_waiting:
            raise NotRecognized(f"{self._waiting} turns are waiting already")
        self._waiting += 1
        pool = self._pool
        try:
            # Shielded: who asked may be gone, the process works on, and only then is its place free.
            work = asyncio.get_running_loop().run_in_executor(
                pool, recognizer.recognize, self._folder, _THREADS, sound, audio_format
            )
        except (BrokenProcessPool, RuntimeError) as exc:
            self._waiting -= 1
            self._replace(pool)
            raise NotRecognized("the recognizer is not running") from exc
        work.add_done_callback(self._free)
        try:
            return await asyncio.shield(work)
        except BrokenProcessPool as exc:
            log.warning("the recognizer died and is started anew")
            self._replace(pool)
            raise NotRecognized("the recognizer died") from exc

    def _free(self, work: "asyncio.Future[Recognized]") -> None:
        self._waiting -= 1
        if not work.cancelled():
            work.exception()  # looked at, also if nobody waits for it any more

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        if self._pool is broken:
            broken.shutdown(wait=False)
            self._pool = self._new_pool()
