"""Whether there is room for one more call: lines at the carrier, media slots, sessions of the model.

A slot is held by a call's row while it is dialing, ringing or in progress, inbound and outbound alike. The
row is a lease: an attempt of a dead worker is given back by the reconciler, a call that nobody carries is
ended by the sweeper. How many slots there are is what the media processes say that are alive, and the
settings.
"""

import math
import uuid
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from voice.models import MediaProcess

ALIVE_S = 15.0
"""A media process that says nothing for so long carries nothing."""
_FORGET = timedelta(days=1)


class Lack(StrEnum):
    """What there is too little of."""

    LINES = "lines"
    MEDIA = "media"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Room:
    """`media` and `model`: slots in all, None without a limit. `in_use` are all calls; `at_carrier` and
    `on_model` those that go over the account and the key of the settings."""

    media: int
    model: int | None
    in_use: int
    at_carrier: int
    on_model: int = 0

    def slots(self) -> dict[Lack, tuple[float, int]]:
        """How many there are (infinite without a limit), and how many of them are in use."""
        return {
            Lack.LINES: (settings.CARRIER_MAX_CALLS or math.inf, self.at_carrier),
            Lack.MEDIA: (self.media, self.in_use),
            Lack.MODEL: (math.inf if self.model is None else self.model, self.on_model),
        }

    def lack(self, *, own_account: bool = False, own_model: bool = False) -> Lack | None:
        """What forbids one more outbound call, or None. Of a workspace with an account or key of its own?"""
        shared = settings.CARRIER_MAX_CALLS if not own_account else 0
        if shared and self.at_carrier >= shared:
            return Lack.LINES
        if self.in_use >= _for_outbound(self.media):
            return Lack.MEDIA
        if self.model is not None and not own_model and self.on_model >= _for_outbound(self.model):
            return Lack.MODEL
        return None


def room(*, without: uuid.UUID | None = None) -> Room:
    """What there is now, the call `without` left out.

    Under the account's lock nobody else dials meanwhile (voice.services.pacing).
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT coalesce(sum(CASE WHEN draining THEN least(live_calls, capacity)"
            "                            ELSE capacity END), 0)"
            "        FROM voice_mediaprocess WHERE alive_until > clock_timestamp()),"
            "       count(*), count(*) FILTER (WHERE account_sid = ''"
            "                                  AND (direction = 'outbound' OR provider_sid IS NOT NULL)),"
            "       count(*) FILTER (WHERE NOT EXISTS (SELECT FROM voice_credential own"
            "         WHERE own.workspace_id = voice_call.workspace_id AND own.kind = 'openai'))"
            " FROM voice_call WHERE status IN ('dialing', 'ringing', 'in_progress')"
            " AND id IS DISTINCT FROM %s",
            [without],
        )
        announced, in_use, at_carrier, on_model = cursor.fetchone()
    media = min(announced, settings.MEDIA_SLOTS) if settings.MEDIA_SLOTS else announced
    return Room(int(media), settings.MODEL_SLOTS or None, int(in_use), int(at_carrier), int(on_model))


def announce(name: str, *, capacity: int, live_calls: int, draining: bool) -> None:
    """A media process says that it is there; until `ALIVE_S` from now this counts."""
    MediaProcess.objects.update_or_create(
        name=name[:80],
        defaults={
            "capacity": capacity,
            "live_calls": live_calls,
            "draining": draining,
            "alive_until": Now() + timedelta(seconds=ALIVE_S),  # the database's clock: machines may disagree
        },
        create_defaults={
            "capacity": capacity,
            "live_calls": live_calls,
            "draining": draining,
            "started_at": Now(),
            "alive_until": Now() + timedelta(seconds=ALIVE_S),
        },
    )


def leave(name: str) -> None:
    """A media process ends; rows of those that never said so are forgotten with it."""
    MediaProcess.objects.filter(name=name[:80]).delete()
    MediaProcess.objects.filter(alive_until__lt=timezone.now() - _FORGET).delete()


def _for_outbound(slots: int) -> int:
    """What the dialer may use of it."""
    return slots - min(settings.INBOUND_RESERVE, slots // 2)
