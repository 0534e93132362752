"""`manage.py backup make|restore|forget`: backups in which a workspace can be forgotten afterwards."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenex.backup.keys import KeyFolder
from tenex.backup.make import make
from tenex.backup.restore import restore
from tenex.errors import TenexError
from tenex.lib.sealed import NotSealed, WrongKey
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit


class Command(BaseCommand):
    help = "Backs the database up, restores it, or makes all backups of one workspace unreadable."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["make", "restore", "forget"])
        parser.add_argument("folder", nargs="?", type=Path, help="make: an empty one; restore: that one")
        parser.add_argument("--workspace", default="", help="forget: its slug or id")
        parser.add_argument(
            "--keys",
            type=Path,
            default=settings.DATA_DIR / "backup_keys",
            help="folder of the backup keys; keep it apart from the backups",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        keys, folder = KeyFolder(options["keys"]), options["folder"]
        if folder is None and options["action"] != "forget":
            raise CommandError("name the folder")
        try:
            getattr(self, f"_{options['action']}")(folder, keys, options)
        except TenexError as exc:
            raise CommandError(exc.detail) from exc
        except (NotSealed, WrongKey) as exc:
            raise CommandError(f"the backup cannot be read: {exc}") from exc

    def _make(self, folder: Path, keys: KeyFolder, options: dict[str, Any]) -> None:
        made = make(folder, keys)
        self.stdout.write(f"{made.workspaces} workspaces, {made.rows} rows, {made.bytes_} bytes in {folder}")

    def _restore(self, folder: Path, keys: KeyFolder, options: dict[str, Any]) -> None:
        done = restore(folder, keys)
        self.stdout.write(f"{done.workspaces} workspaces, {done.rows} rows restored")
        for workspace_id in done.forgotten:
            self.stdout.write(f"forgotten: {workspace_id}, its key is gone")

    def _forget(self, folder: Path | None, keys: KeyFolder, options: dict[str, Any]) -> None:
        asked = options["workspace"]
        space = Workspace.objects.filter(slug=asked).first()
        workspace_id = space.pk if space is not None else _uuid(asked)
        count = keys.forget(workspace_id)
        if space is not None:
            audit.record(
                space.pk, "system:backup", "backup_keys.deleted", object_type="workspace",
                object_id=space.pk, data={"keys": count},
            )  # fmt: skip
        self.stdout.write(f"{count} keys deleted: no backup of {asked} made so far can be read any more")


def _uuid(text: str) -> Any:
    import uuid

    try:
        return uuid.UUID(text)
    except ValueError as exc:
        raise CommandError(f"there is no workspace {text!r}") from exc
