"""The form of a calendar: what it shows, what is typed, what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.http import QueryDict

from crm.calendars import hours as working
from crm.models import Calendar, CalendarKind
from tenex.errors import InvalidInput

NUMBERS: Final = (
    ("slot_minutes", "Length of a meeting", "minutes", 30),
    ("buffer_before_minutes", "Free before it", "minutes", 0),
    ("buffer_after_minutes", "Free after it", "minutes", 0),
    ("notice_minutes", "Notice", "minutes from now at least", 120),
    ("horizon_days", "Horizon", "days ahead at most", 60),
    ("daily_limit", "A day at most", "meetings; empty: as many as fit", None),
)
TEXTS: Final = (
    ("join_url", "Where to join", "A fixed address of a video room, if there is one.", 200),
    ("organizer_email", "Who invites", "E-mail address; empty: where our mail comes from.", 254),
)
ACCESS: Final = (
    ("url", "Address of the server", "Such as https://cloud.example.com/remote.php/dav", 500),
    ("user_name", "User name", "", 200),
)
_FIRST_HOURS: Final = {str(day): [["09:00", "17:00"]] for day in range(1, 6)}


@dataclass(frozen=True, slots=True)
class Input:
    """One field; `kind` as in the templates."""

    name: str
    label: str
    value: str
    help: str = ""
    error: str = ""
    most: int = 200
    kind: str = "text"


def first_values(time_zone: str) -> dict[str, str]:
    """What the form of a new calendar holds."""
    found = {name: "" if value is None else str(value) for name, _, _, value in NUMBERS}
    return {**found, "time_zone": time_zone, "sends_invitations": "1", **_hours(_FIRST_HOURS)}


def values_of(calendar: Calendar) -> dict[str, str]:
    """What the form of a calendar holds at first."""
    found = {"name": calendar.name, "time_zone": calendar.time_zone}
    for name, *_ in NUMBERS:
        value = getattr(calendar, name)
        found[name] = "" if value is None else str(value)
    for name, *_ in TEXTS:
        found[name] = str(getattr(calendar, name))
    for name in ("sends_invitations", "is_default"):
        found[name] = "1" if getattr(calendar, name) else ""
    account = getattr(calendar, "account", None)
    if account is not None:
        found |= {"url": account.url, "user_name": account.user_name}
    return {**found, **_hours(calendar.hours)}


def sent(post: QueryDict) -> dict[str, str]:
    return {name: str(value) for name, value in post.items()}


def inputs(given: Mapping[str, str], errors: Mapping[str, str]) -> dict[str, Any]:
    """All that the template needs of the form."""

    def one(name: str, label: str, help_: str, most: int, kind: str = "text") -> Input:
        return Input(name, label, given.get(name, ""), help_, errors.get(name, ""), most, kind)

    days = [one(f"day_{number}", day, "", 100, "hours") for number, day in enumerate(working.DAYS, start=1)]
    return {
        "first": [
            one("name", "Name", "As agents' pages show it.", 120),
            one("time_zone", "Time zone", "Of the hours below, such as Europe/Madrid.", 64),
        ],
        "days": days,
        "numbers": [one(name, label, help_, 6, "number") for name, label, help_, _ in NUMBERS],
        "texts": [one(name, label, help_, most) for name, label, help_, most in TEXTS],
        "access": [one(name, label, help_, most) for name, label, help_, most in ACCESS],
        "password": one("password", "Password", "", 1000, "password"),
        "sends_invitations": bool(given.get("sends_invitations")),
        "is_default": bool(given.get("is_default")),
        "errors": errors,
    }


def rules(given: Mapping[str, str]) -> dict[str, Any]:
    """What was typed, as the service takes it.

    Raises:
        InvalidInput
    """
    found: dict[str, Any] = {"name": given.get("name", ""), "time_zone": given.get("time_zone", "").strip()}
    for name, label, *_ in NUMBERS:
        text = given.get(name, "").strip()
        if not text and name == "daily_limit":
            found[name] = None
            continue
        if not (text.isascii() and text.isdigit() and len(text) < 7):
            raise InvalidInput(f"{label.lower()}: a whole number", loc=("body", name))
        found[name] = int(text)
    for name, *_ in TEXTS:
        found[name] = given.get(name, "").strip()
    found["hours"] = {}
    for number, day in enumerate(working.DAYS, start=1):
        try:
            found["hours"][str(number)] = working.of_text(given.get(f"day_{number}", ""), str(number))
        except working.BadHours as exc:
            raise InvalidInput(f"{day}: {exc}", loc=("body", "hours", str(number))) from exc
    found["sends_invitations"] = "sends_invitations" in given
    found["is_default"] = "is_default" in given
    return found


def access(given: Mapping[str, str], *, new: bool) -> dict[str, str]:
    """How a CalDAV server is reached; the password only if one was typed."""
    found = {name: given.get(name, "").strip() for name, *_ in ACCESS}
    if new or given.get("password"):
        found["password"] = given.get("password", "")
    return found


def problem(exc: InvalidInput) -> dict[str, str]:
    """What is wrong, by the name of the field in the form."""
    parts = [str(part) for part in exc.loc if part != "body"]
    name = parts[0] if parts else "name"
    if name == "hours":
        name = f"day_{parts[1]}" if len(parts) > 1 else "day_1"
    return {name: f"{exc.detail[:1].upper()}{exc.detail[1:]}."}


KINDS: Final = (
    (CalendarKind.BUILT_IN, "Built in", "Working hours and meetings of ours, nothing else to connect."),
    (CalendarKind.CALDAV, "CalDAV", "Nextcloud, iCloud, Fastmail, Radicale and others."),
    (CalendarKind.GOOGLE, "Google Calendar", "Through Google's consent page."),
)


def _hours(hours: Mapping[str, Any]) -> dict[str, str]:
    return {f"day_{day}": working.as_text(hours.get(str(day), ())) for day in range(1, 8)}
