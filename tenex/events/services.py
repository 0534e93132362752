"""Recording facts. The only place that writes events.

Call :func:`record` inside the transaction of the change that it announces, and last: it takes the
workspace's event counter, whose row lock makes sequence numbers follow the order of commits.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import Q, TextField
from django.db.models.functions import Cast
from django.utils import timezone

from tenex.events import bus
from tenex.events.models import Event

_NAMESPACE = uuid.UUID("8f0fb9f1-6a52-4f6e-9d27-5e1f5f3c0a11")
_RECENT_CALLBACKS = 8
"""Where a ring of the same transaction is looked for."""
_wakers: list[Callable[[], None]] = []


def on_recorded(wake: Callable[[], None]) -> None:
    """Register a callable that runs after commit of any event (it only wakes; rows are the truth)."""
    _wakers.append(wake)


@dataclass(frozen=True, slots=True)
class Fact:
    """What :func:`record_first` writes; fields as in :func:`record`."""

    type: str
    data: dict[str, Any]
    once: str
    call_id: uuid.UUID | None = None


def record_first(workspace_id: uuid.UUID, facts: Sequence[Fact]) -> None:
    """The first facts about things that this very transaction has made: nobody else can have told of them.

    Two statements, however many facts; :func:`record` takes up to four for each. Last in the transaction.

    Raises:
        RuntimeError: outside a transaction.
        IntegrityError: a fact was known.
    """
    last = _count(workspace_id, len(facts))
    seen: Counter[uuid.UUID] = Counter()
    rows = []
    for seq, fact in enumerate(facts, start=last - len(facts) + 1):
        data = fact.data
        if fact.call_id is not None:
            seen[fact.call_id] += 1
            data = {**data, "sequence": seen[fact.call_id]}
        rows.append(
            Event(
                id=_id(workspace_id, fact.type, fact.once),
                workspace_id=workspace_id,
                seq=seq,
                type=fact.type,
                call_id=fact.call_id,
                occurred_at=timezone.now(),
                data=data,
            )
        )
    Event.objects.bulk_create(rows)
    _tell(workspace_id)


def record(
    *,
    workspace_id: uuid.UUID,
    type: str,
    data: dict[str, Any],
    call_id: uuid.UUID | None = None,
    once: str | None = None,
) -> Event | None:
    """Append one fact.

    `once` names a thing that can happen once (for instance the call's id): a second record of the same
    type and `once` changes nothing and returns None. `data` must be JSON serialisable; facts about a call
    get their number within the call as `sequence`.

    Raises:
        RuntimeError: outside a transaction.
    """
    event_id = _id(workspace_id, type, once)
    # The counter's row lock comes first: two recorders of one fact meet here, the second sees the row.
    seq = _count(workspace_id, 1)
    if once and Event.objects.filter(pk=event_id).exists():
        _count(workspace_id, -1)
        return None
    if call_id is not None:
        # Under the counter's lock: the facts of a call are numbered 1, 2, 3 … without a gap (promises.md C3).
        data = {**data, "sequence": Event.objects.filter(call_id=call_id).count() + 1}
    event = Event.objects.create(
        id=event_id,
        workspace_id=workspace_id,
        seq=seq,
        type=type,
        call_id=call_id,
        occurred_at=timezone.now(),
        data=data,
    )
    _tell(workspace_id)
    return event


@dataclass(frozen=True, slots=True)
class _Ring:
    """The doorbell of a workspace's stream, to be rung after commit."""

    workspace_id: uuid.UUID

    def __call__(self) -> None:
        bus.ring(bus.workspace_channel(self.workspace_id))


def _tell(workspace_id: uuid.UUID) -> None:
    """After commit: wake who follows the workspace's stream, and who sends events on. Once, for many."""
    ring = _Ring(workspace_id)
    if any(entry[1] == ring for entry in connection.run_on_commit[-_RECENT_CALLBACKS:]):
        return
    transaction.on_commit(ring, robust=True)
    for wake in _wakers:
        transaction.on_commit(wake, robust=True)


def _id(workspace_id: uuid.UUID, type: str, once: str | None) -> str:
    key = uuid.uuid5(_NAMESPACE, f"{workspace_id}:{type}:{once}") if once else uuid.uuid4()
    return f"evt_{key.hex}"


def _count(workspace_id: uuid.UUID, facts: int) -> int:
    """Move the workspace's counter on, under its row lock; where it stands now."""
    if not connection.in_atomic_block:
        raise RuntimeError("events are recorded in the transaction of the change that they announce")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE workspaces_workspace SET event_seq = event_seq + %s WHERE id = %s RETURNING event_seq",
            [facts, workspace_id],
        )
        return int(cursor.fetchone()[0])


def forget_calls(call_ids: Iterable[uuid.UUID]) -> dict[str, int]:
    """Delete what was told of these calls, to whom it was delivered with it; rows by kind."""
    _, by_model = Event.objects.filter(call_id__in=list(call_ids)).delete()
    return {name.rpartition(".")[2].lower(): count for name, count in by_model.items() if count}


def forget_texts(workspace_id: uuid.UUID, needles: Sequence[str]) -> dict[str, int]:
    """Delete the events in which one of these texts is, to whom they were delivered with them; rows by kind.

    Reads all events of the workspace: for what somebody asks once.
    """
    mine = Event.objects.filter(workspace_id=workspace_id).annotate(told=Cast("data", TextField()))
    of_them = Q()
    for needle in needles:
        of_them |= Q(told__icontains=needle)
    _, by_model = Event.objects.filter(pk__in=mine.filter(of_them).values("pk")).delete()
    return {name.rpartition(".")[2].lower(): count for name, count in by_model.items() if count}
