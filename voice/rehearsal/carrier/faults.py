"""Trouble on demand: what a carrier does to an application on a bad day. Everything is off by default."""

import random
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

type CreateFault = Literal[
    "accept_then_500", "fail_500", "accept_then_hang", "accept_then_reset", "reset", "reject_429"
]
_Share = Field(default=0.0, ge=0.0, le=1.0)


class Faults(BaseModel):
    """Settable at run time. Shares are probabilities from 0 to 1; seconds are of the rehearsal's clock."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    # POST Calls.json
    accept_then_500: float = _Share
    """The call is made, the answer is 500 (the dangerous one)."""
    fail_500: float = _Share
    """500 and no call."""
    accept_then_hang: float = _Share
    """The call is made, the answer never comes."""
    accept_then_reset: float = _Share
    """The call is made, the connection is cut instead of an answer."""
    reset: float = _Share
    """No call, and the connection is cut."""
    reject_429: float = _Share
    """429 with code 20429 and no call."""
    next_creates: list[CreateFault | Literal["ok"]] = []
    """What happens to the next creations, in order, before shares apply."""

    # POST IncomingPhoneNumbers.json
    next_purchases: list[CreateFault | Literal["ok"]] = []
    """What happens to the next purchases of a number, in order. `accept_then_…`: it is bought (and paid)."""

    # status, recording, detection and stream callbacks
    callback_duplicate: float = _Share
    """Sent again, once to three times."""
    callback_drop: float = _Share
    callback_late: float = _Share
    """Sent after `callback_late_s`."""
    callback_late_s: float = Field(default=30.0, ge=0)
    callback_shuffle_s: float = Field(default=0.0, ge=0)
    """Every callback waits a random time up to this, so that they overtake each other."""

    # voice webhooks, calls, recordings
    voice_duplicate: float = _Share
    """The voice webhook is sent twice at once (a retry after a lost answer)."""
    stream_abrupt: float = _Share
    """The media socket is cut without `stop` when the call ends."""
    stream_zombie: float = _Share
    """The call ends, but the media socket stays open and silent."""
    recording_404: int = Field(default=0, ge=0)
    """So many downloads of a new recording get a 404 first."""
    recording_absent: float = _Share
    rest_429: float = _Share
    """Any other REST request gets a 429."""


class Dice:
    """Decides, reproducibly, which fault strikes."""

    def __init__(self, seed: int) -> None:
        self.faults = Faults()
        self._random = random.Random(seed)

    def strikes(self, share: float) -> bool:
        return share > 0 and self._random.random() < share

    def wait_s(self, most_s: float) -> float:
        return self._random.uniform(0, most_s)

    def copies(self) -> int:
        """How many more times a duplicated callback is sent."""
        return self._random.randint(1, 3)

    def for_purchase(self) -> CreateFault | None:
        """The fault of this `POST IncomingPhoneNumbers.json`."""
        faults = self.faults
        if not faults.next_purchases:
            return None
        planned = faults.next_purchases[0]
        faults.next_purchases = faults.next_purchases[1:]
        return None if planned == "ok" else planned

    def for_create(self) -> CreateFault | None:
        """The fault of this `POST Calls.json`."""
        faults = self.faults
        if faults.next_creates:
            planned = faults.next_creates[0]
            faults.next_creates = faults.next_creates[1:]
            return None if planned == "ok" else planned
        roll = self._random.random()
        shares: tuple[tuple[CreateFault, float], ...] = (
            ("reject_429", faults.reject_429),
            ("fail_500", faults.fail_500),
            ("accept_then_500", faults.accept_then_500),
            ("accept_then_hang", faults.accept_then_hang),
            ("accept_then_reset", faults.accept_then_reset),
            ("reset", faults.reset),
        )
        for name, share in shares:
            if roll < share:
                return name
            roll -= share
        return None
