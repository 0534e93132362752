"""`manage.py demo`: the door to tenex.demo."""

import os
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from tenex.demo.run import run


class Command(BaseCommand):
    help = "Start a system of its own, place five calls through it, show what came out."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        speed = float(os.environ.get("DEMO_SPEED") or 1)
        parser.add_argument("--speed", type=float, default=speed, help="Clock factor; 1 is real time.")

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(run(Path(settings.DATA_DIR) / "demo", port=settings.PORT, speed=options["speed"]))
