"""The application's side of the dialing promises: a parent that forks real worker and web processes.

Django is loaded once, here; a child is forked for each `spawn`, so that a kill -9 costs milliseconds and not
the seconds of a start. Children are ordinary processes: they share no connection and no lock with anybody.

    stdin:   spawn worker|dialer|web <failpoint or ->        quit
    stdout:  ready | <pid> | dead <pid> <status>
"""

import contextlib
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


def main() -> None:
    port = int(sys.argv[1])
    listener = socket.create_server(("127.0.0.1", port), backlog=512)
    import django

    django.setup()
    _load()
    children: set[int] = set()
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([sys.stdin.fileno()], [], [], 0.02)
        if readable:
            words = os.read(sys.stdin.fileno(), 4096).decode().split()
            if not words or "quit" in words:
                break
            for _, role, failpoint in zip(words[::3], words[1::3], words[2::3], strict=True):
                pid = _fork(role, "" if failpoint == "-" else failpoint, listener)
                children.add(pid)
                print(pid, flush=True)
        _reap(children)
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    while children:
        _reap(children)
        time.sleep(0.01)


def _load() -> None:
    """All that a child needs, so that it starts at once."""
    import twilio.rest  # noqa: F401
    import uvicorn  # noqa: F401

    import voice.ingress.urls
    import voice.outbound.tasks
    import voice.postcall.pipeline  # noqa: F401


def _reap(children: set[int]) -> None:
    for pid in list(children):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            children.discard(pid)
            print(f"dead {pid} {os.waitstatus_to_exitcode(status)}", flush=True)


def _fork(role: str, failpoint: str, listener: socket.socket) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        from tenex.lib import failpoint as failpoints

        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(2, 1)
        failpoints.arm(failpoint)
        roles: dict[str, Callable[[], None]] = {
            "worker": work,
            "dialer": lambda: work(finalizes=False),
            "web": lambda: serve(listener),
        }
        roles[role]()
    finally:
        os._exit(1)


def serve(listener: socket.socket) -> None:
    """The web process: the doors that the carrier knocks at."""
    import uvicorn

    config = uvicorn.Config("tenex.asgi:application", log_level="warning", lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])


def work(*, finalizes: bool = True) -> None:
    """A worker: what Celery's tasks do, in a loop, as fast as the tests want it."""
    from django.db import connections

    from voice.outbound import dialer, reconcile, sweep
    from voice.postcall import pipeline

    if finalizes:
        threading.Thread(target=_finalize_for_ever, args=(pipeline,), daemon=True).start()
    while True:
        for step in (lambda: dialer.tick(budget_s=0.5), reconcile.reconcile, sweep.sweep):
            try:
                step()
            except Exception as exc:
                _unexpected(exc)
        connections.close_all()
        time.sleep(0.1)


def _finalize_for_ever(pipeline: object) -> None:
    from django.db import connections

    def one(call_id: object) -> None:
        try:
            pipeline.finalize(call_id)  # type: ignore[attr-defined]
        except Exception as exc:
            _unexpected(exc)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        while True:
            try:
                list(pool.map(one, pipeline.due(limit=12)))  # type: ignore[attr-defined]
            except Exception as exc:
                _unexpected(exc)
            connections.close_all()
            time.sleep(0.2)


def _unexpected(exc: Exception) -> None:
    """What a task would have logged; counted by the rig."""
    import traceback

    print(f"UNEXPECTED {type(exc).__name__}: {exc}", file=sys.stderr, flush=True)
    traceback.print_exc()


if __name__ == "__main__":
    main()
