"""`manage.py serve`: one HTTP and media process."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from tenex.errors import TenexError
from tenex.monitoring import listener as metrics
from tenex.server.listener import listen_tcp, listen_unix
from tenex.server.roles import ServerRole, for_role
from tenex.server.serve import ServeOptions, serve


class Command(BaseCommand):
    """Serve one role until a signal; the first SIGTERM drains, the second ends at once."""

    help = "Serve the web role, the media role or both. The first SIGTERM drains, the second ends at once."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to listen, and as what."""
        role = settings.ROLE if settings.ROLE in set(ServerRole) else ServerRole.ALL
        parser.add_argument("--role", choices=[str(role) for role in ServerRole], default=str(role))
        parser.add_argument("--host", default=settings.HOST)
        parser.add_argument("--port", type=int, default=settings.PORT)
        parser.add_argument("--reuse-port", action="store_true", help="share the port with other processes")
        parser.add_argument(
            "--metrics-port",
            type=int,
            default=0,
            help="give the figures of this very process there, too: for processes that share a port",
        )
        parser.add_argument("--uds", type=Path, help="listen on a Unix socket instead of host and port")

    def handle(self, *args: Any, **options: Any) -> None:
        """Bind, load the application, serve."""
        role = ServerRole(options["role"])
        os.environ["TENEX_ROLE"] = settings.ROLE = str(role)
        try:
            if options["uds"]:
                listener, where = listen_unix(options["uds"]), str(options["uds"])
            else:
                listener = listen_tcp(options["host"], options["port"], reuse_port=options["reuse_port"])
                where = "http://{}:{}".format(*listener.getsockname()[:2])
            if options["metrics_port"] and settings.METRICS_TOKEN:
                metrics.listen(options["host"], options["metrics_port"])
        except (TenexError, OSError) as error:
            raise CommandError(str(error), returncode=3) from error

        # Late: it loads every app, and a taken port should be told at once.
        from tenex.asgi import application

        self.stdout.write(f"{role} listening on {where}")
        self.stdout.flush()
        started = serve(
            for_role(application, role),
            listener,
            ServeOptions(
                drain_timeout_s=settings.DRAIN_TIMEOUT_S,
                ping_interval_s=settings.WS_PING_INTERVAL_S,
                ping_timeout_s=settings.WS_PING_TIMEOUT_S,
                stop_accepting=options["reuse_port"],
                trust_proxy=settings.SECURE_PROXY_SSL_HEADER is not None,
            ),
        )
        if not started:
            raise CommandError("The server did not start.")
