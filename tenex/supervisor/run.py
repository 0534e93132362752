"""Start everything, watch it, and end it in order: the loop behind `manage.py up`."""

from __future__ import annotations

import asyncio
import math
import os
import signal
from collections.abc import Callable, Sequence

from tenex.engines import EngineError
from tenex.engines.bootstrap import ensure_environment
from tenex.supervisor.child import Child
from tenex.supervisor.output import Output
from tenex.supervisor.plan import ChildPlan, EndStage

_ENGINE_CHECK_EVERY_S = 3.0
# Some senders (`timeout`, a terminal beside `make`) deliver one wish to us twice; a person is slower than
# this.
SAME_SIGNAL_S = 0.3
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """Runs the planned processes until a signal. The second signal ends everything at once."""

    def __init__(self, plans: Sequence[ChildPlan], output: Output, *, ready_text: str = "") -> None:
        self._children = [Child(plan, output) for plan in plans]
        self._output = output
        self._ready_text = ready_text
        self._stop_asked = asyncio.Event()
        self._last_signal_at = -math.inf

    async def run(self) -> int:
        """Returns the exit status: 0 after an ordered end, 1 when a process could not be kept running."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._on_signal)
        keepers = [asyncio.create_task(child.keep_running()) for child in self._children]
        watch = asyncio.create_task(self._watch_engines())
        stop = asyncio.create_task(self._stop_asked.wait())
        if self._ready_text:
            self._output.say(self._ready_text)
        try:
            await asyncio.wait([stop, watch, *keepers], return_when=asyncio.FIRST_COMPLETED)
            failed = not self._stop_asked.is_set()
            await self._end()
            await asyncio.gather(*keepers)
        finally:
            stop.cancel()
            watch.cancel()
        return 1 if failed else 0

    def _on_signal(self) -> None:
        now = asyncio.get_running_loop().time()
        repeated = now - self._last_signal_at < SAME_SIGNAL_S
        self._last_signal_at = now
        if not self._stop_asked.is_set():
            self._output.say("ending: live calls first (once more to end at once)")
            self._stop_asked.set()
            return
        if repeated:
            return
        self._output.say("ending at once")
        for child in self._children:
            child.kill()

    async def _watch_engines(self) -> None:
        """The embedded engines restart by themselves; a keeper that was killed is replaced here.

        Ends only if the engines came back at another address, which running processes cannot follow.
        """
        while True:
            await asyncio.sleep(_ENGINE_CHECK_EVERY_S)
            try:
                engines = await asyncio.to_thread(ensure_environment)
            except EngineError as error:
                self._output.say(str(error))
                continue
            if engines is None:
                await asyncio.Event().wait()
                continue
            if engines.redis_url and engines.redis_url != os.environ["REDIS_URL"]:
                self._output.say("Valkey came back on another port: ending, start again")
                return

    async def _end(self) -> None:
        for stage in EndStage:
            await asyncio.gather(*(child.stop() for child in self._children if child.plan.stage is stage))


def supervise(
    plans: Sequence[ChildPlan], output: Output, *, ready_text: str, stop_engines: Callable[[], None]
) -> int:
    """Run the processes in the foreground, then let go of the engines. Returns the exit status."""
    try:
        return asyncio.run(Supervisor(plans, output, ready_text=ready_text).run())
    finally:
        try:
            stop_engines()
        except EngineError as error:
            output.say(str(error))
        output.say("ended")
