"""The world of the webhook promises: a database of its own and real Celery workers that can be killed.

Time is compressed by TENEX_TIME_SCALE only. The scheduler keeps to a slower clock than the workers, or it
would do nothing but wake them.
"""

import contextlib
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenex.supervisor.plan import Role, celery_command
from tests.prove.dial_rig import database
from tests.prove.faulty_receiver import Secrets
from tests.rig.process import RealProcess

if TYPE_CHECKING:
    from tenex.webhooks.models import WebhookSubscription
    from tenex.workspaces.models import Workspace

CONCURRENCY = 2


class Workers:
    """Celery workers and the scheduler, as in production."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder, self._environment = folder, dict(environment)
        self._running: dict[str, RealProcess] = {}
        self.kills = 0

    def start(self, count: int) -> None:
        """Start so many workers and a scheduler; returns when they wait for messages."""
        for number in range(count):
            self._start(f"worker-{number}")
        schedule = f"--schedule={self._folder / 'beat'}"
        beat = celery_command(Role.BEAT, schedule, "--pidfile=", "--loglevel=WARNING")
        slow = self._environment | {"TENEX_TIME_SCALE": "2"}
        self._running["beat"] = RealProcess("beat", beat, slow, self._folder)
        self.wait_ready(count)

    def wait_ready(self, count: int) -> None:
        """Until that many workers block on the broker."""
        import redis

        with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:

            def waiting() -> bool:
                rows: Any = client.client_list()
                return sum(1 for row in rows if row["cmd"] == "brpop") >= count

            self._running["worker-0"].wait_ready(waiting)

    def kill(self, number: int) -> None:
        """kill -9 of a worker with all its processes; another one is started at once."""
        self._running[f"worker-{number}"].kill()
        self.kills += 1
        self._start(f"worker-{number}")

    def stop(self) -> None:
        for process in self._running.values():
            process.kill()

    def log(self) -> str:
        return "\n".join(process.log_tail() for process in self._running.values())

    def broken(self) -> int:
        """Lines that no worker may write."""
        return sum(
            path.read_text(errors="replace").count("webhook delivery broke")
            for path in self._folder.glob("worker-*.log")
        )

    def _start(self, name: str) -> None:
        command = celery_command(
            Role.WORKER, f"--hostname={name}@prove", f"--concurrency={CONCURRENCY}",
            "--without-mingle", "--without-gossip", "--loglevel=WARNING",
        )  # fmt: skip
        self._running[name] = RealProcess(name, command, self._environment, self._folder)


@contextmanager
def world(*, time_scale: float = 1.0, environment: Mapping[str, str] | None = None) -> Iterator[Workers]:
    """A migrated database and workers that are not started yet."""
    folder = Path(tempfile.mkdtemp(prefix="tenex-prove-"))
    os.environ.update(
        {
            "DEBUG": "1",
            "LOG_LEVEL": "ERROR",
            "TENEX_TIME_SCALE": str(time_scale),
            "DATABASE_POOL_SIZE": "12",
            "DJANGO_SETTINGS_MODULE": "tenex.settings",
            **(environment or {}),
        }
    )
    from tenex.engines.bootstrap import ensure_environment

    ensure_environment(throwaway=True)
    with database():
        workers = Workers(folder, os.environ)
        try:
            yield workers
        except BaseException:
            with contextlib.suppress(OSError):
                print(workers.log(), file=sys.stderr)
            raise
        finally:
            workers.stop()


def workspace() -> "Workspace":
    from tenex.workspaces.services import workspaces

    tag = uuid.uuid4().hex[:12]
    return workspaces.create({"name": tag, "slug": tag}, "system:prove")


def subscribe(space: "Workspace", url: str, **fields: Any) -> "WebhookSubscription":
    from tenex.webhooks.services import subscriptions

    return subscriptions.create(space, url=url, actor="system:prove", **fields)[0]


def secrets_of(lane: "WebhookSubscription") -> Secrets:
    """What its requests must be signed with."""
    from tenex.webhooks.services import secrets

    return Secrets(secrets.of_subscription(lane), secrets.of_workspace(lane.workspace))


def record(space: "Workspace", **data: Any) -> tuple[str, float]:
    """One event; its id, and the wall clock right after its commit."""
    from django.db import transaction

    from tenex.events import services as events

    with transaction.atomic():
        event = events.record(workspace_id=space.pk, type="lead.updated", data=data)
    if event is None:
        raise RuntimeError("not recorded")
    return event.id, time.time()


def percentile(values: list[float], share: float) -> float:
    """Nearest rank; 0 without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
