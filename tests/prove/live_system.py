"""The system under a live-call promise: real server and worker processes, the outside world in this one.

The offline model, the carrier's REST door and all phones share this process's event loop, so that the instant
of a fault and the instant at which the caller hears something are of one clock.
"""

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
from aiohttp import web

from tenex.engines.bootstrap import ensure_environment
from tenex.engines.process import free_port
from tenex.supervisor.plan import Role, celery_command
from tests.prove.live_account import ACCOUNT_SID, AUTH_TOKEN
from tests.prove.live_mind import PlainMind, PlainMinds, Script, ToneVoice, talk
from tests.rig.process import RealProcess, answers

if TYPE_CHECKING:
    from tests.prove.called_phone import CalledPhone
    from tests.prove.live_phone import Phone
    from voice.models import Call
    from voice.rehearsal.model.session import RealtimeSession
    from voice.rehearsal.model.state import OfflineModel

_MANAGE = str(Path(__file__).resolve().parents[2] / "manage.py")


def percentile(samples: list[float], share: float) -> float:
    """Of unsorted samples; 0 without any."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


@dataclass
class LiveSystem:
    """Everything that runs. `env` is what the processes got."""

    base_url: str
    media_url: str
    scale: float
    model: "OfflineModel"
    http: aiohttp.ClientSession
    server: RealProcess
    phones: dict[str, "Phone"] = field(default_factory=dict)
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    def phone(self, remote: str) -> "Phone":
        """A caller who has not rung yet."""
        from tests.prove.live_phone import Phone

        made = Phone(self.base_url, remote, self.http, scale=self.scale)
        self.phones[made.sid] = made
        return made

    def called(self, remote: str) -> "CalledPhone":
        """Somebody whom we are going to call."""
        from tests.prove.called_phone import CalledPhone

        made = CalledPhone(self, remote)
        self.phones[made.sid] = made
        return made

    def ring(self, phone: "Phone") -> None:
        """Let the call happen."""
        task = asyncio.get_running_loop().create_task(phone.run())
        self.tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            print(f"a phone failed: {task.exception()!r}", file=sys.stderr)

    def sessions_of(self, phone: "Phone") -> list["RealtimeSession"]:
        """The model's sessions of this caller, oldest first."""
        return [
            session
            for session in self.model.sessions.values()
            if getattr(session.mind, "remote", "") == phone.remote
        ]

    async def rows[T](self, work: Callable[[], T]) -> T:
        """Database work in a thread."""
        from voice.bridge import threads

        return await asyncio.to_thread(threads.with_connection, work)

    async def call_of(self, phone: "Phone") -> "Call":
        from voice.models import Call

        return await self.rows(lambda: Call.objects.get(provider_sid=phone.sid))

    def server_errors(self) -> list[str]:
        """Lines of the server's log at level error, and tracebacks."""
        found = []
        for line in self.server.log_path.read_text(errors="replace").splitlines():
            if line.startswith("Traceback") or '"level": "error"' in line or '"level": "critical"' in line:
                found.append(line)
        return found

    def rss_mib(self) -> float:
        """Resident memory of the server."""
        for line in Path(f"/proc/{self.server.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0


async def until(true: Callable[[], bool], timeout_s: float, every_s: float = 0.02) -> bool:
    """Wait until `true()`; whether it became so in time."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not true():
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(every_s)
    return True


def run_live(
    body: Callable[[LiveSystem], Any],
    *,
    scale: float = 1.0,
    script: Script = talk,
    mind: type[PlainMind] = PlainMind,
    worker: bool = False,
    settings: dict[str, str] | None = None,
    server_module: str = "",
    profile: dict[str, Any] | None = None,
    tools: tuple[str, ...] = (),
    workspace: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Start it all, `await body(system)`, stop it all; what the body returned.

    `server_module` replaces `manage.py serve` (it gets `--port`); `profile` are fields of the voice profile,
    `workspace` those of the workspace.
    """
    ports = free_port(), free_port(), free_port()
    with _environment(ports, scale, settings or {}), tempfile.TemporaryDirectory() as folder:
        import django

        django.setup()
        _seed(profile or {}, tools, workspace or {})

        async def main() -> dict[str, Any]:
            async with _system(
                Path(folder), ports, scale, PlainMinds(script, mind), worker, server_module
            ) as system:
                result: dict[str, Any] = await body(system)
                return result

        return asyncio.run(main())


def main(promise: str, prove: Callable[[bool], dict[str, Any]]) -> None:
    """Run a promise's command: one JSON line, status 1 if it was broken."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true", default=os.environ.get("FULL", "") not in ("", "0"))
    began_s = time.monotonic()
    result = prove(parser.parse_args().full)
    line = {"promise": promise, **result, "took_s": time.monotonic() - began_s}
    rounded = {key: round(value, 1) if isinstance(value, float) else value for key, value in line.items()}
    print(json.dumps(rounded), flush=True)
    sys.exit(1 if result["violations"] else 0)


def ringing_call(remote: str) -> "Call":
    """A row of an incoming call that no phone of ours makes."""
    from django.utils import timezone

    from voice.models import AgentVersion, Call, CallStatus, Direction

    version = AgentVersion.objects.select_related("agent__workspace").get()
    return Call.objects.create(
        workspace=version.agent.workspace,
        direction=Direction.INBOUND,
        status=CallStatus.RINGING,
        from_number=remote,
        to_number="+14155550100",
        agent_version=version,
        provider_sid="CA" + secrets.token_hex(16),
        placed_at=timezone.now(),
    )


# --- what it is made of ---------------------------------------------------------------------------


@contextlib.contextmanager
def _environment(ports: tuple[int, int, int], scale: float, settings: dict[str, str]) -> Iterator[None]:
    """Engines, a database of our own beside the one named, and the settings of every process."""
    import psycopg

    for name in ("DEBUG", "SECRET_KEY"):
        os.environ.pop(name, None)
    ensure_environment(throwaway=True)
    app_port, carrier_port, model_port = ports
    base = f"http://127.0.0.1:{app_port}"
    given = os.environ["DATABASE_URL"]
    name = f"prove_{secrets.token_hex(4)}"
    os.environ |= {
        "DATABASE_URL": urlunsplit(urlsplit(given)._replace(path=f"/{name}")),
        "DJANGO_SETTINGS_MODULE": "tenex.settings",
        "SECRET_KEY": secrets.token_urlsafe(40),
        "TENEX_REHEARSAL": "1",
        "TENEX_TIME_SCALE": str(scale),
        "HOST": "127.0.0.1",
        "PORT": str(app_port),
        "PUBLIC_BASE_URL": base,
        "MEDIA_BASE_URL": base.replace("http", "ws"),
        "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
        "TWILIO_API_BASE_URL": f"http://127.0.0.1:{carrier_port}",
        "OPENAI_API_KEY": "sk-prove",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{model_port}/v1",
        "LOG_FORMAT": "json",
        "DRAIN_TIMEOUT_S": "1",
        "DATABASE_POOL_SIZE": "32",
        "PYTHONUNBUFFERED": "1",
        **settings,
    }
    with psycopg.connect(given, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"'.encode())
    try:
        yield
    finally:
        from django.db import connections

        connections.close_all()
        for handle in connections.all(initialized_only=True):
            close_pool = getattr(handle, "close_pool", None)
            if close_pool is not None:
                close_pool()
        with psycopg.connect(given, autocommit=True) as admin:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def _seed(profile: dict[str, Any], tools: tuple[str, ...], workspace: dict[str, Any]) -> None:
    from django.core.management import call_command

    from tenex.workspaces.models import RecordingConsent, Workspace
    from tests import rows
    from tests.prove.live_phone import OUR_NUMBER
    from voice.models import PhoneNumber, VoiceProfile

    call_command("migrate", verbosity=0)
    fields = {"max_concurrent_calls": 1000, "recording_consent": RecordingConsent.OFF, **workspace}
    space: Workspace = rows.workspace("prove", **fields)
    version = rows.version(space, tools=list(tools))
    VoiceProfile.objects.filter(pk=version.agent.profile_id).update(**profile)
    PhoneNumber.objects.create(workspace=space, e164=OUR_NUMBER, agent=version.agent)


@contextlib.asynccontextmanager
async def _system(
    folder: Path,
    ports: tuple[int, int, int],
    scale: float,
    minds: PlainMinds,
    worker: bool,
    server_module: str,
) -> AsyncIterator[LiveSystem]:
    from tenex.lib.clock import Clock
    from voice.rehearsal.model.state import MODEL
    from voice.rehearsal.openai_server import build_app

    app_port, carrier_port, model_port = ports
    base = f"http://127.0.0.1:{app_port}"
    model_app = build_app(None, ToneVoice(), clock=Clock(scale))
    model_app[MODEL].minds = minds
    server = [sys.executable, _MANAGE, "serve", "--role=all", f"--port={app_port}"]
    if server_module:
        server = [sys.executable, "-m", server_module, f"--port={app_port}"]
    helpers = {
        "worker": celery_command(Role.WORKER, "--concurrency=2", "--without-gossip", "--without-mingle"),
        "beat": celery_command(Role.BEAT, f"--schedule={folder / 'schedule'}", "--pidfile="),
    }
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        process = RealProcess("server", server, os.environ, folder)
        stack.callback(process.stop, timeout_s=8)
        for name, command in helpers.items() if worker else ():
            helper = RealProcess(name, command, os.environ, folder)
            stack.callback(helper.stop, timeout_s=8)
        system = LiveSystem(base, base.replace("http", "ws"), scale, model_app[MODEL], http, process)
        for app, port in ((model_app, model_port), (_carrier(system), carrier_port)):
            runner = web.AppRunner(app, shutdown_timeout=0.5)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.to_thread(process.wait_ready, lambda: answers(f"{base}/healthz/ready"))
        if kept := os.environ.get("PROVE_LOGS"):  # for whoever looks into a broken promise
            stack.callback(shutil.copytree, folder, kept, dirs_exist_ok=True)
        try:
            yield system
        except BaseException:
            print(f"--- server\n{process.log_tail()}", file=sys.stderr)
            raise
        finally:
            for phone in system.phones.values():
                await phone.drop()
            for task in list(system.tasks):
                task.cancel()
            await asyncio.gather(*system.tasks, return_exceptions=True)


def _carrier(system: LiveSystem) -> web.Application:
    """Twilio's REST door for the calls of our phones: look, hang up, new instructions."""

    def resource(phone: "Phone") -> dict[str, Any]:
        return {"sid": phone.sid, "status": phone.status, "direction": "inbound", "from": phone.remote}

    async def get(request: web.Request) -> web.Response:
        phone = system.phones.get(request.match_info["sid"])
        return web.json_response(resource(phone)) if phone else _gone()

    async def update(request: web.Request) -> web.Response:
        phone = system.phones.get(request.match_info["sid"])
        if phone is None:
            return _gone()
        form = await request.post()
        if phone.ended_at:
            body = {"code": 21220, "message": "Call is not in-progress.", "status": 400, "more_info": ""}
            return web.json_response(body, status=400)
        if phone.hang_up_refusals > 0:
            phone.hang_up_refusals -= 1
            body = {"code": 20500, "message": "Internal Server Error", "status": 500, "more_info": ""}
            return web.json_response(body, status=500)
        loop = asyncio.get_running_loop()
        work = phone.redirect(str(form["Twiml"])) if "Twiml" in form else phone.end("application")
        task = loop.create_task(work)
        system.tasks.add(task)
        task.add_done_callback(system.tasks.discard)
        await asyncio.sleep(0)
        return web.json_response(resource(phone))

    app = web.Application()
    path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{{sid}}.json"
    app.router.add_get(path, get)
    app.router.add_post(path, update)
    recordings = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{{sid}}/Recordings"
    app.router.add_post(f"{recordings}.json", _record(system, "started"))
    app.router.add_post(f"{recordings}/Twilio.CURRENT.json", _record(system, "stopped"))
    return app


def _record(system: LiveSystem, what: str) -> Any:
    async def answer(request: web.Request) -> web.Response:
        phone = system.phones.get(request.match_info["sid"])
        if phone is None or phone.ended_at:
            return _gone()
        phone.recording[what] = asyncio.get_running_loop().time()
        return web.json_response({"sid": "RE" + phone.sid[2:], "status": what}, status=201)

    return answer


def _gone() -> web.Response:
    body = json.dumps({"code": 20404, "message": "not found", "status": 404, "more_info": ""})
    return web.Response(text=body, status=404, content_type="application/json")
