"""How long to wait before trying again."""

import random
from collections.abc import Callable


def delay_s(
    tries: int, *, first_s: float, longest_s: float, draw: Callable[[], float] = random.random
) -> float:
    """Exponential with equal jitter: between half and the whole of `first_s * 2**(tries - 1)`, capped.

    `tries` counts what has failed so far, from 1.
    """
    whole = min(longest_s, first_s * 2.0 ** min(max(tries, 1) - 1, 30))
    return whole * (0.5 + 0.5 * draw())
