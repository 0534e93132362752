"""What operators' monitoring is told of calls, dialing and what comes after them (docs/monitoring.md).

Of the whole installation, so nothing here says which workspace, number or person.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from tenex.monitoring.families import MOST, gauge, gauge_by, row, rows
from voice.models import BatchStatus, CallStatus, Direction, PauseCode, RecordingProblem
from voice.models.calls import LIVE
from voice.services import capacity, pacing

PART: Final = "voice"
_OPEN_BATCHES: Final = (BatchStatus.QUEUED, BatchStatus.RUNNING, BatchStatus.PAUSED)
_OPEN_ATTEMPTS: Final = ("prepared", "posting", "unknown")


def families() -> Iterator[Metric]:
    yield from _calls()
    yield from _capacity()
    yield from _dialing()
    yield from _batches()
    yield from _postcall()
    yield from _recordings()
    yield from _retention()


def _calls() -> Iterator[Metric]:
    found = rows(
        "SELECT direction, status, count(*) FROM voice_call"
        " WHERE status IN ('queued', 'dialing', 'ringing', 'in_progress') GROUP BY direction, status"
    )
    count = {(direction, status): number for direction, status, number in found}
    family = GaugeMetricFamily(
        "tenex_calls_live",
        "Calls that are not over, by direction and status.",
        labels=["direction", "status"],
    )
    for direction in Direction:
        for status in LIVE:
            if (direction, status) != (Direction.INBOUND, CallStatus.QUEUED):
                family.add_metric([direction, status], count.get((direction, status), 0))
    yield family
    (late,) = row(
        "SELECT now() - min(sweep_at) FROM voice_call"
        " WHERE status IN ('dialing', 'ringing', 'in_progress') AND sweep_at < now()"
    )
    yield gauge(
        "tenex_call_sweep_late_seconds", "How long the sweep has owed a look at a call that is live.", late
    )


def _capacity() -> Iterator[Metric]:
    alive = dict(
        rows(
            "SELECT CASE WHEN draining THEN 'draining' ELSE 'taking' END AS state, count(*)"
            " FROM voice_mediaprocess WHERE alive_until > clock_timestamp() GROUP BY state"
        )
    )
    yield gauge_by(
        "state", "tenex_media_processes", "Media processes that are alive.", alive, ("taking", "draining")
    )
    room = capacity.room()
    kinds = {str(lack): slots for lack, slots in room.slots().items()}
    yield gauge_by(
        "kind",
        "tenex_slots",
        "Calls that there is room for at a time; infinite without a limit.",
        {kind: total for kind, (total, _) in kinds.items()},
    )
    yield gauge_by(
        "kind", "tenex_slots_in_use", "Of them in use.", {kind: used for kind, (_, used) in kinds.items()}
    )


def _dialing() -> Iterator[Metric]:
    found = rows(
        "SELECT state, count(*), now() - min(coalesce(posted_at, created_at)) FROM voice_dialattempt"
        " WHERE state IN ('prepared', 'posting', 'unknown') GROUP BY state"
    )
    yield gauge_by(
        "state",
        "tenex_dial_attempts_open",
        "Attempts to dial without an outcome: not yet asked for, being asked for, or answered unclearly.",
        {state: count for state, count, _ in found},
        _OPEN_ATTEMPTS,
    )
    yield gauge_by(
        "state",
        "tenex_dial_attempts_open_oldest_seconds",
        "Age of the oldest of them.",
        {state: age for state, _, age in found},
        _OPEN_ATTEMPTS,
    )
    troubled, longest_s = row(
        "SELECT count(*) FILTER (WHERE strikes >= %(trouble)s),"
        " max(hold_until_s) - extract(epoch FROM clock_timestamp()) FROM voice_carrieraccount",
        trouble=pacing.TROUBLE,
    )
    yield gauge(
        "tenex_carrier_accounts_in_trouble",
        "Accounts whose carrier failed in a row: dialing is slowed.",
        troubled,
    )
    yield gauge(
        "tenex_carrier_hold_seconds",
        "Longest time for which an account is not dialed.",
        max(0, longest_s or 0),
    )
    rate = pacing.carrier_rate()
    yield gauge(
        "tenex_carrier_starts_per_second_limit",
        "Starts a second that an account's carrier may see.",
        rate.starts / rate.period_s,
    )
    (stopped,) = row("SELECT count(*) FROM voice_callingswitch WHERE stopped_at IS NOT NULL")
    yield gauge("tenex_calling_stopped", "Whether the kill switch of the installation is thrown.", stopped)
    (paused,) = row("SELECT count(*) FROM workspaces_workspace WHERE calling_paused_at IS NOT NULL")
    yield gauge("tenex_calling_paused_workspaces", "Workspaces that have stopped their own dialing.", paused)


def _batches() -> Iterator[Metric]:
    count: defaultdict[str, int] = defaultdict(int)
    why: defaultdict[str, int] = defaultdict(int)
    for status, code, number in rows(
        "SELECT status, pause_code, count(*) FROM voice_batch"
        " WHERE status IN ('queued', 'running', 'paused') AND NOT is_standing GROUP BY status, pause_code"
    ):
        count[status] += number
        if status == BatchStatus.PAUSED:
            why[code or PauseCode.OPERATOR] += number
    yield gauge_by("status", "tenex_batches_open", "Batches that are not over.", count, _OPEN_BATCHES)
    yield gauge_by(
        "code",
        "tenex_batches_paused",
        "Batches that are paused, by who or what paused them; `failures_jumped` is the circuit breaker.",
        why,
        PauseCode.values,
    )
    due, calling = row(
        "SELECT (SELECT count(*) FROM (SELECT FROM voice_batch b JOIN LATERAL ("
        "   (SELECT FROM voice_recipient r WHERE r.batch_id = b.id AND r.status = 'pending'"
        "    AND r.next_at IS NULL LIMIT %(most)s) UNION ALL"
        "   (SELECT FROM voice_recipient r WHERE r.batch_id = b.id AND r.status = 'pending'"
        "    AND r.next_at <= now() LIMIT %(most)s)) waiting ON true"
        "  WHERE b.status = 'running' LIMIT %(most)s) due),"
        " (SELECT count(*) FROM voice_recipient WHERE status = 'calling')",
        most=MOST,
    )
    yield gauge(
        "tenex_recipients_due", "Recipients of running batches whose time has come (at most 100,000).", due
    )
    yield gauge("tenex_recipients_calling", "Recipients who are being called.", calling)


def _postcall() -> Iterator[Metric]:
    first, again, oldest = row(
        "SELECT count(*) FILTER (WHERE coalesce(f.tries, 0) <= 1), count(*) FILTER (WHERE f.tries > 1),"
        " now() - min(c.ended_at) FROM voice_call c LEFT JOIN voice_finalization f ON f.call_id = c.id"
        " WHERE c.status IN ('ended', 'finalizing')"
    )
    yield gauge_by(
        "tries",
        "tenex_postcall_calls_waiting",
        "Calls that are over and not finalized: in their `first` try, or tried `again` after a failure.",
        {"first": first, "again": again},
    )
    yield gauge("tenex_postcall_oldest_seconds", "How long ago the oldest of them ended.", oldest)


def _recordings() -> Iterator[Metric]:
    waiting, oldest, failing = row(
        "SELECT count(*), now() - min(created_at), count(*) FILTER (WHERE problem <> '')"
        " FROM voice_recording WHERE status = 'pending'"
    )
    yield gauge("tenex_recordings_waiting", "Recordings that are not in the storage yet.", waiting)
    yield gauge("tenex_recordings_waiting_failed", "Of them those whose last try failed.", failing)
    yield gauge("tenex_recordings_waiting_oldest_seconds", "Age of the oldest of them.", oldest)
    yield gauge_by(
        "problem",
        "tenex_recordings_problem",
        "Recordings with which something is wrong.",
        dict(
            rows(
                "SELECT problem, count(*) FROM voice_recording"
                " WHERE problem <> '' AND status IN ('pending', 'stored', 'failed') GROUP BY problem"
            )
        ),
        [value for value in RecordingProblem.values if value],
    )
    unverified, leftover = row(
        "SELECT (SELECT count(*) FROM voice_recording WHERE status = 'stored' AND verified_at IS NULL"
        "  AND carrier_deleted_at IS NULL AND problem = ''),"
        " (SELECT count(*) FROM voice_recording WHERE NOT leftovers = '[]')"
    )
    yield gauge("tenex_recordings_unverified", "Stored recordings that are to be read back.", unverified)
    yield gauge("tenex_recordings_leftover", "Recordings with files that are to be deleted still.", leftover)


_HELD: Final = (
    "EXISTS (SELECT FROM voice_legalhold h WHERE h.released_at IS NULL AND h.workspace_id = c.workspace_id"
    " AND (h.call_id = c.id OR h.lead_id = c.lead_id OR (h.call_id IS NULL AND h.lead_id IS NULL)))"
)
_PAST_RECORDINGS: Final = f"""
SELECT count(*), max(late) FROM (
  SELECT now() - r.purge_after AS late FROM voice_recording r JOIN voice_call c ON c.id = r.call_id
  WHERE r.status IN ('pending', 'stored') AND r.purge_after <= now() AND c.status = 'finalized'
    AND NOT {_HELD}
  ORDER BY r.purge_after LIMIT %(most)s
) past
"""  # noqa: S608 - made of constants
_PAST_TEXTS: Final = f"""
SELECT count(*), max(late) FROM workspaces_workspace w
CROSS JOIN LATERAL (SELECT make_interval(days => greatest(
  w.transcript_retention_days, w.journal_retention_days, w.evidence_retention_days)) AS longest) kept
