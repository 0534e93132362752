"""Figures of one batch, and of what calls of a workspace were like lately."""

import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import connection
from django.db.models import Count, Min, Q
from django.db.models.functions import Greatest, Trunc
from django.utils import timezone

from tenex.workspaces.models import Workspace
from voice.models import Batch, BatchVersion, Call, CallStatus, Direction, Outcome, Recipient, RecipientStatus
from voice.selectors import measures
from voice.services import costs

LATELY = 500
"""Calls that a forecast looks back at."""
_BIN_S = 900
"""Zones differ by quarters of an hour."""


@dataclass(frozen=True, slots=True)
class Past:
    """The last outbound calls of a workspace: seconds of a line by how the call went, cost of a dial."""

    calls: int = 0
    connect_rate: float = 0.0
    connected_s: float = 0.0
    missed_s: float = 0.0
    cost_microusd: float = 0.0


@dataclass(slots=True)
class Funnel:
    """Leads, each step a part of the one before; `allowed` is who was not refused."""

    total: int = 0
    allowed: int = 0
    dialed: int = 0
    connected: int = 0
    qualified: int = 0
    meetings: int = 0


@dataclass(slots=True)
class Hour:
    """Calls placed in one hour of the day, by the clock of those who were called."""

    hour: int
    dialed: int = 0
    connected: int = 0


@dataclass(slots=True)
class OfVersion:
    """Calls of one agent version."""

    agent_version_id: uuid.UUID
    number: int
    weight: int | None
    leads: int = 0
    dialed: int = 0
    connected: int = 0
    qualified: int = 0
    meetings: int = 0
    cost_microusd: int = 0


@dataclass(slots=True)
class Stats:
    funnel: Funnel = field(default_factory=Funnel)
    outcomes: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    hours: list[Hour] = field(default_factory=list)
    versions: list[OfVersion] = field(default_factory=list)


@dataclass(slots=True)
class Progress:
    """Where a batch stands. `openings`: hour -> how many wait for it, those of now in the present one."""

    waiting: int = 0
    waiting_until: datetime | None = None
    refused: dict[str, int] = field(default_factory=dict)
    live: int = 0
    live_microusd: int = 0
    openings: Counter[datetime] = field(default_factory=Counter)


def past(workspace: Workspace) -> Past:
    """What the last calls that this workspace placed were like."""
    rows = list(
        Call.objects.filter(workspace=workspace, direction=Direction.OUTBOUND)
        .order_by("-created_at", "-id")
        .values_list(
            "status",
            "placed_at",
            "answered_at",
            "ended_at",
            "end_reason",
            "answered_by",
            "usage",
            "duration_ms",
        )[:LATELY]
    )
    connected_s: list[float] = []
    missed_s: list[float] = []
    cost = 0
    for status, placed_at, answered_at, ended_at, reason, answered_by, usage, duration_ms in rows:
        if status != CallStatus.FINALIZED or placed_at is None or ended_at is None:
            continue
        cost += costs.of_call(usage, duration_ms)
        person = answered_at is not None and not _machine(reason, answered_by)
        (connected_s if person else missed_s).append((ended_at - placed_at).total_seconds())
    calls = len(connected_s) + len(missed_s)
    if not calls:
        return Past()
    return Past(
        calls,
        len(connected_s) / calls,
        sum(connected_s) / len(connected_s) if connected_s else 0.0,
        sum(missed_s) / len(missed_s) if missed_s else 0.0,
        cost / calls,
    )


def _machine(reason: str | None, answered_by: str) -> bool:
    return reason in ("machine", "fax") or answered_by == "fax" or answered_by.startswith("machine")


def progress(batch: Batch) -> Progress:
    """Who waits, until when, and what is under way."""
    now = timezone.now()
    found = Progress()
    pending = Recipient.objects.filter(batch=batch, status=RecipientStatus.PENDING).order_by()
    hours = pending.annotate(hour=Trunc(Greatest("next_at", now), "hour", tzinfo=UTC))
    # PostgreSQL's greatest() passes over null, so whoever has no hour counts as due.
    found.openings = Counter(dict(hours.values_list("hour").annotate(n=Count("pk"))))
    found.waiting = found.openings.total()
    due = Q(next_at=None) | Q(next_at__lte=now)
    first, due_now = pending.aggregate(first=Min("next_at"), due=Count("pk", filter=due)).values()
    found.waiting_until = None if due_now else first
    refused = Recipient.objects.filter(batch=batch, status=RecipientStatus.REFUSED).order_by()
    found.refused = dict(refused.values_list("refusal_code").annotate(n=Count("pk")).order_by("refusal_code"))
    live = (CallStatus.DIALING, CallStatus.RINGING, CallStatus.IN_PROGRESS)
    for usage, answered_at in Call.objects.filter(batch=batch, status__in=live).values_list(
        "usage", "answered_at"
    ):
        talked_ms = round((now - answered_at).total_seconds() * 1000) if answered_at else None
        found.live += 1
        found.live_microusd += costs.of_call(usage, talked_ms)
    return found


def stats(batch: Batch) -> Stats:
    """Funnel, outcomes, hours and versions of a batch."""
    found = Stats()
    _funnel(batch, found)
    _hours(batch, found)
    _versions(batch, found)
    return found


