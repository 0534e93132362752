"""When a failed delivery is tried again. Pure.

The reference platform's five delays first, then a growing schedule that lasts beyond 75 hours
(contract.md 4), so a receiver that is down over a weekend loses nothing.
"""

DELAYS_S: tuple[int, ...] = (
    1, 2, 4, 8, 16,
    300, 1800, 3600, 7200, 14400, 28800, 43200, 57600, 57600, 72000,
)  # fmt: skip
REFERENCE_RETRIES = 5
JITTER = 0.1


def delay_s(
    attempts: int, *, stop_after_five: bool, retry_after_s: float | None, chance: float
) -> float | None:
    """Seconds to wait after `attempts` failed tries (>= 1), or None to give up.

    `chance` in [0, 1) spreads the delay by ±10 %. A receiver's Retry-After is honored between the base
    delay and twice that, so it can neither hurry nor stall us.
    """
    retries = DELAYS_S[:REFERENCE_RETRIES] if stop_after_five else DELAYS_S
    if attempts > len(retries):
        return None
    base = float(retries[attempts - 1])
    if retry_after_s is not None:
        base = (
            min(max(base, retry_after_s), 2 * base)
            if attempts > REFERENCE_RETRIES
            else max(base, min(retry_after_s, 60.0))
        )
    return base * (1 + JITTER * (2 * chance - 1))
