"""`manage.py first_owner`: the link at which the first person of an installation signs up."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tenex.workspaces.services import first_owner


class Command(BaseCommand):
    help = "Print the link that makes the first owner. It holds for a day, and only while there is nobody."

    def handle(self, *args: Any, **options: Any) -> None:
        if not first_owner.nobody_yet():
            raise CommandError("there is somebody already: they sign in at /console/ and invite the others")
        self.stdout.write(first_owner.link())
