"""Make the files of voice/bridge/clips anew, with the packaged voice. Only needed when a text changes."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from voice.bridge import clips
from voice.opening import sound
from voice.wire import g711


class Command(BaseCommand):
    help = "Render the lines that play when the model cannot speak."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--folder", type=Path, default=clips.FOLDER, help="Where to put the files.")

    def handle(self, *args: Any, folder: Path, **options: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in clips.TEXTS.items():
            mulaw = sound.by_package(text)
            (folder / f"{name}.ulaw").write_bytes(mulaw)
            self.stdout.write(f"{name}: {len(mulaw) / g711.BYTES_PER_MS / 1000:.1f} s")
