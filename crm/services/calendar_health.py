"""How connections to calendars elsewhere fare, and the circuit breaker that goes by it.

A server that does not answer costs the first few who ask it their deadline; from then on nobody in a call
waits for it, until one who looks again finds it well. All of it is columns of one row, written outside of
any transaction of who asks.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import structlog
from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from crm.calendars.port import CalendarRefused, CalendarUnavailable
from crm.models import AccountState, CalendarAccount
from tenex.errors import TenexError

log = structlog.get_logger(__name__)

OPENS_AFTER: Final = 3
"""Failures in a row."""
_FIRST_S: Final = 10.0
_LONGEST_S: Final = 300.0
_REFUSED_S: Final = 60.0
"""A refusal goes away when a person does something: it is looked at again now and then."""
_NOTED_EVERY: Final = timedelta(seconds=10)
"""How often a success is written down that changes nothing."""


@contextmanager
def watched(account: CalendarAccount) -> Iterator[None]:
    """Note how it goes in here.

    Raises:
        CalendarUnavailable: the breaker is open; nothing was tried.
    """
    _admit(account)
    started = time.monotonic()
    try:
        yield
    except CalendarUnavailable as exc:
        _failed(account.pk, AccountState.FAILING, exc)
        raise
    except CalendarRefused as exc:
        _failed(account.pk, AccountState.REFUSED, exc)
        raise
    except TenexError:  # an answer all the same
        _succeeded(account, round((time.monotonic() - started) * 1000))
        raise
    _succeeded(account, round((time.monotonic() - started) * 1000))


def is_open(account: CalendarAccount) -> bool:
    return account.open_until is not None and account.open_until > timezone.now()


def reset(account_id: uuid.UUID) -> None:
    """Somebody has changed what it is reached by: it is tried at once."""
    CalendarAccount.objects.filter(pk=account_id).update(failures=0, open_until=None)


def _admit(account: CalendarAccount) -> None:
    if account.open_until is None:
        return
    now = timezone.now()
    if account.open_until <= now:
        # One looks; for the others it stays as it is meanwhile.
        ours = CalendarAccount.objects.filter(pk=account.pk, open_until=account.open_until)
        if ours.update(open_until=now + _scaled(_FIRST_S)):
            return
    raise CalendarUnavailable("the calendar has not answered lately")


def _succeeded(account: CalendarAccount, latency_ms: int) -> None:
    now = timezone.now()
    news = (
        ~Q(state=AccountState.OK)
        | Q(failures__gt=0)
        | ~Q(open_until=None)
        | Q(last_success_at=None)
        | Q(last_success_at__lt=now - _NOTED_EVERY)
    )
    CalendarAccount.objects.filter(news, pk=account.pk).update(
        state=AccountState.OK, last_success_at=now, latency_ms=latency_ms, failures=0, open_until=None
    )


def _failed(account_id: uuid.UUID, state: AccountState, exc: TenexError) -> None:
    now = timezone.now()
    rows = CalendarAccount.objects.filter(pk=account_id)
    rows.update(state=state, last_error_at=now, last_error=exc.detail[:200], failures=F("failures") + 1)
    failures = rows.values_list("failures", flat=True).first() or 0
    if state == AccountState.REFUSED:
        rows.update(open_until=now + _scaled(_REFUSED_S))
    elif failures >= OPENS_AFTER:
        wait_s = min(_LONGEST_S, _FIRST_S * 2.0 ** min(failures - OPENS_AFTER, 10))
        rows.update(open_until=now + _scaled(wait_s))
    log.info("calendar did not work", connector_id=str(account_id), state=str(state), failures=failures)


def _scaled(seconds: float) -> timedelta:
    return timedelta(seconds=seconds / settings.TIME_SCALE)
