"""What is busy in files that calendars keep, and the files that we make."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import pytest

from crm.calendars import ical
from crm.calendars.availability import Period
from crm.calendars.port import Event

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


JULY = Period(utc("2026-07-01T00:00"), utc("2026-08-01T00:00"))
CUSTOM = """\
BEGIN:VTIMEZONE
TZID:Customized Time Zone
BEGIN:STANDARD
DTSTART:19701025T030000
TZOFFSETFROM:{summer}
TZOFFSETTO:{winter}
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19700329T020000
TZOFFSETFROM:{winter}
TZOFFSETTO:{summer}
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
"""


def file(*parts: str) -> bytes:
    body = "".join(part.strip() + "\n" for part in parts)
    return f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n{body}END:VCALENDAR\n".replace("\n", "\r\n").encode()


def event(lines: str, uid: str = "a") -> str:
    return f"BEGIN:VEVENT\nUID:{uid}\nDTSTAMP:20260101T000000Z\n{lines.strip()}\nEND:VEVENT\n"


def busy(text: bytes, zone: ZoneInfo = BERLIN, window: Period = JULY) -> list[str]:
    """Busy times, as UTC texts in order."""
    found = [one.period for one in ical.occurrences(text, zone=zone, window=window) if one.busy]
    return [
        f"{one.starts_at:%m-%dT%H:%M}/{one.ends_at:%m-%dT%H:%M}"
        for one in sorted(found, key=lambda period: period.starts_at)
    ]


def test_times_in_zones_floating_and_whole_days() -> None:
    text = file(
        event("DTSTART:20260701T100000Z\nDTEND:20260701T110000Z", "utc"),
        event("DTSTART;TZID=America/New_York:20260702T100000\nDURATION:PT90M", "zone"),
        event("DTSTART;TZID=W. Europe Standard Time:20260703T100000\nDTEND;TZID=W. Europe Standard Time:"
              "20260703T101500", "windows"),
        event("DTSTART:20260704T100000\nDTEND:20260704T110000", "floating"),
        event("DTSTART;VALUE=DATE:20260705", "day"),
        event("DTSTART;VALUE=DATE:20260707\nDTEND;VALUE=DATE:20260709", "days"),
        event("DTSTART;TZID=No/Where:20260710T100000\nDTEND;TZID=No/Where:20260710T110000", "unknown"),
    )  # fmt: skip
    assert busy(text) == [
        "07-01T10:00/07-01T11:00",
        "07-02T14:00/07-02T15:30",
        "07-03T08:00/07-03T08:15",
        "07-04T08:00/07-04T09:00",
        "07-04T22:00/07-05T22:00",
        "07-06T22:00/07-08T22:00",
        "07-10T08:00/07-10T09:00",
    ]
    # Whose days and floating times they are says the calendar's own zone.
    assert busy(text, NEW_YORK)[3:6] == [
        "07-04T14:00/07-04T15:00",
        "07-05T04:00/07-06T04:00",
        "07-07T04:00/07-09T04:00",
    ]


def test_what_takes_nobodys_time_is_not_busy() -> None:
    when = "DTSTART:20260701T100000Z\nDTEND:20260701T110000Z\n"
    for free in ("TRANSP:TRANSPARENT", "STATUS:CANCELLED", "X-MICROSOFT-CDO-BUSYSTATUS:FREE"):
        assert busy(file(event(when + free))) == []
    for taken in ("STATUS:TENTATIVE", "TRANSP:OPAQUE", "X-MICROSOFT-CDO-BUSYSTATUS:OOF"):
        assert busy(file(event(when + taken))) == ["07-01T10:00/07-01T11:00"]


def test_a_series_keeps_its_wall_clock_over_a_clock_change() -> None:
    text = file(event("DTSTART;TZID=Europe/Berlin:20250106T090000\nDTEND;TZID=Europe/Berlin:20250106T093000\n"
                      "RRULE:FREQ=WEEKLY;BYDAY=MO"))  # fmt: skip
    window = Period(utc("2026-03-22T00:00"), utc("2026-04-01T00:00"))
    assert busy(text, window=window) == ["03-23T08:00/03-23T08:30", "03-30T07:00/03-30T07:30"]


def test_exceptions_additions_and_changed_occurrences() -> None:
    text = file(
        event(
            "DTSTART;TZID=Europe/Berlin:20260701T100000\nDTEND;TZID=Europe/Berlin:20260701T110000\n"
            "RRULE:FREQ=DAILY;COUNT=5\nEXDATE;TZID=Europe/Berlin:20260702T100000\n"
            "RDATE;TZID=Europe/Berlin:20260720T150000\n"
            "RDATE;VALUE=PERIOD:20260721T150000Z/PT3H"
        ),
        # The third one is later and free, the fourth is moved to another day, written in another zone.
        event(
            "RECURRENCE-ID;TZID=Europe/Berlin:20260703T100000\nDTSTART;TZID=Europe/Berlin:20260703T160000\n"
            "DTEND;TZID=Europe/Berlin:20260703T170000\nTRANSP:TRANSPARENT"
        ),
        event(
            "RECURRENCE-ID:20260704T080000Z\nDTSTART;TZID=America/New_York:20260710T090000\n"
            "DTEND;TZID=America/New_York:20260710T100000"
        ),
    )
    assert busy(text) == [
        "07-01T08:00/07-01T09:00",
        "07-05T08:00/07-05T09:00",
        "07-10T13:00/07-10T14:00",
        "07-20T13:00/07-20T14:00",
        "07-21T15:00/07-21T18:00",
    ]


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ("FREQ=WEEKLY;INTERVAL=2;UNTIL=20260715T080000Z", [1, 15]),
        ("FREQ=WEEKLY;INTERVAL=2;UNTIL=20260715T075959Z", [1]),
        ("FREQ=MONTHLY;BYDAY=1WE,3WE", [1, 15]),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", [31]),
        ("FREQ=DAILY;INTERVAL=10", [1, 11, 21, 31]),
        ("FREQ=YEARLY", [1]),
    ],
)
def test_rules(rule: str, days: list[int]) -> None:
    text = file(event(f"DTSTART;TZID=Europe/Berlin:20260701T100000\nDURATION:PT1H\nRRULE:{rule}"))
    assert busy(text) == [f"07-{day:02}T08:00/07-{day:02}T09:00" for day in days]


@pytest.mark.parametrize("rule", ["FREQ=DAILY", "FREQ=DAILY;INTERVAL=3", "FREQ=WEEKLY;BYDAY=WE,FR"])
def test_years_later_the_same_as_walked_through(rule: str) -> None:
    far = file(event(f"DTSTART;TZID=Europe/Berlin:19980701T100000\nDURATION:PT1H\nRRULE:{rule}"))
    # COUNT makes it walk through them all.
    walked = file(
        event(f"DTSTART;TZID=Europe/Berlin:19980701T100000\nDURATION:PT1H\nRRULE:{rule};COUNT=15000")
    )
    assert busy(far) == busy(walked)
    assert busy(far)


def test_whole_days_that_repeat() -> None:
    text = file(
        event("DTSTART;VALUE=DATE:20260706\nRRULE:FREQ=WEEKLY;UNTIL=20260713\nEXDATE;VALUE=DATE:20260101")
    )
    assert busy(text) == ["07-05T22:00/07-06T22:00", "07-12T22:00/07-13T22:00"]


def test_long_ones_that_began_before() -> None:
    text = file(
        event("DTSTART;VALUE=DATE:20260620\nDTEND;VALUE=DATE:20260703", "holiday"),
        event("DTSTART:20260630T220000Z\nDURATION:P2D\nRRULE:FREQ=MONTHLY", "monthly"),
    )
    assert busy(text) == [
        "06-19T22:00/07-02T22:00",
        "06-30T22:00/07-02T22:00",
        "07-30T22:00/08-01T22:00",
    ]


@pytest.mark.parametrize("rule", ["FREQ=SECONDLY", "FREQ=NEVER", "BYDAY=MO", "FREQ=DAILY;COUNT=99999999"])
def test_a_rule_that_cannot_be_believed_is_busy_all_the_time(rule: str) -> None:
    text = file(event(f"DTSTART:19700101T000000Z\nDURATION:PT1S\nRRULE:{rule}"))
    assert busy(text) == ["07-01T00:00/08-01T00:00"]


def test_zones_of_a_file_are_its_own() -> None:
    """Two servers call different zones by one name; the parser keeps the first one for the whole process."""
    when = event("DTSTART;TZID=Customized Time Zone:20260701T100000\nDURATION:PT1H")
    one = file(CUSTOM.format(winter="+0230", summer="+0330"), when)
    other = file(CUSTOM.format(winter="-0500", summer="-0400"), when)
    for _ in range(2):
        assert busy(one) == ["07-01T06:30/07-01T07:30"]
        assert busy(other) == ["07-01T14:00/07-01T15:00"]
    wrong: list[str] = []

    def read(text: bytes, expected: str) -> None:
        wrong.extend(each for _ in range(40) for each in busy(text) if each != expected)

    threads = [
        threading.Thread(target=read, args=pair)
        for pair in [(one, "07-01T06:30/07-01T07:30"), (other, "07-01T14:00/07-01T15:00")] * 2
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nEND:VCALENDAR\r\n",
        b"<html>not found</html>",
        b"\xff\xfe\x00",
        file(CUSTOM.format(winter="+0230", summer="+0330").replace("YEARLY", "SECONDLY")),
        file(CUSTOM.format(winter="+9999", summer="x")),
    ],
)
def test_what_is_no_calendar_is_said_to_be_none(text: bytes) -> None:
    with pytest.raises(ical.NotACalendar):
        ical.occurrences(text, zone=BERLIN, window=JULY)


def test_an_event_without_a_time_is_busy_rather_than_lost() -> None:
    assert busy(file(event("SUMMARY:When?"))) == ["07-01T00:00/08-01T00:00"]


# --- ours ---

SLOT = Period(utc("2026-07-01T10:00"), utc("2026-07-01T10:30"))
OURS = Event(
    "u@tenex", SLOT, 'Mee;ting, "x"\nATTENDEE:mailto:evil', "Notes\r\nBEGIN:VEVENT", 2, 7, "https://x.io/a"
)


def test_what_we_store_is_read_back_as_it_was() -> None:
    text = ical.stored_form(OURS, now=utc("2026-06-01T00:00"))
    assert ical.first_event(text, zone=BERLIN) == ical.Occurrence("u@tenex", SLOT, busy=True, sequence=2)
    stored = icalendar.Calendar.from_ical(text).walk("VEVENT")
    assert len(stored) == 1
    assert "ATTENDEE" not in stored[0], "some servers would write to them"
    assert str(stored[0]["SUMMARY"]) == OURS.title
    again = ical.stored_form(replace(OURS, revision=8), now=utc("2026-06-01T00:00"))
    assert again != text, "another write is other content, and another etag"


@pytest.mark.parametrize(("method", "status"), [("REQUEST", "CONFIRMED"), ("CANCEL", "CANCELLED")])
def test_invitations(method: str, status: str) -> None:
    text = ical.invitation(
        ical.for_guest(OURS, title="Meeting with Acme", sequence=3),
        method=method,
        organizer=ical.Party("sales@acme.example", 'Acme; "Sales"'),
        guest=ical.Party("maria@example.com", "Máría, O"),
        now=utc("2026-06-01T00:00"),
    )
    whole = icalendar.Calendar.from_ical(text)
    assert whole["METHOD"] == method
    told: Any = whole.walk("VEVENT")[0]
    assert (str(told["UID"]), told["SEQUENCE"], str(told["STATUS"])) == ("u@tenex", 3, status)
    assert str(told["ATTENDEE"]) == "mailto:maria@example.com"
    assert str(told["ORGANIZER"]) == "mailto:sales@acme.example"
    assert "DESCRIPTION" not in told, "what the host notes about the guest is not for the guest"
    assert told["DTSTART"].dt == SLOT.starts_at
    assert told["DTEND"].dt - told["DTSTART"].dt == timedelta(minutes=30)
