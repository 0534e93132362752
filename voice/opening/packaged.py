"""The packaged voice, `hibari-tts`: it speaks English, on this machine, without a network."""

import threading
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from hibari import Hibari

RATE_HZ: Final = 24_000

_lock = threading.Lock()


def speak(text: str, *, speed: float = 1.0) -> NDArray[np.float32]:
    """Samples of `RATE_HZ`. Blocking; one line at a time; the first one takes a second more."""
    with _lock:
        return np.asarray(_engine()(text, speed=speed, seed=0), dtype=np.float32)


@cache
def _engine() -> "Hibari":
    from hibari import Hibari

    return Hibari(threads=1)
