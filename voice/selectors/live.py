"""Reads for those who watch a workspace's calls: which are live, how far, and what came since.

Few queries, each for all calls at once.
"""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import connection
from django.db.models import Count, Q, QuerySet, Sum

from tenex.workspaces.models import Workspace
from voice.models import Call, CallEvent
from voice.models.calls import LIVE

MOST = 200
"""Calls of a workspace that are watched at a time, the newest."""
_RECENT = 120
_PAGE = 2000


@dataclass(frozen=True, slots=True)
class Row:
    """A call and how far it is."""

    id: uuid.UUID
    seq: int
    status: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a journal; `at_ms` counts from the call's row."""

    seq: int
    type: str
    at_ms: int
    data: dict[str, Any]


def positions(workspace_ids: set[uuid.UUID]) -> dict[uuid.UUID, tuple[int, int]]:
    """Something that changes when a live call of the workspace has news: all workspaces in one query."""
    live = Call.objects.filter(workspace_id__in=workspace_ids, status__in=LIVE)
    sums = live.values_list("workspace_id").annotate(Count("pk"), Sum("journal_seq"))
    found = {workspace_id: (count, seqs) for workspace_id, count, seqs in sums}
    return {workspace_id: found.get(workspace_id, (0, 0)) for workspace_id in workspace_ids}


def rows(workspace_id: uuid.UUID) -> list[Row]:
    """The workspace's live calls, the newest first."""
    live = Call.objects.filter(workspace_id=workspace_id, status__in=LIVE).order_by("-created_at", "-id")
    return [Row(*row) for row in live.values_list("pk", "journal_seq", "status")[:MOST]]


def calls(workspace_id: uuid.UUID, ids: Collection[uuid.UUID]) -> QuerySet[Call]:
    """Calls with what a card shows of them, and `calls_before` of their lead."""
    return (
        Call.objects.filter(workspace_id=workspace_id, pk__in=ids)
        .select_related("agent_version__agent", "lead__company", "batch")
        .annotate(calls_before=Count("lead__calls", filter=~Q(lead__calls__in=ids)))
    )


def lines(workspace_id: uuid.UUID, after: Mapping[uuid.UUID, int]) -> dict[uuid.UUID, list[Line]]:
    """What came behind these numbers, in one query. The caller has found the calls in this workspace."""
    if not after:
        return {}
    return _lines(
        "e.seq > known.seq ORDER BY e.call_id, e.seq LIMIT %(page)s",
        {"ids": list(after), "seqs": list(after.values()), "page": _PAGE},
    )


def first_lines(workspace_id: uuid.UUID, upto: Mapping[uuid.UUID, int]) -> dict[uuid.UUID, list[Line]]:
    """What a card is made of: the last lines, and before them those that say in which state the call is."""
    if not upto:
        return {}
    return _lines(
        "e.seq <= known.seq AND (e.seq > known.seq - %(recent)s OR split_part(e.type, '.', 1) IN"
        " ('call', 'operator', 'tool')) ORDER BY e.call_id, e.seq",
        {"ids": list(upto), "seqs": list(upto.values()), "recent": _RECENT},
    )


def _lines(condition: str, values: dict[str, Any]) -> dict[uuid.UUID, list[Line]]:
    statement = f"""
SELECT e.call_id, e.seq, e.type, e.at_ms, e.data::text
FROM unnest(%(ids)s::uuid[], %(seqs)s::int[]) AS known (id, seq)
JOIN voice_callevent e ON e.call_id = known.id
WHERE {condition}"""  # noqa: S608 - of the constants above
    found: dict[uuid.UUID, list[Line]] = {}
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        for call_id, seq, type_, at_ms, data in cursor.fetchall():
            found.setdefault(call_id, []).append(Line(seq, type_, at_ms, orjson.loads(data)))
    return found


def story(call: Call) -> list[CallEvent]:
    """What was done in a call, oldest first: all lines but what was said."""
    of_words = (
        "transcript.delta",
        "turn.updated",
        "turn.speech_started",
        "turn.speech_stopped",
        "model.usage",
    )
    return list(CallEvent.objects.filter(call=call).exclude(type__in=of_words).order_by("-seq")[:300])[::-1]


def before(workspace: Workspace, call: Call, *, at_most: int = 5) -> list[Call]:
    """Earlier calls of the call's lead, the newest first."""
    if call.lead_id is None:
        return []
    rows = Call.objects.filter(workspace=workspace, lead_id=call.lead_id).exclude(pk=call.pk)
    return list(rows.select_related("verdict").order_by("-created_at", "-id")[:at_most])
