"""`manage.py recordings …`: how recordings lie in the storage, and putting old ones into envelopes."""

import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Count

from tenex.errors import TenexError
from tenex.workspaces.models import Workspace
from voice.models import Recording, RecordingProblem, RecordingStatus
from voice.selectors import recordings as read
from voice.services import recording_files as files


class Command(BaseCommand):
    help = "Tells how recordings are stored; encrypts, reads back, fetches again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["status", "encrypt", "verify", "retry"])
        parser.add_argument("--workspace", default="", help="Slug; without it all of them.")
        parser.add_argument("--step", type=int, default=50, help="encrypt: recordings between two lines.")
        parser.add_argument("--most", type=int, default=0, help="encrypt, verify: stop after so many.")

    def handle(self, *args: Any, **options: Any) -> None:
        space = None
        if slug := options["workspace"]:
            space = Workspace.objects.filter(slug=slug).first()
            if space is None:
                raise CommandError(f"there is no workspace {slug!r}")
        try:
            getattr(self, f"_{options['action']}")(space, options)
        except TenexError as exc:
            raise CommandError(f"{exc.detail} ({exc.code}); what is done stays done, start it again") from exc

    def _status(self, space: Workspace | None, options: dict[str, Any]) -> None:
        for row in self._spaces(space):
            for how in read.lying(row):
                told = f"{how.files:>8} stored   {how.size_bytes:>14} bytes, encrypted: {how.at_rest.label}"
                self.stdout.write(f"{told}  {row.slug}")
            for one in read.troubled(row).values("status", "problem").annotate(n=Count("pk")).order_by():
                problem = RecordingProblem(one["problem"]).label
                self.stdout.write(f"{one['n']:>8} {one['status']:<8} {problem}  {row.slug}")

    def _encrypt(self, space: Workspace | None, options: dict[str, Any]) -> None:
        """Oldest first; can be cut off at any moment, and goes on where it was."""
        total = broken = 0
        while not options["most"] or total < options["most"]:
            step = min(options["step"], options["most"] - total) if options["most"] else options["step"]
            done, failed = files.seal_some(step, space)
            total, broken = total + done, broken + failed
            if not done + failed:
                break
            self.stdout.write(f"{total} encrypted, {files.plain(space).filter(problem='').count()} to go")
        self.stdout.write(f"{total} encrypted, {broken} are not what was stored")

    def _verify(self, space: Workspace | None, options: dict[str, Any]) -> None:
        rows = Recording.objects.filter(status=RecordingStatus.STORED)
        rows = (rows.filter(workspace=space) if space else rows).order_by("created_at")
        wrong = right = 0
        for row in rows[: options["most"]] if options["most"] else rows.iterator():
            if files.verify(row):
                right += 1
            else:
                wrong += 1
                self.stdout.write(f"{row.pk}  of call {row.call_id} is not what was stored")
        self.stdout.write(f"{right} are as they were stored, {wrong} are not")

    def _retry(self, space: Workspace | None, options: dict[str, Any]) -> None:
        count = 0
        for row in self._spaces(space):
            for one in read.troubled(row).filter(status=RecordingStatus.FAILED):
                files.try_again(one, f"system:{getpass.getuser()}")
                count += 1
        self.stdout.write(f"{count} are fetched again")

    def _spaces(self, space: Workspace | None) -> list[Workspace]:
        return [space] if space else list(Workspace.objects.order_by("slug"))
