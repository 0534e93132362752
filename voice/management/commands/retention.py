"""`manage.py retention …`: look at, and do, what the minute's task does; holds; the chain of receipts."""

import getpass
import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from tenex.errors import TenexError
from tenex.workspaces.models import Workspace
from voice.models import LegalHold
from voice.selectors import retention as read
from voice.services import holds, retention


class Command(BaseCommand):
    help = "Deletes what has been kept long enough, and tells what was and what would be deleted."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["preview", "run", "hold", "release", "holds", "verify"])
        parser.add_argument("--workspace", default="", help="Slug; without it all of them.")
        parser.add_argument("--seconds", type=float, default=3600.0, help="run: stop after so long.")
        parser.add_argument("--step", type=int, default=retention.BATCH, help="run: calls a transaction.")
        parser.add_argument("--call", type=uuid.UUID, help="hold: this call.")
        parser.add_argument("--lead", type=uuid.UUID, help="hold: all calls of this lead.")
        parser.add_argument("--reason", default="", help="hold: why.")
        parser.add_argument("--hold", type=uuid.UUID, help="release: this hold.")

    def handle(self, *args: Any, **options: Any) -> None:
        spaces = list(Workspace.objects.order_by("slug"))
        if slug := options["workspace"]:
            spaces = [space for space in spaces if space.slug == slug]
            if not spaces:
                raise CommandError(f"there is no workspace {slug!r}")
        try:
            getattr(self, f"_{options['action']}")(spaces, options)
        except TenexError as exc:
            raise CommandError(exc.detail) from exc

    def _preview(self, spaces: list[Workspace], options: dict[str, Any]) -> None:
        for space in spaces:
            for one in read.outlook(space, timezone.now()):
                told = ", ".join(f"{count} {name}" for name, count in one.now.items())
                self.stdout.write(f"{space.slug}  {one.kept_class.value:<10}  {told}")

    def _run(self, spaces: list[Workspace], options: dict[str, Any]) -> None:
        total = retention.purge_all(seconds=options["seconds"], only=spaces, at_once=options["step"])
        told = ", ".join(f"{count} {name}" for name, count in sorted(total.items()))
        self.stdout.write(f"deleted: {told or 'nothing was due'}")

    def _hold(self, spaces: list[Workspace], options: dict[str, Any]) -> None:
        if not options["workspace"] or not options["reason"]:
            raise CommandError("name the --workspace and the --reason")
        made = holds.hold(
            spaces[0],
            reason=options["reason"],
            actor=f"system:{getpass.getuser()}",
            call_id=options["call"],
            lead_id=options["lead"],
        )
        self.stdout.write(str(made.pk))

    def _release(self, spaces: list[Workspace], options: dict[str, Any]) -> None:
        made = LegalHold.objects.filter(pk=options["hold"], workspace__in=spaces).first()
        if made is None:
            raise CommandError("there is no such hold; name it with --hold")
        holds.release(made, actor=f"system:{getpass.getuser()}")

    def _holds(self, spaces: list[Workspace], options: dict[str, Any]) -> None:
        for space in spaces:
            for made in read.holds(space):
                self.stdout.write(f"{made.pk}  {space.slug}  {made}  {made.reason}")

    def _verify(self, spaces: list[Workspace], options: dict[str, Any]) -> None:
        for space in spaces:
            broken = retention.first_forged(space)
            if broken is not None:
                raise CommandError(f"{space.slug}: receipt {broken} was changed, or one is missing")
            self.stdout.write(f"{space.slug}: {read.receipts(space).count()} receipts hold")
