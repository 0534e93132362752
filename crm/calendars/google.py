"""A Google calendar, through Google's own client with the API's description that it ships with."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.conf import settings

from crm.calendars.availability import Period, instant
from crm.calendars.port import (
    Budget,
    CalendarRefused,
    CalendarUnavailable,
    Choice,
    Event,
    Stored,
)

_ONE_REQUEST_S: Final = 10.0
_LATER: Final = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "backendError"})
"""Reasons of a 403 that are no refusal."""


class _Status(Exception):
    """An answer that the caller has asked to judge itself."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class GooglePort:
    """One calendar of an account. See :class:`crm.calendars.port.Port`."""

    def __init__(self, calendar_id: str, token: str, budget: Budget, zone: ZoneInfo) -> None:
        self._calendar_id, self._token, self._budget, self._zone = calendar_id, token, budget, zone

    def calendars(self) -> list[Choice]:
        """The calendars of the account."""
        found: list[Choice] = []
        page: str | None = None
        while True:
            answer = self._ask(service().calendarList().list(pageToken=page))
            found += [
                Choice(
                    str(one["id"]),
                    str(one.get("summaryOverride") or one.get("summary", "")),
                    one.get("accessRole") in ("owner", "writer"),
                )
                for one in answer.get("items", [])
            ]
            page = answer.get("nextPageToken")
            if not page:
                return found

    def busy(self, window: Period) -> list[Period]:
        asked = {
            "timeMin": _iso(window.starts_at),
            "timeMax": _iso(window.ends_at),
            "items": [{"id": self._calendar_id}],
        }
        answer = self._ask(service().freebusy().query(body=asked))
        told = answer.get("calendars", {}).get(self._calendar_id, {})
        if told.get("errors") or "busy" not in told:
            raise CalendarRefused("there is no such calendar in the account")
        return [Period(_instant(one["start"]), _instant(one["end"])) for one in told["busy"]]

    def events(self, window: Period) -> list[Stored]:
        found: list[Stored] = []
        page: str | None = None
        while True:
            answer = self._ask(
                service()
                .events()
                .list(
                    calendarId=self._calendar_id,
                    timeMin=_iso(window.starts_at),
                    timeMax=_iso(window.ends_at),
                    singleEvents=True,
                    maxResults=2500,
                    pageToken=page,
                )
            )
            found += [stored for one in answer.get("items", []) if (stored := self._stored(one)) is not None]
            page = answer.get("nextPageToken")
            if not page:
                return found

    def find(self, uid: str, href: str, near: Sequence[Period]) -> Stored | None:
        """Ids are made of uids, so no search is needed."""
        answer = self._get(uid)
        return None if answer is None else self._stored(answer)

    def create(self, event: Event, is_leftover: Callable[[str], bool]) -> Stored:
        try:
            answer = self._ask(
                service()
                .events()
                .insert(
                    calendarId=self._calendar_id,
                    body={**self._body(event), "id": _id(event.uid)},
                    sendUpdates="none",
                ),
                judged=(409,),
            )
        except _Status:
            # It is there: a lost answer's, or deleted before, whose id Google keeps for ever.
            known = self._get(event.uid)
            if known is None:
                raise CalendarUnavailable("Google knows the event and does not show it") from None
            return self._update(known["etag"], event)
        return self._of(answer, event)

    def change(self, stored: Stored, event: Event) -> Stored:
        return self._update(stored.etag, event)

    def remove(self, stored: Stored) -> None:
        request = (
            service().events().delete(calendarId=self._calendar_id, eventId=stored.href, sendUpdates="none")
        )
        request.headers["If-Match"] = stored.etag or "*"
        try:
            self._ask(request, judged=(404, 410, 412))
        except _Status as exc:
            if exc.status == 412:
                raise CalendarUnavailable("the event was changed in the calendar meanwhile") from exc

    def _update(self, etag: str, event: Event) -> Stored:
        request = (
            service()
            .events()
            .update(
                calendarId=self._calendar_id,
                eventId=_id(event.uid),
                body=self._body(event),
                sendUpdates="none",
            )
        )
        request.headers["If-Match"] = etag or "*"
        try:
            answer = self._ask(request, judged=(404, 412))
        except _Status as exc:
            raise CalendarUnavailable("the event was changed in the calendar meanwhile") from exc
        return self._of(answer, event)

    def _get(self, uid: str) -> dict[str, Any] | None:
        try:
            return self._ask(
                service().events().get(calendarId=self._calendar_id, eventId=_id(uid)), judged=(404, 410)
            )
        except _Status:
            return None

    def _body(self, event: Event) -> dict[str, Any]:
        return {
            "summary": event.title,
            "description": event.text,
            "location": event.join_url,
            "status": "confirmed",
            "start": {"dateTime": _iso(event.period.starts_at), "timeZone": "UTC"},
            "end": {"dateTime": _iso(event.period.ends_at), "timeZone": "UTC"},
            "extendedProperties": {"private": {"tenexUid": event.uid, "tenexRevision": str(event.revision)}},
        }

    def _of(self, answer: dict[str, Any], event: Event) -> Stored:
        stored = self._stored(answer)
        if stored is None:
            raise CalendarUnavailable("Google's answer makes no sense")
        return stored

    def _stored(self, event: dict[str, Any]) -> Stored | None:
        """None for one that is deleted."""
        if event.get("status") == "cancelled":
            return None
        private = event.get("extendedProperties", {}).get("private", {})
        declined = any(
            one.get("self") and one.get("responseStatus") == "declined" for one in event.get("attendees", [])
        )
        try:
            period = Period(self._at(event["start"]), self._at(event["end"]))
            return Stored(
                uid=str(private.get("tenexUid") or event.get("iCalUID", "")),
                period=period,
                busy=event.get("transparency") != "transparent" and not declined,
                href=str(event["id"]),
                etag=str(event.get("etag", "")),
                join_url=str(event.get("hangoutLink", "")),
                sequence=int(event.get("sequence", 0)),
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise CalendarUnavailable("Google's answer makes no sense") from exc

    def _at(self, told: dict[str, Any]) -> datetime:
        if "dateTime" in told:
            return _instant(str(told["dateTime"]))
        return instant(date.fromisoformat(str(told["date"])), "00:00", self._zone, later=False)

    def _ask(self, request: Any, judged: Sequence[int] = ()) -> dict[str, Any]:
        """Send a request that the client made.

        Raises:
            CalendarUnavailable, CalendarRefused.
            _Status: one of `judged`.
        """
        import httplib2
        from googleapiclient.errors import HttpError

        http = httplib2.Http(timeout=min(_ONE_REQUEST_S, self._budget.left_s()), proxy_info=None)
        http.follow_redirects = False
        request.headers["Authorization"] = f"Bearer {self._token}"
        try:
            answer = request.execute(http=http, num_retries=0)
        except HttpError as exc:
            raise _meaning(exc, judged) from exc
        except (OSError, httplib2.HttpLib2Error, ValueError) as exc:
            raise CalendarUnavailable("Google does not answer") from exc
        finally:
            http.close()
        return answer if isinstance(answer, dict) else {}


def _meaning(error: Any, judged: Sequence[int]) -> Exception:
    status = int(error.resp.status)
    if status in judged:
        return _Status(status)
    reasons = {str(one.get("reason")) for one in error.error_details or [] if isinstance(one, dict)}
    if status in (401, 403) and not reasons & _LATER:
        return CalendarRefused("Google refuses access to the calendar: connect it again")
    if status in (404, 410):
        return CalendarRefused("there is no such calendar in the account")
    return CalendarUnavailable(f"Google answered {status}")


@cache
def service() -> Any:
    """The client: requests are built with it and sent each on a connection of its own, by whatever thread."""
    import httplib2
    from googleapiclient.discovery import build

    options = (
        {"api_endpoint": f"{settings.GOOGLE_BASE_URL}/calendar/v3/"} if settings.GOOGLE_BASE_URL else None
    )
    return build(
        "calendar",
        "v3",
        http=httplib2.Http(timeout=_ONE_REQUEST_S),
        static_discovery=True,
        client_options=options,
    )


def _id(uid: str) -> str:
    """Google's ids are of 0-9 and a-v; one event, one id, whoever asks again."""
    return hashlib.sha256(uid.encode()).hexdigest()[:40]


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as exc:
        raise CalendarUnavailable("Google's answer makes no sense") from exc
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
