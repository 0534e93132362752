"""One process that is kept running: in a group of its own, restarted with back-off, ended in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable

from tenex.engines.account import die_with_parent
from tenex.supervisor.output import Output
from tenex.supervisor.plan import ChildPlan

RESTART_DELAYS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
# A process that lived this long had started well: the next failure counts as a first one.
SETTLED_AFTER_S = 20.0
# This many ends in a row before it ever settled: something is wrong that a restart does not mend.
GIVE_UP_AFTER = 5
# How long after its end we read on for what is still in the pipe.
LAST_OUTPUT_S = 2.0


class Child:
    """Keeps one planned process running until `stop`."""

    def __init__(
        self, plan: ChildPlan, output: Output, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.plan = plan
        self._output = output
        self._clock = clock
        self._process: asyncio.subprocess.Process | None = None
        self._stop_asked = asyncio.Event()

    @property
    def pid(self) -> int:
        """Its process number; 0 while it does not run."""
        return self._process.pid if self._process is not None and self._process.returncode is None else 0

    async def keep_running(self) -> bool:
        """Run and rerun it until it is stopped. False means: given up, it ends again and again."""
        failures = 0
        while not self._stop_asked.is_set():
            began = self._clock()
            status = await self._run_once()
            if self._stop_asked.is_set():
                break
            failures = 1 if self._clock() - began >= SETTLED_AFTER_S else failures + 1
            if failures >= GIVE_UP_AFTER:
                self._output.say(
                    f"{self.plan.name} ended {failures} times in a row ({_told(status)}): giving up"
                )
                return False
            delay_s = RESTART_DELAYS_S[min(failures - 1, len(RESTART_DELAYS_S) - 1)]
            self._output.say(f"{self.plan.name} ended ({_told(status)}): starting it again in {delay_s:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop_asked.wait(), delay_s)
        return True

    async def stop(self) -> None:
        """Ask it to end; kill it with all of its own children when it takes too long."""
        self._stop_asked.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), self.plan.stop_timeout_s)
        except TimeoutError:
            self._output.say(f"{self.plan.name} did not end within {self.plan.stop_timeout_s:g} s: killed")
            self.kill()
            await process.wait()

    def kill(self) -> None:
        """End it at once, with everything it started."""
        self._stop_asked.set()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _run_once(self) -> int:
        # A pipe of our own: asyncio's would keep `wait` from returning while a grandchild holds the other
        # end.
        read_end, write_end = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *self.plan.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self.plan.environment},
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        self._process = process
        if self._stop_asked.is_set():
            # Asked to stop while it was being started.
            self.kill()
        copying = asyncio.create_task(self._copy(read_end))
        status = await process.wait()
        # What it started may outlive it and keep the port or its output open.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(copying, LAST_OUTPUT_S)
        return status

    async def _copy(self, descriptor: int) -> None:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
        )
        try:
            await self._output.copy(self.plan.name, reader)
        finally:
            transport.close()


def _told(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-status).name
    return f"signal {-status}"
