"""The world of the dialing promises: a database of its own, a carrier that keeps the truth, forked processes.

Time is compressed by settings only: TENEX_TIME_SCALE, DIAL_GRACE_S, FINALIZE_LEASE_S.
"""

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from tenex.engines.postgres import SEED_VARIABLE
from tenex.lib import daytime
from tests.prove.fake_carrier import FakeCarrier

if TYPE_CHECKING:
    from crm.models import Lead
    from tenex.workspaces.models import Workspace
    from voice.models import Batch

SCALE = 10.0
GRACE_S = 20.0
"""Of the rehearsal's clock: two real seconds."""
STUCK_S = 30.0
"""Real seconds without a dial or a finalized call: many times what any repair takes."""
PROJECT = Path(__file__).resolve().parents[2]


class Processes:
    """Forked workers and a web process; see tests.prove.dial_worker."""

    def __init__(self, port: int, log: IO[str]) -> None:
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.prove.dial_worker", str(port)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            bufsize=1,
            start_new_session=True,
        )
        self._lock = threading.Condition()
        self._one_at_a_time = threading.Lock()
        self._born: list[int] = []
        self.dead: dict[int, int] = {}
        self._ready = False
        threading.Thread(target=self._listen, daemon=True).start()
        with self._lock:
            if not self._lock.wait_for(lambda: self._ready, 60):
                raise RuntimeError("the application's processes did not start")

    def _listen(self) -> None:
        assert self._parent.stdout is not None
        for line in self._parent.stdout:
            words = line.split()
            with self._lock:
                if words == ["ready"]:
                    self._ready = True
                elif words[0] == "dead":
                    self.dead[int(words[1])] = int(words[2])
                else:
                    self._born.append(int(words[0]))
                self._lock.notify_all()

    def spawn(self, role: str = "worker", failpoint: str = "") -> int:
        """Fork one; its process id."""
        assert self._parent.stdin is not None
        with self._one_at_a_time, self._lock:
            before = len(self._born)
            self._parent.stdin.write(f"spawn {role} {failpoint or '-'}\n")
            self._parent.stdin.flush()
            if not self._lock.wait_for(lambda: len(self._born) > before, 20):
                raise RuntimeError("no child was forked")
            return self._born[before]

    def kill(self, pid: int) -> None:
        """SIGKILL; returns when it is gone."""
        if pid not in self.dead:
            os.kill(pid, signal.SIGKILL)
        self.wait_dead(pid, 10)

    def wait_dead(self, pid: int, timeout_s: float) -> bool:
        with self._lock:
            return self._lock.wait_for(lambda: pid in self.dead, timeout_s)

    def close(self) -> None:
        assert self._parent.stdin is not None
        self._parent.stdin.close()
        try:
            self._parent.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._parent.pid, signal.SIGKILL)


