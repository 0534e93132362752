"""`manage.py person …`: what is known about somebody, and forgetting it (docs/retention.md)."""

import getpass
import uuid
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenex.errors import TenexError
from tenex.workspaces.models import Workspace
from voice.models import Erasure
from voice.services import erasure, person_archive, persons


class Command(BaseCommand):
    help = "Exports or erases everything about one person, by phone number or lead."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["export", "erase", "erasures"])
        parser.add_argument("--workspace", required=True, help="Slug.")
        parser.add_argument("--phone", default="", help="Their number.")
        parser.add_argument("--lead", type=uuid.UUID, help="Their lead.")
        parser.add_argument("--to", type=Path, help="export: the ZIP file to write.")

    def handle(self, *args: Any, **options: Any) -> None:
        space = Workspace.objects.filter(slug=options["workspace"]).first()
        if space is None:
            raise CommandError("there is no such workspace")
        try:
            getattr(self, f"_{options['action']}")(space, options)
        except TenexError as exc:
            raise CommandError(exc.detail) from exc

    def _export(self, space: Workspace, options: dict[str, Any]) -> None:
        if options["to"] is None:
            raise CommandError("name the file to write with --to")
        with open(options["to"], "wb") as file:
            actor = f"system:{getpass.getuser()}"
            counts = person_archive.write(
                space, file, actor=actor, phone=options["phone"], lead_id=options["lead"]
            )
        told = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
        self.stdout.write(f"{options['to']}: {told or 'nothing is known'}")

    def _erase(self, space: Workspace, options: dict[str, Any]) -> None:
        actor = f"system:{getpass.getuser()}"
        whom = {"phone": options["phone"], "lead_id": options["lead"]}
        mentioned = persons.documents(persons.named(space, **whom))
        made = erasure.ask(space, actor=actor, **whom)
        erasure.run(made)
        self._show(Erasure.objects.get(pk=made.pk))
        for document_id, title in mentioned.items():
            place = f"/console/knowledge/{document_id}"
            self.stdout.write(f"  in your documents, for you to change: {title}  {place}")

    def _erasures(self, space: Workspace, options: dict[str, Any]) -> None:
        for made in Erasure.objects.filter(workspace=space):
            self._show(made)

    def _show(self, made: Erasure) -> None:
        if made.finished_at:
            told = ", ".join(f"{count} {kind}" for kind, count in sorted(made.counts.items()))
            self.stdout.write(f"{made.pk}  done {made.finished_at:%Y-%m-%d %H:%M}  {told}")
        else:
            self.stdout.write(f"{made.pk}  waits for {made.get_waits_for_display() or 'its turn'}")
