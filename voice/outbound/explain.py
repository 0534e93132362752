"""What a decision was made of, as the evidence keeps it. Pure."""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from voice.outbound import contactability, hours
from voice.outbound.contactability import Facts
from voice.outbound.hours import Law, Window
from voice.outbound.whereabouts import Provenance


def inputs(facts: Facts, now: datetime) -> dict[str, Any]:
    """JSON, to be read only: zones with provenance and what their clocks showed, hours of that day, laws,
    consent, counts."""
    places = facts.whereabouts
    laws = contactability.laws_of(facts, places)
    agreed = contactability.agreement(facts, now)
    return {
        "purpose": facts.purpose,
        "consent_id": str(agreed.id) if agreed else None,
        "zones": [_zone(facts.window, laws, name, whence, now) for name, whence in places.zones],
        "laws": [law.name for law in laws],
        "rules": facts.rules.version,
        "window": _window(facts.window),
        "attempts": {
            "in_24_hours": _since(facts, now, timedelta(days=1)),
            "in_7_days": _since(facts, now, timedelta(days=7)),
            "in_all": facts.placed_in_all,
            "last_at": facts.placed[0].isoformat() if facts.placed else None,
        },
        "limits": {
            "in_24_hours": facts.limits.per_day,
            "in_7_days": facts.limits.per_week,
            "in_all": facts.limits.in_all,
            "gap_s": round(facts.limits.gap_s, 3),
        },
    }


@lru_cache(maxsize=256)
def _window(window: Window) -> dict[str, Any]:
    return {
        "start": window.start.isoformat(timespec="minutes"),
        "end": window.end.isoformat(timespec="minutes"),
        "days": list(window.days),
    }


@lru_cache(maxsize=256)
def _zone(
    window: Window, laws: tuple[Law, ...], name: str, whence: Provenance, now: datetime
) -> dict[str, Any]:
    local = now.astimezone(ZoneInfo(name))
    spans = hours.open_on(window, laws, local.date())
    return {
        "zone": name,
        "from": str(whence),
        "local": local.isoformat(timespec="seconds"),
        "hours": [f"{_clock(start)}-{_clock(end)}" for start, end in spans],
    }


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds % 3600 // 60:02}"


def _since(facts: Facts, now: datetime, period: timedelta) -> int:
    return sum(at > now - period for at in facts.placed)
