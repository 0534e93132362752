"""`manage.py calling stop|start|status`: the kill switch of the whole instance."""

import getpass
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from voice.outbound import standing
from voice.services import switches


class Command(BaseCommand):
    """Stop all dialing, let it go on, or say how it stands."""

    help = "The kill switch of the whole instance: stop all dialing, let it go on, or say how it stands."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to do, and why."""
        parser.add_argument("action", choices=("stop", "start", "status"))
        parser.add_argument("--reason", default="", help="kept with the switch and in the audit logs")

    def handle(self, *args: Any, **options: Any) -> None:
        """Throw the switch, then say how it stands."""
        actor = f"system:{getpass.getuser()}"
        match options["action"]:
            case "stop":
                switches.stop(actor=actor, reason=options["reason"])
            case "start":
                switches.start(actor=actor)
        for line in standing.lines():
            self.stdout.write(line)