class Rig:
    """One promise's world; made by :func:`rig`."""

    def __init__(self, carrier: FakeCarrier, port: int, log: Path) -> None:
        self.carrier, self.log, self._port = carrier, log, port
        self.processes = self._start()
        self._next_lead = random.randrange(10**7)

    def restart(self, settings: dict[str, str]) -> None:
        """End all processes and start their parent anew, with these settings on top."""
        self.processes.close()
        os.environ.update(settings)
        self.processes = self._start()

    def _start(self) -> Processes:
        with self.log.open("a") as log:
            return Processes(self._port, log)

    def batch(self, leads: int, *, calls_per_second: float, lines: int) -> "Batch":
        """A running batch of so many leads in a workspace of its own."""
        from voice.services import batches, openings

        space = self.space(calls_per_second=calls_per_second, lines=lines)
        ids = self._leads(space, leads)
        made = batches.create(
            space, objective="x", lead_ids=ids[:500], concurrency=500, machine_detection=False
        )
        for first in range(500, leads, 500):
            batches.append(made.batch, ids[first : first + 500])
        batches.run_due()
        openings.make_ready([space.pk])  # so that no worker spends its first seconds on it
        return made.batch

    def space(self, *, calls_per_second: float, lines: int, **fields: Any) -> "Workspace":
        """A workspace with an agent and a number, whose people live where it is day."""
        from datetime import time as day

        from tenex.workspaces.models import Workspace
        from voice.models import Agent, AgentVersion, PhoneNumber, VoiceProfile

        tag = uuid.uuid4().hex[:8]
        space = Workspace.objects.create(
            name=tag,
            slug=tag,
            webhook_secret="s",
            recording_consent="off",
            # Around the clock, as far as the law goes where these people live: where it is day.
            calling_window_start=day(0),
            calling_window_end=day(0),
            calling_rules="legal",
            calling_countries=daytime.COUNTRIES,
            min_gap_between_calls_s=0,
            max_concurrent_calls=lines,
            # The rig's own pace: real seconds.
            calls_per_second=calls_per_second / SCALE,
            **fields,
        )
        profile = VoiceProfile.objects.create(workspace=space, name="Voice")
        agent = Agent.objects.create(workspace=space, name="Ava", slug="ava", profile=profile)
        agent.current_version = AgentVersion.objects.create(agent=agent, number=1, system_prompt="Ava.")
        agent.save()
        PhoneNumber.objects.create(workspace=space, e164=f"+1415{random.randrange(10**7):07}")
        return space

    def top_up(self, batch: "Batch", leads: int) -> bool:
        """More leads for a batch that still runs; False if it is over."""
        from tenex.errors import Conflict
        from voice.services import batches

        try:
            batches.append(batch, self._leads(batch.workspace, leads))
        except Conflict:
            return False
        return True

    def _leads(self, space: Any, count: int) -> list[uuid.UUID]:
        """People with numbers that nobody else in this world has, who have agreed to be called."""
        people = self.people(space, count)
        self.agree(people)
        return [lead.pk for lead in people]

    def people(self, space: Any, count: int) -> "list[Lead]":
        """The same, who have agreed to nothing yet."""
        from django.utils import timezone

        from crm.models import Lead

        first, self._next_lead = self._next_lead, self._next_lead + count
        home = daytime.place(timezone.now())
        return Lead.objects.bulk_create(
            Lead(
                workspace=space,
                phone=f"{home.prefix[:-1]}{index % 10**5:05}",
                time_zone=home.zone,
                country=home.country,
            )
            for index in range(first, first + count)
        )

    def agree(self, people: "list[Lead]", **fields: Any) -> None:
        """A consent of each, to marketing calls from now on if nothing else is said."""
        from django.utils import timezone

        from crm.models import Consent

        agreed = {"purpose": "marketing", "source": "form", "given_at": timezone.now(), **fields}
        Consent.objects.bulk_create(
            Consent(workspace_id=lead.workspace_id, lead=lead, recorded_by="system:prove", **agreed)
            for lead in people
        )

    def wait_completed(self, batch: "Batch") -> bool:
        """Until the batch is completed and the carrier has nothing left; False if nothing moves any more."""
        from voice.models import Call

        seen, since_s = (-1, -1), time.monotonic()
        while time.monotonic() - since_s < STUCK_S:
            batch.refresh_from_db()
            if batch.status == "completed" and not self.carrier.live():
                return True
            now = (len(self.carrier.log), Call.objects.filter(batch=batch, status="finalized").count())
            if now != seen:
                seen, since_s = now, time.monotonic()
            time.sleep(0.2)
        return False

    def audit(self, batch: "Batch", *, dialable: Callable[[str], bool] = lambda _: True) -> Counter[str]:
        """Every way in which the promise could be broken, counted; empty if it holds.

        Truth is the carrier's: who was dialed, how often, and how it ended.
        """
        from tenex.events.models import Event
        from voice.models import Call, Recipient

        broken: Counter[str] = Counter()
        dialed, talked = self.carrier.dialed(), self.carrier.conversations()
        for recipient in Recipient.objects.filter(batch=batch).select_related("lead"):
            phone = recipient.lead.phone or ""
            if dialed[phone] > 1:
                broken["dialed_twice"] += 1
                self._tell(recipient.pk, phone)
            broken["conversations_twice"] += talked[phone] > 1
            broken["never_dialed"] += dialable(phone) and dialed[phone] == 0
            broken["recipient_not_done"] += recipient.status != "done"
        batch.refresh_from_db()
        broken["batch_not_completed"] += batch.status != "completed"
        told = Event.objects.filter(workspace_id=batch.workspace_id).values_list("type", "call_id")
        events = Counter((type_, call_id) for type_, call_id in told)
        broken["batch_event"] += events["batch.completed", None] != 1
        known = set()
        for call in Call.objects.filter(batch=batch):
            broken["not_final"] += call.status != "finalized"
            broken["end_event"] += events["call.ended", call.pk] != 1
            broken["run_event"] += events["agent.run.completed", call.pk] != 1
            known.add(call.provider_sid)
        mine = [call for call in list(self.carrier.calls.values()) if call.sid not in known]
        broken["orphans"] += len(mine)
        broken["unexpected_errors"] += self.unexpected()
        return +broken

    def _tell(self, recipient_id: uuid.UUID, phone: str) -> None:
        """On stderr, what each side knows of somebody who was dialed twice."""
        from voice.models import DialAttempt

        ours = DialAttempt.objects.filter(call__recipient=recipient_id).order_by("created_at")
        fields = ("number", "state", "created_at", "posted_at", "resolved_at", "http_status", "error_code")
        for row in ours.values("provider_sid", *fields):
            print(phone, "ours", {key: str(value) for key, value in row.items()}, file=sys.stderr)
        for call in list(self.carrier.calls.values()):
            if call.to == phone:
                print(phone, "carrier", call.sid, call.created_at, call.status, file=sys.stderr)

    def unexpected(self) -> int:
        """Exceptions that reached the top of a worker's loop."""
        return self.log.read_text(errors="replace").count("UNEXPECTED ")


