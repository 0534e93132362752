"""A calendar on a CalDAV server (RFC 4791), reached through the guarded client.

A server takes two events at one time without a word. So ours are named after their slot and put there with
`If-None-Match: *`: whoever else books the slot in this way gets 412, and looks at what stands there.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Final
from urllib.parse import urljoin, urlsplit
from zoneinfo import ZoneInfo

from django.utils import timezone

from crm.calendars import dav, ical
from crm.calendars.availability import Period
from crm.calendars.port import (
    Budget,
    CalendarRefused,
    CalendarUnavailable,
    Choice,
    Event,
    Overlapped,
    Stored,
)
from tenex.lib import guarded_http

_READ_BYTES: Final = 8 * 1024 * 1024
_ONE_REQUEST_S: Final = 10.0
_REDIRECTS: Final = 3
_ELSEWHERE: Final = timedelta(days=1)
"""Floating times and whole days are on the server's clock until we have read them: asked for more widely."""


@dataclass(frozen=True, slots=True)
class Login:
    user: str
    password: str

    @property
    def header(self) -> str:
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode("ascii")


class Server:
    """Requests to a server with somebody's name and password."""

    def __init__(self, base: str, login: Login, policy: guarded_http.Policy, budget: Budget) -> None:
        self.base, self._login, self._policy, self._budget = base, login, policy, budget

    def ask(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        expected: Sequence[int] = (),
    ) -> guarded_http.Answer:
        """One request; 2xx and the `expected` statuses come back.

        Raises:
            CalendarUnavailable, CalendarRefused.
        """
        sent = {"authorization": self._login.header, "user-agent": "tenex-voice", **(headers or {})}
        if not self._may_know(url):
            raise CalendarRefused("the server names an address elsewhere that is not https")
        try:
            answer = guarded_http.request(
                method,
                url,
                policy=self._policy,
                headers=sent,
                body=body,
                timeout_s=min(_ONE_REQUEST_S, self._budget.left_s()),
                read_bytes=_READ_BYTES,
            )
        except guarded_http.AddressRefused as exc:
            raise CalendarRefused(str(exc)) from exc
        except guarded_http.ExchangeFailed as exc:
            raise CalendarUnavailable(str(exc)) from exc
        return self._judged(answer, expected)

    def _judged(self, answer: guarded_http.Answer, expected: Sequence[int]) -> guarded_http.Answer:
        status = answer.status
        if status in expected or 200 <= status < 300:
            if not answer.complete:
                raise CalendarUnavailable("the answer is too long or broke off")
            return answer
        if status in (401, 403):
            raise CalendarRefused("the server refuses user name and password")
        if status in (404, 405, 410):
            raise CalendarRefused("there is no such calendar on the server")
        raise CalendarUnavailable(f"the server answered {status}")

    def _may_know(self, url: str) -> bool:
        """Whether a server may get the password: the one that was given, or one that it names, over TLS."""
        there, ours = urlsplit(url), urlsplit(self.base)
        return (there.scheme, there.netloc) == (ours.scheme, ours.netloc) or there.scheme == "https"

    def about(self, url: str, depth: int) -> tuple[str, list[dav.Resource]]:
        """PROPFIND; where it ended up, and what it told."""
        headers = {"depth": str(depth), "content-type": "application/xml; charset=utf-8"}
        for _ in range(_REDIRECTS + 1):
            answer = self.ask("PROPFIND", url, body=dav.ABOUT, headers=headers, expected=(301, 302, 307, 308))
            if answer.status < 300:
                return url, _resources(answer.body)
            url = urljoin(url, answer.headers.get("location", ""))
        raise CalendarUnavailable("the server redirects in circles")

    def calendars(self) -> list[Choice]:
        """The calendars that can be chosen, found from any address of the account."""
        url, found = self._start()
        here = found[0] if found else dav.Resource("")
        if here.is_calendar:
            return [Choice(url, here.text("displayname"), here.is_writable)]
        homes = here.hrefs("calendar-home-set")
        principals = here.hrefs("current-user-principal")
        if not homes and principals:
            url, about = self.about(urljoin(url, principals[0]), 0)
            homes = about[0].hrefs("calendar-home-set") if about else []
        chosen: dict[str, Choice] = {}
        for home in homes or [url]:
            base, members = self.about(urljoin(url, home), 1)
            for one in members:
                if one.is_calendar:
                    address = urljoin(base, one.href)
                    chosen[address] = Choice(address, one.text("displayname"), one.is_writable)
        return list(chosen.values())

    def _start(self) -> tuple[str, list[dav.Resource]]:
        """At the given address, else where RFC 6764 has servers tell."""
        try:
            return self.about(self.base, 0)
        except CalendarRefused:
            if urlsplit(self.base).path not in ("", "/"):
                raise
            return self.about(urljoin(self.base, "/.well-known/caldav"), 0)


def _resources(body: bytes) -> list[dav.Resource]:
    try:
        return dav.resources(body)
    except dav.NotDav as exc:
        raise CalendarUnavailable("the server does not answer as a CalDAV server") from exc


