"""Instants between a speech model and us."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from crm.calendars.availability import instant
from crm.calendars.spoken import spoken
from tenex.errors import InvalidInput

__all__ = ["date_of", "instant_of", "spoken"]


def instant_of(text: str, zone: ZoneInfo) -> datetime:
    """UTC of an ISO 8601 text; without an offset it is a wall-clock time of `zone`.

    Raises:
        InvalidInput: not ISO 8601, or a bare date.
    """
    try:
        if len(text.strip()) <= len("2026-12-01"):
            raise ValueError(text)
        read = datetime.fromisoformat(text.strip())
    except ValueError as exc:
        raise InvalidInput("not an ISO 8601 date and time", type_="datetime") from exc
    if read.tzinfo is not None:
        return read.astimezone(UTC)
    return instant(read.date(), f"{read.hour:02}:{read.minute:02}", zone, later=False)


def date_of(text: str) -> date:
    """
    Raises:
        InvalidInput: not an ISO 8601 date.
    """
    try:
        return date.fromisoformat(text.strip()[:10])
    except ValueError as exc:
        raise InvalidInput("not an ISO 8601 date", type_="date") from exc