@contextmanager
def rig(carrier: FakeCarrier, settings: dict[str, str] | None = None) -> Iterator[Rig]:
    """A migrated database, a carrier, and the application's parent process without children yet."""
    folder = Path(tempfile.mkdtemp(prefix="tenex-prove-"))
    with carrier:
        port = free_port()
        os.environ.update(
            {
                "DEBUG": "1",
                "LOG_LEVEL": "ERROR",
                "TENEX_TIME_SCALE": str(SCALE),
                "DIAL_GRACE_S": str(GRACE_S),
                "FINALIZE_LEASE_S": "2",
                "CARRIER_CALLS_PER_SECOND": "100",
                "CALL_LEASE_S": "5",  # nobody has the media here: what counts is the carrier's word
                "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
                "OPENAI_API_KEY": "sk-none",
                "SPEECH_MODEL": "",  # the packaged voice: nobody listens here
                "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
                "CELERY_BROKER_URL": "memory://",
                "DATABASE_POOL_SIZE": "8",
                "DJANGO_SETTINGS_MODULE": "tenex.settings",
                **carrier.environment(),
                **(settings or {}),
            }
        )
        from tenex.engines.bootstrap import ensure_environment

        ensure_environment(throwaway=True)
        with database():
            media_process()
            world = Rig(carrier, port, folder / "workers.log")
            try:
                yield world
            finally:
                world.processes.close()


def main(promise: str, prove: Callable[[bool], dict[str, Any]]) -> None:
    """Run a promise's command: one JSON line, status 1 if it was broken."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true", default=os.environ.get("FULL", "") not in ("", "0"))
    began_s = time.monotonic()
    line = prove(parser.parse_args().full)
    print(
        json.dumps({"promise": promise, **line, "took_s": round(time.monotonic() - began_s, 1)}), flush=True
    )
    sys.exit(1 if line["violations"] else 0)


def media_process() -> None:
    """Somebody who could carry the calls: nobody is dialed for nobody. The carrier here has no media."""
    from datetime import timedelta

    from django.utils import timezone

    from voice.models import MediaProcess

    now = timezone.now()
    MediaProcess.objects.create(
        name="rig", capacity=10_000, started_at=now, alive_until=now + timedelta(days=1)
    )


@contextmanager
def database() -> Iterator[None]:
    """A database beside the configured one, migrated, dropped at the end."""
    import psycopg

    parts = urlsplit(os.environ["DATABASE_URL"])
    name = f"prove_{os.getpid()}"
    server = urlunsplit(parts._replace(path="/postgres"))
    with psycopg.connect(server, autocommit=True) as admin:
        # A seed's database is migrated already.
        template = f" TEMPLATE {parts.path.removeprefix('/')}" if os.environ.get(SEED_VARIABLE) else ""
        admin.execute(f"CREATE DATABASE {name}{template}")
    os.environ["DATABASE_URL"] = urlunsplit(parts._replace(path=f"/{name}"))
    try:
        import django
        from django.core.management import call_command
        from django.db import connections

        django.setup()
        call_command("migrate", verbosity=0)
        yield
        connections.close_all()
    finally:
        os.environ["DATABASE_URL"] = urlunsplit(parts)
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
