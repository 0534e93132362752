"""What the offline model asks of its ears."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from tenex.errors import Unavailable


class EarsUnavailable(Unavailable):
    """Recognition was asked for and cannot be had: the extra is missing, or its model is another."""

    code = "ears_unavailable"
    retryable = False


class NotRecognized(Exception):
    """This sound could not be recognized (too much is waiting, or the recognizer broke); others may be."""


@dataclass(frozen=True, slots=True)
class Recognized:
    """`text` is empty where there is no speech, or nothing that can be believed."""

    text: str


@runtime_checkable
class Ears(Protocol):
    """Turns sound into text, for many calls at once."""

    async def recognize(self, sound: bytes, audio_format: str) -> Recognized:
        """What is said in `sound`: `audio/pcmu`, `audio/pcma` (8 kHz) or `audio/pcm` (24 kHz, 16 bit).

        Raises:
            NotRecognized: not this time.
        """
