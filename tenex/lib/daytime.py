"""Where it is day: places for rehearsals and tests, which dial at any hour.

The calling hours hold in a rehearsal as they do elsewhere, so the people who are called in it live where it
is day and no law forbids the hour, on Sundays and holidays too. The numbers belong to nobody: 555-01xx of
North America, 020 7946 0xxx of London (Ofcom's for drama).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Final


@dataclass(frozen=True, slots=True)
class Place:
    country: str
    zone: str
    prefix: str
    """Of its numbers; four digits follow."""

    def number(self, last: str) -> str:
        """E.164; `last` are its last four digits."""
        return f"{self.prefix}{last}"


CALIFORNIA: Final = Place("US", "America/Los_Angeles", "+1415555")
GUAM: Final = Place("GU", "Pacific/Guam", "+1671555")
LONDON: Final = Place("GB", "Europe/London", "+44207946")
PLACES: Final = (CALIFORNIA, GUAM, LONDON)
COUNTRIES: Final = sorted(place.country for place in PLACES)


def place(now: datetime) -> Place:
    """One where hours from 08:00 to 21:00 have begun and last for two hours more, in summer and winter."""
    at = now.astimezone(UTC).time()
    if time(8, 30) <= at < time(16, 30):
        return LONDON
    return CALIFORNIA if time(16, 30) <= at < time(23) else GUAM
