"""Looking at a connection on somebody's behalf: does it work, what calendars are there, may we come in."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from crm.calendars import google_oauth
from crm.calendars.availability import Period
from crm.calendars.port import Budget, CalendarRefused, CalendarUnavailable, Choice
from crm.models import Calendar, CalendarAccount, CalendarKind
from crm.selectors import calendars as read
from crm.services import calendar_health, calendar_ports, connectors
from tenex.errors import Conflict, TenexError
from tenex.rest import signed
from tenex.workspaces.models import Workspace
from tenex.workspaces.principal import Principal
from tenex.workspaces.services import audit, vault

_PURPOSE: Final = "google-calendar"
CONSENT_S: Final = 900
_PATIENCE_S: Final = 15.0
"""Somebody waits at a page."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried: `step` for machines, `detail` for people."""

    step: str
    ok: bool
    detail: str
    took_ms: int


def test(calendar: Calendar) -> list[Check]:
    """Try what a call needs, step by step; the first that fails is the last."""
    if not calendar.is_remote:
        return [Check("built_in", True, "It is in our own database.", 0)]
    try:
        account = calendar_ports.account_of(calendar)
    except CalendarRefused as exc:
        return [Check("account", False, exc.detail, 0)]
    # Somebody asks right now, whatever the breaker thinks.
    calendar_health.reset(account.pk)
    account.refresh_from_db()
    budget = Budget(_PATIENCE_S)
    done: list[Check] = []
    steps: tuple[tuple[str, Callable[[], str]], ...] = (
        ("sign_in", lambda: _signs_in(account, budget)),
        ("calendar", lambda: _is_there(account, budget)),
        ("busy_times", lambda: _reads(calendar, budget)),
    )
    try:
        with calendar_health.watched(account):
            for name, step in steps:
                started = time.monotonic()
                try:
                    detail, failure = step(), None
                except (CalendarRefused, CalendarUnavailable) as exc:
                    detail, failure = exc.detail, exc
                took_ms = round((time.monotonic() - started) * 1000)
                done.append(Check(name, failure is None, f"{detail[:1].upper()}{detail[1:]}.", took_ms))
                if failure is not None:
                    raise failure
    except (CalendarRefused, CalendarUnavailable):
        pass  # said in the checks, and noted as its health
    return done


def discover(calendar: Calendar, *, actor: str) -> list[Choice]:
    """The calendars of the account. If only one can be written in and none is chosen yet, it is.

    Raises:
        Conflict: a built-in calendar has no account.
        CalendarUnavailable, CalendarRefused.
    """
    if not calendar.is_remote:
        raise Conflict("a built-in calendar has no account", code="connector_built_in")
    account = calendar_ports.account_of(calendar)
    calendar_health.reset(account.pk)
    account.refresh_from_db()
    with calendar_health.watched(account):
        found = _choices(account, Budget(_PATIENCE_S))
    writable = [one for one in found if one.writable]
    if not account.address and len(writable) == 1:
        only = writable[0]
        connectors.update(calendar, {"address": only.address, "address_name": only.name}, actor=actor)
    return found


def consent_url(calendar: Calendar, principal: Principal) -> str:
    """Where somebody lets us into their Google calendar.

    Raises:
        Conflict: not a Google calendar, or the installation has no client at Google.
    """
    if calendar.kind != CalendarKind.GOOGLE:
        raise Conflict("only a Google calendar is connected in this way", code="not_google")
    if not google_oauth.configured():
        raise Conflict(
            "GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET are not set in this installation",
            code="google_not_configured",
        )
    state, _ = signed.issue(_PURPOSE, calendar.pk, by=principal.rate_key, ttl_s=CONSENT_S)
    return google_oauth.consent_url(state)


def come_in(workspace: Workspace, *, state: str, code: str, actor: str) -> Calendar:
    """Finish what :func:`consent_url` began.

    Raises:
        Conflict: the state is not ours, too old, or of another workspace (`link_expired`).
        CalendarUnavailable, CalendarRefused.
    """
    link = signed.read(state, _PURPOSE)
    known = read.all_of(workspace.pk).filter(pk=link.object_id).first() if link is not None else None
    if known is None:
        raise Conflict("this link has run out: begin again", code="link_expired")
    tokens = google_oauth.exchange(code, state, Budget(_PATIENCE_S))
    with transaction.atomic():
        account = CalendarAccount.objects.select_for_update().get(pk=known.pk)
        calendar_ports.keep_tokens(account, tokens)
        calendar_health.reset(account.pk)
        audit.record(workspace.pk, actor, "connector.connected", object_type="connector", object_id=known.pk)
    return known


def disconnect(calendar: Calendar, *, actor: str) -> None:
    """Take a calendar out of use (:func:`connectors.archive`); Google hears that we need its consent no more.

    Raises:
        Conflict: meetings in it are to come.
    """
    token = ""
    if calendar.kind == CalendarKind.GOOGLE:
        try:
            kept = calendar_ports.credentials(calendar_ports.account_of(calendar))
            token = str(kept.get("refresh_token", ""))
        except TenexError:
            token = ""
    connectors.archive(calendar, actor=actor)
    if token:
        with _best_effort():
            google_oauth.revoke(token, Budget(3.0))


@contextmanager
def _best_effort() -> Iterator[None]:
    try:
        yield
    except TenexError:
        return


def _choices(account: CalendarAccount, budget: Budget) -> list[Choice]:
    try:
        if account.calendar.kind == CalendarKind.GOOGLE:
            return calendar_ports.google(account, budget).calendars()
        return calendar_ports.server(account, budget).calendars()
    except vault.Unreadable as exc:
        raise CalendarRefused("the stored password cannot be read: enter it again") from exc


def _signs_in(account: CalendarAccount, budget: Budget) -> str:
    found = _choices(account, budget)
    return f"signed in; {len(found)} calendar{'' if len(found) == 1 else 's'} found"


def _is_there(account: CalendarAccount, budget: Budget) -> str:
    if not account.address:
        raise CalendarRefused("no calendar is chosen yet")
    chosen = next((one for one in _choices(account, budget) if _same(one.address, account.address)), None)
    if chosen is None:
        raise CalendarRefused("the chosen calendar is not among those of the account")
    if not chosen.writable:
        raise CalendarRefused("the chosen calendar may only be read")
    return f"{chosen.name or 'the calendar'} can be written in"


def _reads(calendar: Calendar, budget: Budget) -> str:
    now = timezone.now()
    port = calendar_ports.connect(calendar, calendar_ports.account_of(calendar), budget)
    busy = port.busy(Period(now, now + timedelta(days=14)))
    return f"{len(busy)} busy time{'' if len(busy) == 1 else 's'} in the next two weeks"


def _same(one: str, other: str) -> bool:
    return one.rstrip("/") == other.rstrip("/")