class CaldavPort:
    """One collection. See :class:`crm.calendars.port.Port`."""

    def __init__(self, server: Server, collection: str, zone: ZoneInfo) -> None:
        self._server, self._zone = server, zone
        self._collection = collection if collection.endswith("/") else f"{collection}/"

    def busy(self, window: Period) -> list[Period]:
        return [one.period for one in self.events(window) if one.busy]

    def events(self, window: Period) -> list[Stored]:
        wide = Period(window.starts_at - _ELSEWHERE, window.ends_at + _ELSEWHERE)
        return [
            stored
            for one in self._report(dav.events_between(wide))
            for stored in self._occurrences(one, window)
        ]

    def find(self, uid: str, href: str, near: Sequence[Period]) -> Stored | None:
        if href:
            found = self._get(href)
            if found is not None and found.uid == uid:
                return found
        for window in near:
            for stored in self.events(window):
                if stored.uid == uid:
                    return stored
        return None

    def create(self, event: Event, is_leftover: Callable[[str], bool]) -> Stored:
        slot = f"{event.period.starts_at.astimezone(UTC):%Y%m%dT%H%MZ}"
        minutes = int((event.period.ends_at - event.period.starts_at) / timedelta(minutes=1))
        # The second name is for a slot whose name is taken by an event that was moved away from it.
        for name in (f"tenex-{slot}-{minutes}.ics", f"tenex-{slot}-{event.uid.partition('@')[0]}.ics"):
            href = urljoin(self._collection, name)
            made = self._put_new(href, event, is_leftover)
            if made is not None:
                return made
        raise CalendarUnavailable("neither name of the event can be had")

    def change(self, stored: Stored, event: Event) -> Stored:
        answer = self._put(stored.href, event, {"if-match": stored.etag or "*"}, expected=(412,))
        if answer.status == 412:
            raise CalendarUnavailable("the event was changed in the calendar meanwhile")
        return self._as_put(stored.href, event, answer)

    def remove(self, stored: Stored) -> None:
        answer = self._server.ask(
            "DELETE", stored.href, headers={"if-match": stored.etag or "*"}, expected=(404, 410, 412)
        )
        if answer.status == 412 and self._get(stored.href) is not None:
            raise CalendarUnavailable("the event was changed in the calendar meanwhile")

    def _put_new(self, href: str, event: Event, is_leftover: Callable[[str], bool]) -> Stored | None:
        """Put it under a name that nobody has; None if the name is taken by what is no rival."""
        for _ in range(2):
            answer = self._put(href, event, {"if-none-match": "*"}, expected=(409, 412))
            if answer.status < 300:
                return self._as_put(href, event, answer)
            if answer.status == 409 and (known := self._by_uid(event.uid)) is not None:
                return self.change(known, event)
            there = self._get(href)
            if there is None:  # what it refused, and for what, only another try can tell
                raise CalendarUnavailable("the server refused the event without a reason")
            if there.uid == event.uid:  # our own: the answer to an earlier request was lost, or it was moved
                return there if there.period == event.period else self.change(there, event)
            if is_leftover(there.uid):
                self.remove(there)
                continue
            if there.busy and there.period.overlaps(event.period):
                raise Overlapped("that time has just been taken")
            return None
        raise CalendarUnavailable("what was left at that time cannot be removed")

    def _put(
        self, href: str, event: Event, condition: dict[str, str], expected: Sequence[int]
    ) -> guarded_http.Answer:
        return self._server.ask(
            "PUT",
            href,
            body=ical.stored_form(event, now=timezone.now()),
            headers={"content-type": "text/calendar; charset=utf-8", **condition},
            expected=expected,
        )

    def _as_put(self, href: str, event: Event, answer: guarded_http.Answer) -> Stored:
        return Stored(event.uid, event.period, True, href, answer.headers.get("etag", ""), "", event.sequence)

    def _report(self, query: bytes) -> list[dav.Resource]:
        headers = {"depth": "1", "content-type": "application/xml; charset=utf-8"}
        return _resources(self._server.ask("REPORT", self._collection, body=query, headers=headers).body)

    def _by_uid(self, uid: str) -> Stored | None:
        for one in self._report(dav.events_of(uid)):
            stored = self._single(self._href(one), one.text("getetag"), one.text("calendar-data").encode())
            if stored is not None and stored.uid == uid:
                return stored
        return None

    def _get(self, href: str) -> Stored | None:
        answer = self._server.ask("GET", href, expected=(404, 410))
        if answer.status >= 300:
            return None
        return self._single(href, answer.headers.get("etag", ""), answer.body)

    def _single(self, href: str, etag: str, text: bytes) -> Stored | None:
        try:
            found = ical.first_event(text, zone=self._zone)
        except ical.NotACalendar as exc:
            raise CalendarUnavailable("the server keeps something that is no event") from exc
        if found is None:
            return None
        return Stored(found.uid, found.period, found.busy, href, etag, "", found.sequence)

    def _occurrences(self, one: dav.Resource, window: Period) -> list[Stored]:
        href, etag = self._href(one), one.text("getetag")
        try:
            found = ical.occurrences(one.text("calendar-data").encode(), zone=self._zone, window=window)
        except ical.NotACalendar:  # it touches the window, says the server: rather busy than booked twice
            return [Stored("", window, True, href, etag)]
        return [Stored(each.uid, each.period, each.busy, href, etag, "", each.sequence) for each in found]

    def _href(self, one: dav.Resource) -> str:
        return urljoin(self._collection, one.href)
