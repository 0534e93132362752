"""How long the outbound side waits for what. Real seconds: already divided by TIME_SCALE."""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings

RING_TIMEOUT_S = 30
"""Given to the carrier, so in its own seconds."""
MAX_NOT_PLACED = 5
"""How often the carrier may turn out never to have had a call before we give it up."""
MAX_ASKERS_LOST = 20
"""How often our own process may die while it asks for one call before that call is given up."""
MAX_QUEUED_S = 24 * 3600
_POST_WITHIN_S = 0.8
_LATE_S = 0.5


@dataclass(frozen=True, slots=True)
class Timing:
    """Fence <= grace / 3, and the request's time-out <= fence: a request that is still on its way when the
    carrier's list is read cannot exist (promises.md R3)."""

    grace_s: float
    fence_s: float
    post_timeout_s: float
    late_s: float
    """How long after its instant an attempt may still pass the fence."""
    post_within_s: float
    """From the fence to the request: a kill switch that falls between is late by no more than this."""
    ring_s: float
    sweep_again_s: float
    throttle_first_s: float
    throttle_longest_s: float
    end_grace_s: float

    @property
    def grace(self) -> timedelta:
        return timedelta(seconds=self.grace_s)

    @property
    def fence(self) -> timedelta:
        return timedelta(seconds=self.fence_s)


def timing() -> Timing:
    scale = settings.TIME_SCALE
    grace_s = settings.DIAL_GRACE_S / scale
    fence_s = grace_s / 3
    return Timing(
        grace_s=grace_s,
        fence_s=fence_s,
        post_timeout_s=min(settings.TWILIO_TIMEOUT_S, fence_s),
        late_s=min(_LATE_S, fence_s),
        post_within_s=min(_POST_WITHIN_S, fence_s),
        ring_s=(RING_TIMEOUT_S + 10) / scale,
        sweep_again_s=max(1.0, 15.0 / scale),
        throttle_first_s=1.0 / scale,
        throttle_longest_s=60.0 / scale,
        end_grace_s=5.0 / scale,
    )


def scaled(seconds: float) -> timedelta:
    """Real time that passes while `seconds` of the rehearsal's clock do."""
    return timedelta(seconds=seconds / settings.TIME_SCALE)
