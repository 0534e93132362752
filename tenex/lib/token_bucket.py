"""Pacing as arithmetic: the state goes in, the new state and the wait come out."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bucket:
    """`tokens` there were at `at_s` (seconds of any one clock)."""

    tokens: float
    at_s: float


def take(bucket: Bucket, *, rate: float, burst: float, now_s: float) -> tuple[Bucket, float]:
    """Take one token.

    `rate` is tokens a second, `burst` the most that are saved up (at least 1). Returns the new state and
    0.0, or the refilled state and the seconds until a token is there. A clock that steps back adds nothing.
    """
    if rate <= 0 or burst < 1:
        raise ValueError("rate must be above 0 and burst at least 1")
    passed_s = max(0.0, now_s - bucket.at_s)
    tokens = min(burst, bucket.tokens + passed_s * rate)
    if tokens >= 1.0:
        return Bucket(tokens - 1.0, now_s), 0.0
    return Bucket(tokens, now_s), (1.0 - tokens) / rate
