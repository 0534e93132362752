"""`manage.py up`: the whole system in one terminal."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from tenex import engines
from tenex.errors import TenexError
from tenex.server.listener import listen_tcp
from tenex.supervisor.output import Output
from tenex.supervisor.plan import (
    DEFAULT_ROLES,
    PlanOptions,
    Role,
    children_of,
    rehearsal_environment,
    rehearsal_of,
)
from tenex.supervisor.prepare import close, prepare
from tenex.supervisor.run import supervise
from tenex.workspaces.services import first_owner


def _roles(text: str) -> list[Role]:
    try:
        return [Role(name.strip()) for name in text.split(",") if name.strip()]
    except ValueError as error:
        raise ArgumentTypeError(f"roles are {', '.join(Role)}") from error


class Command(BaseCommand):
    """Engines, migrations, then the processes of the named roles, until Ctrl-C."""

    help = "Run the system in this terminal: web with media, worker, scheduler. Ctrl-C ends it, calls first."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which processes, and where they listen."""
        parser.add_argument(
            "--roles", type=_roles, default=list(DEFAULT_ROLES), help=f"any of {', '.join(Role)}"
        )
        parser.add_argument("--host", default=settings.HOST)
        parser.add_argument("--port", type=int, default=settings.PORT)
        parser.add_argument(
            "--rehearsal",
            action="store_true",
            help="with an offline carrier and model beside it: no real account is used, no phone rings",
        )
        parser.add_argument(
            "--media-port", type=int, help="of a media process of its own (default: port + 1)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit status: 0 after an ordered end, 1 when a process could not be kept up, 3 for a taken port."""
        roles: list[Role] = options["roles"]
        host, port = options["host"], options["port"]
        media_port = options["media_port"] or port + 1
        for wanted, role in ((port, Role.WEB), (media_port, Role.MEDIA)):
            if role in roles:
                _check_free(host, wanted)
        output = Output()
        output.say("preparing the database")
        try:
            prepare()
        except KeyboardInterrupt:
            engines.stop()
            output.say("ended before anything was started")
            sys.exit(130)
        if first_owner.nobody_yet():
            output.say("nobody can sign in yet. Make the first owner here, within a day:")
            output.say(f"  {first_owner.link()}")
        close()
        plan_options = PlanOptions(
            host=host,
            port=port,
            media_port=media_port,
            data_dir=settings.DATA_DIR,
            worker_concurrency=settings.WORKER_CONCURRENCY,
            drain_timeout_s=settings.DRAIN_TIMEOUT_S,
            log_level=settings.LOG_LEVEL,
        )
        plans = children_of(roles, plan_options)
        if options["rehearsal"]:
            plans.insert(0, rehearsal_of(plan_options))
            os.environ.update(rehearsal_environment(plan_options))
        status = supervise(
            plans,
            output,
            ready_text=f"starting {', '.join(roles)} on http://{host}:{port} (Ctrl-C ends)",
            stop_engines=engines.stop,
        )
        if status:
            sys.exit(status)


def _check_free(host: str, port: int) -> None:
    try:
        listen_tcp(host, port).close()
    except (TenexError, OSError) as error:
        raise CommandError(str(error), returncode=3) from error
