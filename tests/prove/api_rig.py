"""The world of the promises about the API: a database of its own and forked web processes on one port.

Processes are those of tests.prove.dial_rig: real ones, with the real ASGI application, killed at will.
"""

import asyncio
import os
import secrets
import tempfile
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.prove import dial_rig
from tests.prove.dial_rig import Processes, main

__all__ = ["Api", "Reply", "main", "rig"]


@dataclass(frozen=True, slots=True)
class Reply:
    """Status 0: the connection was lost."""

    status: int
    headers: dict[str, str]
    body: bytes
    sent_s: float
    took_s: float


class Api:
    """Requests to the rig. Rows are the business of the caller's thread, outside of :meth:`run`."""

    def __init__(self, base_url: str, processes: Processes, log: Path) -> None:
        self.base_url, self.processes, self.log = base_url, processes, log
        self.webs: list[int] = []
        self._http: aiohttp.ClientSession | None = None

    def start(self, count: int, failpoint: str = "") -> None:
        """So many web processes more; returns when the port answers."""
        self.webs += [self.processes.spawn("web", failpoint) for _ in range(count)]
        until_s = time.monotonic() + 60
        while self.run(self.ask("GET", "/healthz/live")).status != 200:
            if time.monotonic() > until_s:
                raise RuntimeError(f"no web process answers:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.05)

    def replace(self, pid: int) -> None:
        """kill -9 of one, and another in its place."""
        self.processes.kill(pid)
        self.webs.remove(pid)
        self.webs.append(self.processes.spawn("web"))

    def run[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Run coroutines of this rig on a loop and a connection pool of their own."""

        async def whole() -> T:
            connector = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(connector=connector) as self._http:
                return await work

        return asyncio.run(whole())

    async def ask(
        self, method: str, path: str, *, key: str = "", body: bytes | None = None, **headers: str
    ) -> Reply:
        """One request; never raises for what happens to the connection."""
        assert self._http is not None
        sent = {"Content-Type": "application/json"} if body is not None else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        if key:
            sent["Authorization"] = f"Bearer {key}"
        began_s = time.monotonic()
        try:
            async with self._http.request(
                method, self.base_url + path, data=body, headers=sent, timeout=aiohttp.ClientTimeout(total=60)
            ) as answer:
                read = await answer.read()
                status, got = answer.status, dict(answer.headers)
        except (aiohttp.ClientError, TimeoutError, OSError):
            status, got, read = 0, {}, b""
        return Reply(status, got, read, began_s, time.monotonic() - began_s)

    def errors(self) -> list[str]:
        """What the processes logged at level error, and tracebacks."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [one for one in lines if "request failed" in one or one.startswith("Traceback")]


@contextmanager
def rig(webs: int, settings: dict[str, str] | None = None) -> Iterator[Api]:
    """A migrated database and `webs` web processes."""
    folder = Path(tempfile.mkdtemp(prefix="tenex-prove-"))
    port = dial_rig.free_port()
    os.environ.pop("DEBUG", None)
    os.environ.update(
        {
            "SECRET_KEY": secrets.token_urlsafe(40),
            "TENEX_REHEARSAL": "1",
            "LOG_LEVEL": "ERROR",
            "LOG_FORMAT": "console",
            "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
            "OPENAI_API_KEY": "sk-none",
            "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
            "CELERY_BROKER_URL": "memory://",
            "DATABASE_POOL_SIZE": "8",
            "RATE_LIMIT_PER_MINUTE": "1000000",
            "DJANGO_SETTINGS_MODULE": "tenex.settings",
            **(settings or {}),
        }
    )
    from tenex.engines.bootstrap import ensure_environment

    ensure_environment(throwaway=True)
    with dial_rig.database(), (folder / "web.log").open("w") as log:
        processes = Processes(port, log)
        try:
            api = Api(f"http://127.0.0.1:{port}", processes, folder / "web.log")
            api.start(webs)
            yield api
        finally:
            processes.close()
