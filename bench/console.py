"""`python -m bench.console`: what 50 simultaneous calls cost the console's server, and the page of them.

Lines are written four times a second a call, as a media process does, and levels sent five times a second,
all by this process; the server that is measured only reads and tells. The page runs in Chromium: frames are
counted by requestAnimationFrame; what its main thread works comes from the browser's own trace, as time on
the processor, which other work on the machine does not lengthen.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import secrets
import threading
import time
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tenex.settings")
os.environ.setdefault("SECRET_KEY", secrets.token_hex(32))  # so that DEBUG is off, as in production

from tenex.engines.bootstrap import ensure_environment

ensure_environment(throwaway=True)

from bench import browser, fixture, media  # noqa: E402 - after the engines have addresses

LINES_PER_S: Final = 4
LEVELS_PER_S: Final = 5
_WATCH = """
() => {
  window.frames_ = [];
  let last = performance.now();
  const next = (now) => { frames_.push(now - last); last = now; requestAnimationFrame(next); };
  requestAnimationFrame(next);
}
"""


def measure(calls: int, pages: int, seconds: float, database_url: str) -> dict[str, Any]:
    """Start a server, its pages and the calls; look at it without and with pages."""
    from django.core.management import call_command

    call_command("collectstatic", interactive=False, verbosity=0)
    environment = os.environ | {"DATABASE_URL": database_url}
    rows = fixture.calls(calls)
    cookie, workspace_id = _signed_in(rows)
    port = media._free_port()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(media._ready("bench.server", "--port", str(port), env=environment))
        going = stack.enter_context(_CallsGoOn(rows, workspace_id))
        time.sleep(2)
        alone = _cpu_percent(server.pid, seconds)
        shown = stack.enter_context(_Pages(port, cookie, pages))
        time.sleep(3)
        shown[0].bring_to_front()
        shown[0].evaluate(_WATCH)
        shown[0].context.browser.start_tracing(page=shown[0], categories=["toplevel", "__metadata"])
        before = going.lines
        busy = _cpu_percent(server.pid, seconds, shown)
        written = going.lines - before
        tasks = _tasks_ms(shown[0].context.browser.stop_tracing())
        seen = _read(shown[0])
    frames = sorted(seen["frames"])
    return {
        "calls": calls,
        "pages": pages,
        "lines_written_per_s": round(written / seconds),
        "cpu_percent_without_pages": round(alone, 1),
        "cpu_percent_with_pages": round(busy, 1),
        "cards": seen.get("cards"),
        "frames": len(frames),
        "frame_ms_p50_p99_max": [
            round(frames[len(frames) // 2], 1),
            round(frames[int(len(frames) * 0.99)], 1),
            round(frames[-1], 1),
        ],
        "frames_over_50_ms": sum(1 for one in frames if one > 50),
        "page_cpu_percent": round(sum(tasks) / seconds / 10, 1),
        "longest_tasks_cpu_ms": [round(one, 1) for one in tasks[:5]],
    }


def _signed_in(rows: fixture.Fixture) -> tuple[str, Any]:
    """A session of an owner, and the workspace; the calls are answered."""
    from django.utils import timezone

    from voice.models import Call, CallStatus

    ids = [call["call_id"] for call in rows.calls]
    Call.objects.filter(pk__in=ids).update(status=CallStatus.IN_PROGRESS, answered_at=timezone.now())
    workspace_id = Call.objects.get(pk=ids[0]).workspace_id
    return browser.owner_session(workspace_id), workspace_id


class _CallsGoOn:
    """Lines and levels of all calls, from threads of this process."""

    def __init__(self, rows: fixture.Fixture, workspace_id: Any) -> None:
        self._ids = [call["call_id"] for call in rows.calls]
        self._workspace_id = workspace_id
        self._over = threading.Event()
        self.lines = 0
        """Written so far."""
        self._threads = [threading.Thread(target=work) for work in (self._write, self._levels)]

    def __enter__(self) -> "_CallsGoOn":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _write(self) -> None:
        from django.db import connection

        from voice.services import journal

        turn = 0
        while not self._over.is_set():
            began = time.monotonic()
            for number, call_id in enumerate(self._ids):
                item = f"item_{(turn + number) // 20}"
                speaker = "agent" if (turn + number) // 20 % 2 else "caller"
                words = {"item_id": item, "speaker": speaker, "text": "some more words "}
                lines = [journal.Line("transcript.delta", words)]
                if (turn + number) % 20 == 0:
                    lines.append(
                        journal.Line("turn.latency", {"item_id": item, "ms": random.randint(300, 1500)})
                    )
                self.lines += len(lines)
                journal.append(call_id, lines)  # type: ignore[arg-type]  # psycopg takes the text of an id
            turn += 1
            self._over.wait(max(0.0, 1 / LINES_PER_S - (time.monotonic() - began)))
        connection.close()

    def _levels(self) -> None:
        from channels.layers import get_channel_layer

        from voice.services import control

        async def send() -> None:
            layer: Any = get_channel_layer()
            group = control.levels_group(self._workspace_id)
            while not self._over.is_set():
                levels = {call_id: [random.randint(0, 100), random.randint(0, 100)] for call_id in self._ids}
                await layer.group_send(group, {"type": control.LEVELS, "levels": levels})
                await asyncio.sleep(1 / LEVELS_PER_S)

        asyncio.run(send())


class _Pages:
    """Chromium with so many pages of the board."""

    def __init__(self, port: int, cookie: str, count: int) -> None:
        self._port, self._cookie, self._count = port, cookie, count
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> list[Any]:
        context = self._stack.enter_context(browser.chromium(self._port, self._cookie))
        shown = []
        for _ in range(self._count):
            page = context.new_page()
            page.goto(f"http://127.0.0.1:{self._port}/console/")
            page.wait_for_selector('[data-link="on"]')
            shown.append(page)
        return shown

    def __exit__(self, *exc: object) -> None:
        self._stack.close()


def _tasks_ms(trace: bytes) -> list[float]:
    """Processor time of each task of the busiest page's main thread, the longest first."""
    events = json.loads(trace)["traceEvents"]
    threads = {
        (event["pid"], event["tid"])
        for event in events
        if event.get("name") == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    by_thread: dict[tuple[int, int], list[float]] = {}
    for event in events:
        where = (event["pid"], event["tid"])
        if where in threads and event.get("ph") == "X" and event["name"].endswith("RunTask"):
            by_thread.setdefault(where, []).append(event.get("tdur", 0) / 1000)
    return sorted(max(by_thread.values(), key=sum, default=[]), reverse=True)


def _read(page: Any) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(
        "() => ({ frames: frames_, cards: document.querySelectorAll('[data-call]').length })"
    )
    return found


def _cpu_percent(pid: int, seconds: float, shown: list[Any] | None = None) -> float:
    used = media._cpu_s(pid)
    if shown:
        shown[0].wait_for_timeout(seconds * 1000)
    else:
        time.sleep(seconds)
    return 100 * (media._cpu_s(pid) - used) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.console", description=__doc__)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--pages", type=int, default=1, help="open pages; the first one is looked at")
    parser.add_argument("--seconds", type=float, default=20.0, help="without pages, and then with them")
    parser.add_argument("--json", type=Path, default=None, help="where to write everything")
    options = parser.parse_args()
    with fixture.scratch_database() as database_url:
        found = measure(options.calls, options.pages, options.seconds, database_url)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2), encoding="utf-8")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
