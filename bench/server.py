"""Ours, as it is served in production, for a bench: `python -m bench.server --port 9001`.

`--slow-write-ms` makes the database take that long for one write of each call and second.
"""

import argparse
import os


def main(port: int, slow_write_ms: float) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tenex.settings")
    from tenex.asgi import application
    from tenex.server.listener import listen_tcp
    from tenex.server.serve import ServeOptions, serve

    if slow_write_ms:
        _slow_down(slow_write_ms)
    listener = listen_tcp("127.0.0.1", port)
    print("ready", flush=True)
    serve(application, listener, ServeOptions(drain_timeout_s=1.0))


def _slow_down(slow_write_ms: float) -> None:
    """The lease is renewed once a second (CALL_LEASE_S=3): that write sleeps in the database."""
    from django.db import connection

    from voice.services import live, live_store

    real = live_store.store

    def store(context: live.CallContext, batch: live_store.Batch) -> bool:
        if batch.renew:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(%s)", [slow_write_ms / 1000])
        return real(context, batch)

    live_store.store = store  # type: ignore[assignment,unused-ignore]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--slow-write-ms", type=float, default=0)
    options = parser.parse_args()
    main(options.port, options.slow_write_ms)
