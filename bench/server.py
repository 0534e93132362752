"""Ours, as it is served in production, for a bench: `python -m bench.server --port 9001`.

`--slow-write-ms` makes the database take that long for one write of each call and second. `--time-tools`
writes down at the end what tool runs took here, and how much of it a processor worked in their threads.
"""

import argparse
import json
import os
import time
import uuid
from collections import defaultdict
from pathlib import Path
from typing import Any


def main(port: int, slow_write_ms: float, time_tools: Path | None) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tenex.settings")
    from tenex.asgi import application
    from tenex.server.listener import listen_tcp
    from tenex.server.serve import ServeOptions, serve

    if slow_write_ms:
        _slow_down(slow_write_ms)
    if time_tools:
        _time_tools()
    listener = listen_tcp("127.0.0.1", port)
    print("ready", flush=True)
    serve(application, listener, ServeOptions(drain_timeout_s=1.0))
    if time_tools:
        time_tools.write_text(json.dumps(_took))


_took: dict[str, list[tuple[int, int]]] = defaultdict(list)
"""Microseconds of each run: on the clock, and on a processor."""


def _time_tools() -> None:
    from voice.bridge import assembly, effects

    class Timed(effects.RegistryTools):
        def run(self, call_id: Any, tool_call_id: str, name: str, arguments_json: str) -> effects.ToolResult:
            began_s, worked_s = time.perf_counter(), time.thread_time()
            try:
                return super().run(call_id, tool_call_id, name, arguments_json)
            finally:
                took = time.perf_counter() - began_s, time.thread_time() - worked_s
                _took[name].append((round(took[0] * 1e6), round(took[1] * 1e6)))

    assembly.ports = assembly.Ports(tools=Timed())


def _slow_down(slow_write_ms: float) -> None:
    """The lease is renewed once a second (CALL_LEASE_S=3): that write sleeps in the database."""
    from collections.abc import Sequence

    from django.db import connection

    from voice.services import live, live_store

    one, many = live_store.store, live_store.store_many

    def wait(batches: list[live_store.Batch]) -> None:
        if renewed := sum(batch.renew for batch in batches):
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(%s)", [renewed * slow_write_ms / 1000])

    def store(context: live.CallContext, batch: live_store.Batch) -> bool:
        wait([batch])
        return one(context, batch)

    def store_many(writes: Sequence[tuple[live.CallContext, live_store.Batch]]) -> dict[uuid.UUID, bool]:
        if len(writes) > 1:
            wait([batch for _, batch in writes])
        return many(writes)

    live_store.store = store  # type: ignore[assignment,unused-ignore]
    live_store.store_many = store_many  # type: ignore[assignment,unused-ignore]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--slow-write-ms", type=float, default=0)
    parser.add_argument("--time-tools", type=Path, default=None)
    options = parser.parse_args()
    main(options.port, options.slow_write_ms, options.time_tools)
