"""`manage.py openapi [FILE] [--check]`: the description of the API, as a file."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenex.api import docs

PUBLISHED = Path(__file__).resolve().parents[3] / "docs" / "openapi.json"


class Command(BaseCommand):
    help = "Write the OpenAPI 3.1 document to FILE (docs/openapi.json), or compare it with that file."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="?", type=Path, default=PUBLISHED)
        parser.add_argument("--check", action="store_true", help="Write nothing; fail if the file differs.")

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path = options["file"]
        text = docs.published()
        if not options["check"]:
            file.write_text(text, encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != text:
            raise CommandError(
                f"the API is not what {file.name} says: look at the difference, then `manage.py openapi`"
            )
