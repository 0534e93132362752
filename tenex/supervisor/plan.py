"""Which processes a system on one machine is made of, and in which order they end."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import assert_never

_PROJECT = Path(__file__).resolve().parents[2]
_QUIET_AS_ROOT = "ignore:You're running the worker with superuser privileges"
MANAGE = str(_PROJECT / "manage.py")


class Role(StrEnum):
    """What may be named in `--roles`."""

    WEB = "web"
    MEDIA = "media"
    WORKER = "worker"
    BEAT = "beat"


DEFAULT_ROLES = (Role.WEB, Role.WORKER, Role.BEAT)


class EndStage(IntEnum):
    """Children end stage by stage: nothing new is claimed, then calls drain, then their work is finished."""

    FIRST = 1
    AFTER_CALLS = 2


@dataclass(frozen=True)
class ChildPlan:
    """One process.

    Attributes:
        name: what its lines are prefixed with.
        command: program and arguments.
        stage: when it is asked to end.
        stop_timeout_s: how long it may take from SIGTERM to its end before it is killed.
        environment: what it gets on top of ours.
    """

    name: str
    command: Sequence[str]
    stage: EndStage
    stop_timeout_s: float
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PlanOptions:
    """What the plan depends on. With a `media` role of its own, it listens on `media_port`."""

    host: str
    port: int
    media_port: int
    data_dir: Path
    worker_concurrency: int
    drain_timeout_s: float
    log_level: str = "INFO"


def children_of(roles: Sequence[Role], options: PlanOptions) -> list[ChildPlan]:
    """The processes for these roles. `web` carries the media sockets unless `media` is named beside it."""
    return [_child(role, roles, options) for role in Role if role in roles]


def _child(role: Role, roles: Sequence[Role], options: PlanOptions) -> ChildPlan:
    match role:
        case Role.WEB:
            return _server("web", "web" if Role.MEDIA in roles else "all", options.port, options)
        case Role.MEDIA:
            return _server("media", "media", options.media_port, options)
        case Role.WORKER:
            arguments = [
                f"--concurrency={options.worker_concurrency}",
                "--without-gossip",
                "--without-mingle",
            ]
            return _celery(role, arguments, options, EndStage.AFTER_CALLS, stop_timeout_s=40)
        case Role.BEAT:
            arguments = [f"--schedule={options.data_dir / 'beat-schedule'}", "--pidfile="]
            return _celery(role, arguments, options, EndStage.FIRST, stop_timeout_s=10)
        case _:
            assert_never(role)


def _server(name: str, server_role: str, port: int, options: PlanOptions) -> ChildPlan:
    command = [
        sys.executable,
        MANAGE,
        "serve",
        f"--role={server_role}",
        f"--host={options.host}",
        f"--port={port}",
    ]
    # After the drain requests in progress and the sockets themselves end within a few seconds.
    stop_timeout_s = options.drain_timeout_s + 15
    return ChildPlan(name, command, EndStage.FIRST, stop_timeout_s, {"TENEX_ROLE": server_role})


def celery_command(role: Role, *arguments: str) -> list[str]:
    """Celery as `worker` or as `beat`."""
    app = "tenex.scheduler" if role is Role.BEAT else "tenex"
    return [sys.executable, "-m", "celery", f"--app={app}", "--quiet", role, *arguments]


def _celery(
    role: Role, arguments: list[str], options: PlanOptions, stage: EndStage, *, stop_timeout_s: float
) -> ChildPlan:
    command = celery_command(role, *arguments, f"--loglevel={options.log_level}")
    # In a container, and on a machine that is only tried out, everything runs as root: one warning a start is
    # noise.
    return ChildPlan(
        role, command, stage, stop_timeout_s, {"TENEX_ROLE": role, "PYTHONWARNINGS": _QUIET_AS_ROOT}
    )


def rehearsal_of(options: PlanOptions) -> ChildPlan:
    """The offline carrier and model beside the system (`rehearse serve`). Ends after the calls do."""
    carrier, model = _doubles(options)
    command = [
        sys.executable,
        MANAGE,
        "rehearse",
        "serve",
        f"--carrier-port={carrier}",
        f"--openai-port={model}",
        f"--app-url=http://127.0.0.1:{options.port}",
    ]
    return ChildPlan("rehearsal", command, EndStage.AFTER_CALLS, 15)


def rehearsal_environment(options: PlanOptions) -> dict[str, str]:
    """What points all processes at the doubles, whatever account the environment names."""
    carrier, model = _doubles(options)
    own = f"http://127.0.0.1:{options.port}"
    return {
        "TENEX_REHEARSAL": "1",
        "PUBLIC_BASE_URL": own,
        "MEDIA_BASE_URL": own.replace("http", "ws", 1),
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 31 + "1",
        "TWILIO_AUTH_TOKEN": secrets.token_hex(16),
        "TWILIO_API_KEY_SID": "",
        "TWILIO_API_BASE_URL": f"http://127.0.0.1:{carrier}",
        "OPENAI_API_KEY": "sk-rehearsal-" + secrets.token_hex(12),
        "OPENAI_BASE_URL": f"http://127.0.0.1:{model}/v1",
    }


def _doubles(options: PlanOptions) -> tuple[int, int]:
    """Ports of carrier and model: behind those of the system."""
    first = max(options.port, options.media_port) + 1
    return first, first + 1