CROSS JOIN LATERAL (
  SELECT now() - c.ended_at - longest AS late FROM voice_call c
  WHERE c.workspace_id = w.id AND c.status = 'finalized' AND c.purged < 7 AND c.ended_at < now() - longest
    AND NOT {_HELD}
  ORDER BY c.ended_at LIMIT %(most)s
) past
WHERE NOT EXISTS (SELECT FROM voice_legalhold h WHERE h.released_at IS NULL AND h.workspace_id = w.id
                  AND h.call_id IS NULL AND h.lead_id IS NULL)
"""  # noqa: S608 - made of constants
_MOST_A_WORKSPACE: Final = 1000


def _retention() -> Iterator[Metric]:
    recordings, recordings_late = row(_PAST_RECORDINGS, most=MOST)
    texts, texts_late = row(_PAST_TEXTS, most=_MOST_A_WORKSPACE)
    yield gauge_by(
        "kind",
        "tenex_purge_waiting",
        "What should be deleted by now: recordings, and calls with texts beyond their longest retention.",
        {"recordings": recordings, "texts": texts},
    )
    yield gauge_by(
        "kind",
        "tenex_purge_late_seconds",
        "How long the oldest of it is past its time.",
        {"recordings": recordings_late, "texts": texts_late},
    )
    count, oldest = row(
        "SELECT count(*), now() - min(created_at) FROM voice_erasure WHERE finished_at IS NULL"
    )
    yield gauge("tenex_erasures_open", "Persons who asked to be forgotten and are not yet.", count)
    yield gauge("tenex_erasures_open_oldest_seconds", "How long ago the first of them asked.", oldest)
