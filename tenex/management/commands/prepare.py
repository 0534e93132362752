"""`manage.py prepare`: what has to be done before the processes of a release start."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from tenex.supervisor.prepare import prepare


class Command(BaseCommand):
    """Migrate (one process at a time) and collect static files if they changed."""

    help = "Migrate (one process at a time) and collect static files if they changed."

    def handle(self, *args: Any, **options: Any) -> None:
        """Both steps may be repeated at will."""
        prepare()
