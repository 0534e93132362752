"""`manage.py render_clips`: synthesize our own spoken lines anew (8 kHz µ-law, one file a line)."""

from pathlib import Path
from typing import Any

import numpy as np
import soxr
from django.core.management.base import BaseCommand, CommandParser

from voice.bridge import clips
from voice.wire import g711

_PEAK = 0.7
_TAIL_S = 0.15


class Command(BaseCommand):
    help = "Render the lines that play when the model cannot speak."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--folder", type=Path, default=clips.FOLDER, help="Where to put the files.")

    def handle(self, *args: Any, folder: Path, **options: Any) -> None:
        from hibari import Hibari

        voice = Hibari()
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in clips.TEXTS.items():
            mulaw = _mulaw(voice(text, seed=0))
            (folder / f"{name}.ulaw").write_bytes(mulaw)
            self.stdout.write(f"{name}: {len(mulaw) / 8000:.1f} s")


def _mulaw(audio: "np.ndarray[Any, np.dtype[np.float32]]") -> bytes:
    """24 kHz floats to telephone µ-law, at an even loudness, with a short silence behind."""
    phone = soxr.resample(audio, 24_000, 8_000, quality="HQ")
    phone = phone * (_PEAK / max(1e-6, float(np.abs(phone).max())))
    pcm = (np.clip(phone, -1, 1) * 32_767).astype("<i2").tobytes()
    return g711.pcm16_to_mulaw(pcm) + bytes([g711.MULAW_SILENCE]) * int(8000 * _TAIL_S)
