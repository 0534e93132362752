"""Ways into calendars elsewhere: credentials opened, tokens renewed, what goes wrong noted."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from crm.calendars import google_oauth
from crm.calendars.availability import Period
from crm.calendars.google import GooglePort
from crm.calendars.google_oauth import Tokens
from crm.calendars.port import Budget, CalendarRefused, CalendarUnavailable, Port
from crm.models import Calendar, CalendarAccount, CalendarKind
from crm.services import calendar_health
from tenex.lib import guarded_http, zones
from tenex.workspaces.services import vault

if TYPE_CHECKING:
    from crm.calendars.caldav import Server


def warm_up() -> None:
    """Import what reads calendars elsewhere: not every process needs it, but no call shall wait for it."""
    import crm.calendars.caldav  # noqa: F401


def policy() -> guarded_http.Policy:
    """Which addresses a calendar may have."""
    return guarded_http.Policy.of(settings.WEBHOOK_ALLOWED_PRIVATE_CIDRS)


@contextmanager
def opened(calendar: Calendar, budget: Budget) -> Iterator[Port]:
    """The calendar that a connector has chosen. How it goes in here is its health.

    Raises:
        CalendarUnavailable: it does not answer, or has not lately.
        CalendarRefused: it does not let us, or was never set up.
    """
    account = account_of(calendar)
    if not account.address:
        raise CalendarRefused("the calendar is not set up yet")
    with calendar_health.watched(account):
        port = connect(calendar, account, budget)
        if not connection.in_atomic_block:
            connection.close()  # whoever waits for a server does not keep a connection from the others
        yield port


def busy(calendar: Calendar, window: Period, *, seconds: float) -> list[Period]:
    """When the calendar elsewhere is taken.

    Raises:
        CalendarUnavailable: also if it refuses us: whoever is in a call can do nothing about that either.
    """
    budget = Budget(seconds)
    try:
        with opened(calendar, budget) as port:
            return port.busy(window)
    except CalendarRefused as exc:
        raise CalendarUnavailable(exc.detail) from exc


def account_of(calendar: Calendar) -> CalendarAccount:
    """
    Raises:
        CalendarRefused: there is none.
    """
    found = CalendarAccount.objects.filter(pk=calendar.pk).first()
    if found is None:
        raise CalendarRefused("the calendar is not set up yet")
    return found


def server(account: CalendarAccount, budget: Budget) -> "Server":
    """The CalDAV server of an account."""
    from crm.calendars.caldav import Login, Server

    login = Login(account.user_name, str(credentials(account).get("password", "")))
    return Server(account.url, login, policy(), budget)


def google(account: CalendarAccount, budget: Budget) -> GooglePort:
    zone = zones.first_zone(account.calendar.time_zone)
    return GooglePort(account.address, _access_token(account, budget), budget, zone)


def credentials(account: CalendarAccount) -> dict[str, Any]:
    """
    Raises:
        vault.Unreadable.
    """
    if not account.credentials:
        return {}
    text = vault.unseal(account.workspace_id, vault.place(account, "credentials"), account.credentials)
    found: dict[str, Any] = json.loads(text)
    return found


def keep_credentials(account: CalendarAccount, found: dict[str, Any]) -> None:
    """Seal and store them."""
    with transaction.atomic():
        account.credentials = (
            vault.seal(account.workspace_id, vault.place(account, "credentials"), json.dumps(found))
            if found
            else ""
        )
        account.save(update_fields=["credentials"])


def keep_tokens(account: CalendarAccount, tokens: Tokens) -> None:
    keep_credentials(
        account,
        {
            "refresh_token": tokens.refresh,
            "access_token": tokens.access,
            "expires_at": tokens.expires_at.isoformat(),
        },
    )


def connect(calendar: Calendar, account: CalendarAccount, budget: Budget) -> Port:
    """The same without a look at, or a note of, its health.

    Raises:
        CalendarUnavailable, CalendarRefused.
    """
    from crm.calendars.caldav import CaldavPort

    zone = zones.first_zone(calendar.time_zone)
    try:
        if account.calendar.kind == CalendarKind.GOOGLE:
            return google(account, budget)
        return CaldavPort(server(account, budget), account.address, zone)
    except vault.Unreadable as exc:
        raise CalendarRefused("the stored password cannot be read: enter it again") from exc


def _access_token(account: CalendarAccount, budget: Budget) -> str:
    kept = credentials(account)
    if not kept.get("refresh_token"):
        raise CalendarRefused("Google is not connected yet")
    tokens = Tokens(
        str(kept.get("access_token", "")), str(kept["refresh_token"]), _instant(kept.get("expires_at"))
    )
    if not tokens.access or not tokens.is_fresh:
        tokens = google_oauth.refresh(tokens.refresh, budget)
        keep_tokens(account, tokens)
    return tokens.access


def _instant(text: object) -> datetime:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return timezone.now() - timedelta(days=1)
