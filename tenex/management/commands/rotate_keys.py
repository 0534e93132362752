"""`manage.py rotate_keys`: change the keys that secrets are sealed with, or look whether all can be read."""

import getpass
from collections import Counter
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenex.workspaces.services import key_rotation

_SHOWN = 10


class Command(BaseCommand):
    help = (
        "Seals the data keys of all workspaces by the first key of SECRETS_KEYS. With --data-keys it makes"
        " new data keys and seals every secret anew. The system may run meanwhile; killed, it is run again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--data-keys", action="store_true", help="new data keys, too")
        parser.add_argument("--dry-run", action="store_true", help="only count what would be done")
        parser.add_argument("--check", action="store_true", help="only look whether every secret can be read")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["check"]:
            self._check()
            return
        actor, dry_run = f"system:{getpass.getuser()}", options["dry_run"]
        would = "would be " if dry_run else ""
        counts = key_rotation.rewrap(actor, dry_run=dry_run)
        self._say(f"data keys, to key {key_rotation.first_key()}: {would}", counts, ("rewrapped", "current"))
        unreadable = counts["unreadable"]
        if options["data_keys"]:
            counts = key_rotation.replace(actor, dry_run=dry_run)
            self._say(f"new data keys: {would}", counts, ("replaced",))
            self._say(f"secrets: {would}", counts, ("resealed",))
            self._say("retired data keys: ", counts, ("deleted",))
            unreadable += counts["unreadable"]
        if unreadable:
            raise CommandError(f"{unreadable} cannot be read and were left as they are: rotate_keys --check")

    def _say(self, head: str, counts: Counter[str], names: tuple[str, ...]) -> None:
        self.stdout.write(head + ", ".join(f"{counts[name]} {name}" for name in names))

    def _check(self) -> None:
        found = key_rotation.check()
        for name, count in sorted(found.readable.items()):
            self.stdout.write(f"{name}: {count} readable")
        for key_id in settings.SECRETS_KEYS:
            self.stdout.write(f"key {key_id}: opens {found.keys[key_id]} data keys")
        for key_id in found.unneeded:
            self.stdout.write(f"key {key_id} can be taken out of SECRETS_KEYS")
        for key_id in found.missing:
            self.stdout.write(f"key {key_id} is MISSING: {found.keys[key_id]} data keys need it")
        for reason, places in sorted(found.unreadable.items()):
            more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
            self.stdout.write(f"UNREADABLE, {reason}: {', '.join(places[:_SHOWN])}{more}")
        if found.unreadable:
            raise CommandError(f"{sum(map(len, found.unreadable.values()))} cannot be read")
        self.stdout.write("every secret can be read")
