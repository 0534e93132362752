"""Reads of recorded facts, in the order of their commits."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass

from tenex.events.models import Event
from tenex.workspaces.models import Workspace

_WINDOW = 5000
"""Numbers that one read looks at: a filter that hardly anything passes must not read a million rows."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The events behind some number."""

    events: tuple[Event, ...]
    upto: int
    """Everything up to here has been looked at."""
    end: int
    """The last number that had been given out."""


def positions(workspace_ids: set[uuid.UUID]) -> dict[uuid.UUID, int]:
    """The last number of each of these workspaces, in one query."""
    return dict(Workspace.objects.filter(pk__in=workspace_ids).values_list("pk", "event_seq"))


def oldest(workspace_id: uuid.UUID) -> int | None:
    """The first number that is still there; None if none is."""
    first = Event.objects.filter(workspace_id=workspace_id).order_by("seq").values_list("seq", flat=True)
    return first.first()


def after(workspace_id: uuid.UUID, seq: int, types: Collection[str], limit: int) -> Slice | None:
    """The events behind `seq`, only of `types` if any are given; None if the workspace is gone."""
    # The position is read before the rows: all numbers up to it are committed by then.
    end = positions({workspace_id}).get(workspace_id)
    if end is None:
        return None
    upto = max(seq, min(end, seq + _WINDOW))
    rows = Event.objects.filter(workspace_id=workspace_id, seq__gt=seq, seq__lte=upto)
    if types:
        rows = rows.filter(type__in=types)
    events = tuple(rows.order_by("seq")[:limit]) if upto > seq else ()
    return Slice(events, events[-1].seq if len(events) == limit else upto, end)
