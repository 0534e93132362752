"""Recording facts. The only place that writes events.

Call :func:`record` inside the transaction of the change that it announces, and last: it takes the
workspace's event counter, whose row lock makes sequence numbers follow the order of commits.
"""

import uuid
from collections.abc import Callable
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from tenex.events.models import Event

_NAMESPACE = uuid.UUID("8f0fb9f1-6a52-4f6e-9d27-5e1f5f3c0a11")
_wakers: list[Callable[[], None]] = []


def on_recorded(wake: Callable[[], None]) -> None:
    """Register a callable that runs after commit of any event (it only wakes; rows are the truth)."""
    _wakers.append(wake)


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
    if not connection.in_atomic_block:
        raise RuntimeError("events are recorded in the transaction of the change that they announce")
    key = uuid.uuid5(_NAMESPACE, f"{workspace_id}:{type}:{once}") if once else uuid.uuid4()
    event_id = f"evt_{key.hex}"
    with connection.cursor() as cursor:
        # The counter's row lock comes first: two recorders of one fact meet here, the second sees the row.
        cursor.execute(
            "UPDATE workspaces_workspace SET event_seq = event_seq + 1 WHERE id = %s RETURNING event_seq",
            [workspace_id],
        )
        seq = cursor.fetchone()[0]
    if once and Event.objects.filter(pk=event_id).exists():
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE workspaces_workspace SET event_seq = event_seq - 1 WHERE id = %s", [workspace_id]
            )
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
    for wake in _wakers:
        transaction.on_commit(wake, robust=True)
    return event
