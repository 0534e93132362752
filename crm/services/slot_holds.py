"""Times that are being offered in a call. Other calls offer them only when nothing else is left."""

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction

from crm.calendars.availability import Period
from crm.models import Calendar, SlotHold

HOLD_S: Final = 90.0
"""As long as somebody thinks about three times and says which one."""


def choose(
    calendar: Calendar,
    slots: Sequence[Period],
    call_id: uuid.UUID,
    *,
    now: datetime,
    pick: Callable[[Sequence[Period]], list[Period]],
) -> list[Period]:
    """What `pick` takes of the slots that no other call offers now, of all of them if that is none; held.

    What this call was offered before and is not offered again is free for others.
    """
    with transaction.atomic():
        # One call after the other chooses, or two would see the same slots free.
        Calendar.objects.select_for_update(no_key=True).get(pk=calendar.pk)
        theirs = set(
            SlotHold.objects.filter(calendar=calendar, expires_at__gt=now)
            .exclude(call_id=call_id)
            .values_list("starts_at", flat=True)
        )
        chosen = pick([slot for slot in slots if slot.starts_at not in theirs]) or pick(slots)
        SlotHold.objects.filter(call_id=call_id).delete()
        until = now + timedelta(seconds=HOLD_S / settings.TIME_SCALE)
        SlotHold.objects.bulk_create(
            SlotHold(calendar=calendar, call_id=call_id, starts_at=slot.starts_at, expires_at=until)
            for slot in chosen
        )
    return chosen


def release(call_id: uuid.UUID) -> int:
    """The call is over, or has booked: what it was offered is free for others."""
    return SlotHold.objects.filter(call_id=call_id).delete()[0]


def forget(now: datetime) -> int:
    """Delete what has run out: a call whose end nobody noticed."""
    return SlotHold.objects.filter(expires_at__lt=now).delete()[0]
