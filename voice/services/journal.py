"""The journal of a call: append-only lines, numbered without gaps in commit order.

The counter on the call's row is taken with its lock, so a reader who has seen number n has seen
everything before it: that is what makes `Last-Event-ID` exact.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from tenex.events import bus
from voice.models import Call, CallEvent


@dataclass(slots=True)
class Line:
    """One line: `type` (`turn.updated`, `tool.started`, …), JSON `data`, and the instant it happened."""

    type: str
    data: dict[str, Any] = field(default_factory=dict)
    at: datetime | None = None


def append(call_id: uuid.UUID, lines: Sequence[Line]) -> int:
    """Write lines, ring the doorbell after commit, return the last number (0 if the call is gone)."""
    if not lines:
        return 0
    now = timezone.now()
    with transaction.atomic(savepoint=False):
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE voice_call SET journal_seq = journal_seq + %s WHERE id = %s"
                " RETURNING journal_seq, created_at, workspace_id",
                [len(lines), call_id],
            )
            row = cursor.fetchone()
        if row is None:
            return 0
        last, created_at, workspace_id = row
        first = last - len(lines) + 1
        CallEvent.objects.bulk_create(
            CallEvent(
                call_id=call_id,
                seq=first + index,
                at_ms=int(((line.at or now) - created_at).total_seconds() * 1000),
                type=line.type,
                data=line.data,
            )
            for index, line in enumerate(lines)
        )
        transaction.on_commit(lambda: _ring(call_id, workspace_id), robust=True)
    return int(last)


def has(call_id: uuid.UUID, type_: str) -> bool:
    """Whether the call's journal has a line of this type."""
    return CallEvent.objects.filter(call_id=call_id, type=type_).exists()


def begin(call: Call, line: Line) -> None:
    """The first line of a call that this very transaction has made with `journal_seq` 1."""
    CallEvent.objects.create(call=call, seq=1, at_ms=0, type=line.type, data=line.data)
    transaction.on_commit(lambda: _ring(call.pk, call.workspace_id), robust=True)


def _ring(call_id: uuid.UUID, workspace_id: uuid.UUID) -> None:
    bus.ring_all([bus.call_channel(call_id), bus.live_channel(workspace_id)])