def _funnel(batch: Batch, found: Stats) -> None:
    rows = Recipient.objects.filter(batch=batch).order_by().values_list("status", "outcome", "refusal_code")
    for status, outcome, code, count in rows.annotate(n=Count("pk")):
        found.funnel.total += count
        if status == RecipientStatus.REFUSED:
            found.refusals[code] = found.refusals.get(code, 0) + count
        else:
            found.funnel.allowed += count
        if outcome:
            found.outcomes[outcome] = found.outcomes.get(outcome, 0) + count
    reached = _rows(
        f"""
        SELECT count(*) FILTER (WHERE dialed), count(*) FILTER (WHERE connected),
          count(*) FILTER (WHERE qualified), count(*) FILTER (WHERE qualified AND meeting)
        FROM (
          SELECT bool_or(c.placed_at IS NOT NULL) AS dialed,
            bool_or({measures.MEASURES["connected"]} = 1) AS connected,
            bool_or(c.outcome = '{Outcome.QUALIFIED}') AS qualified,
            bool_or({measures.MEASURES["meetings_booked"]} = 1) AS meeting
          FROM {measures.FROM_CALLS} WHERE c.batch_id = %s AND c.recipient_id IS NOT NULL
          GROUP BY c.recipient_id
        ) AS leads""",  # noqa: S608 - made of constants
        [batch.pk],
    )
    dialed, connected, qualified, meetings = reached[0]
    found.funnel.dialed, found.funnel.connected = dialed, connected
    found.funnel.qualified, found.funnel.meetings = qualified, meetings


def _hours(batch: Batch, found: Stats) -> None:
    """Binned in the database, put on each lead's clock here: its zones may be older than ours."""
    rows = _rows(
        f"""
        SELECT coalesce(l.time_zone, ''), (extract(epoch FROM c.placed_at)::bigint / {_BIN_S}) * {_BIN_S},
          count(*), sum({measures.MEASURES["connected"]})
        FROM voice_call c LEFT JOIN crm_lead l ON l.id = c.lead_id
        WHERE c.batch_id = %s AND c.placed_at IS NOT NULL GROUP BY 1, 2""",  # noqa: S608 - made of constants
        [batch.pk],
    )
    hours = {hour: Hour(hour) for hour in range(24)}
    for name, epoch_s, dialed, connected in rows:
        local = datetime.fromtimestamp(epoch_s, _zone(name, batch.workspace.time_zone))
        hours[local.hour].dialed += dialed
        hours[local.hour].connected += int(connected or 0)
    found.hours = list(hours.values())


def _zone(*names: str) -> ZoneInfo:
    """The first that there is."""
    for name in filter(None, names):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            continue
    return ZoneInfo("UTC")


def _versions(batch: Batch, found: Stats) -> None:
    weights = dict(BatchVersion.objects.filter(batch=batch).values_list("agent_version_id", "weight"))
    rows = _rows(
        f"""
        SELECT c.agent_version_id, n.number, count(DISTINCT c.recipient_id),
          count(*) FILTER (WHERE c.placed_at IS NOT NULL), sum({measures.MEASURES["connected"]}),
          count(*) FILTER (WHERE c.outcome = '{Outcome.QUALIFIED}'),
          sum({measures.MEASURES["meetings_booked"]}), {_USAGE}
        FROM {measures.FROM_CALLS} JOIN voice_agentversion n ON n.id = c.agent_version_id
        WHERE c.batch_id = %s GROUP BY 1, 2 ORDER BY 2""",  # noqa: S608 - made of constants
        [batch.pk],
    )
    for version_id, number, leads, dialed, connected, qualified, meetings, *spent in rows:
        found.versions.append(
            OfVersion(
                version_id,
                number,
                weights.get(version_id),
                leads,
                dialed,
                int(connected or 0),
                qualified,
                int(meetings or 0),
                _cost(spent),
            )
        )


_TOKENS: Mapping[str, str] = {
    "text_in": "input_token_details.text_tokens",
    "audio_in": "input_token_details.audio_tokens",
    "text_cached": "input_token_details.cached_tokens_details.text_tokens",
    "audio_cached": "input_token_details.cached_tokens_details.audio_tokens",
    "text_out": "output_token_details.text_tokens",
    "audio_out": "output_token_details.audio_tokens",
}
_USAGE = (
    ", ".join(
        f"""coalesce(sum(jsonb_path_query_first(c.usage, '$.{path} ? (@.type() == "number")')::numeric), 0)"""
        for path in _TOKENS.values()
    )
    + ", sum(ceil(coalesce(c.duration_ms, 0) / 60000.0))"
)


def _cost(spent: list[Any]) -> int:
    """Microdollars of summed tokens (in the order of _TOKENS) and minutes."""
    *tokens, minutes = map(int, spent)
    text_in, audio_in, text_cached, audio_cached, text_out, audio_out = tokens
    usage = {
        "input_token_details": {
            "text_tokens": text_in,
            "audio_tokens": audio_in,
            "cached_tokens_details": {"text_tokens": text_cached, "audio_tokens": audio_cached},
        },
        "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
    }
    return costs.of_call(usage, minutes * 60_000)


def _rows(sql: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
