"""Instants as a person says them. English only, like the prompts around it."""

from datetime import datetime
from zoneinfo import ZoneInfo

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def spoken(at: datetime, zone: ZoneInfo) -> str:
    """Such as Tuesday, December 1 at 2:30 PM, on the clock of `zone`; strftime's words depend on the host."""
    local = at.astimezone(zone)
    hour = local.hour % 12 or 12
    minutes = f":{local.minute:02}" if local.minute else ""
    half = "AM" if local.hour < 12 else "PM"
    return f"{_DAYS[local.weekday()]}, {_MONTHS[local.month - 1]} {local.day} at {hour}{minutes} {half}"
