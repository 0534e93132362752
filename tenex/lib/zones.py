"""Time zones by name, without trusting the name."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def zone(name: str) -> ZoneInfo | None:
    """The IANA zone of that name, or None."""
    if not name or len(name) > 64:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None  # unknown, a path out of the database, or one of its folders


def first_zone(*names: str) -> ZoneInfo:
    """The first name that is a zone, else UTC: a bad name in an old row must not break a call."""
    return next((found for name in names if (found := zone(name))), ZoneInfo("UTC"))
