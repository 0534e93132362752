"""When the carrier may be asked to dial, and whose turn it is: rows, so that it holds over all workers.

Pace. The carrier must not see more than `c` starts in any one second. A request that is sent in time may
arrive late and the next one early, so spacing what is *sent* proves nothing. What does: `c` slots; a start
takes one, and the slot is free again one second after its request has certainly *arrived*, which is at the
latest when the answer came (less the time that the carrier says it worked on it). A slot is thus seen at
most once in any second, and `c` slots at most `c` times, whatever delays there are. The price is one round
trip a second and slot: the rate is c / (1 s + round trip). A slot is a lease: what a dead worker took is free
when its attempt can no longer pass the fence, or its request can no longer be under way.

Workspaces and batches have paces of their own: their dials are that far apart when they are sent. A workspace
with an account of its own at the carrier takes its slots there; the rate is the same for every account.

Order. Start-time fair queueing: a dial costs its workspace one unit of virtual time, and the one with the
least goes first; who had nothing to do meanwhile starts where the others are. The same among the batches of
a workspace, after their priority.
"""

import math
import random
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import connection

from voice.models import Credential, CredentialKind, Pacer
from voice.services.timing import scaled, timing

log = structlog.get_logger(__name__)

TROUBLE = 5
"""So many strikes, and the carrier counts as being in trouble."""
_MARGIN_S = 0.001
"""On top of the second: clocks have a grain."""
_SMOOTH = 0.9
"""Starts are so much of an even spacing apart, so that a second's worth does not come at once."""
_CLAIM_S = 0.1
"""A claim takes less, on a machine that is busy."""
_HORIZON_S = 0.4
"""So far ahead an instant is given out; a longer one is waited for."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`starts` of the carrier's account in each `period_s` (real seconds)."""

    starts: int
    period_s: float


@dataclass(frozen=True, slots=True)
class Turn:
    """The carrier may be asked from `at_s` on, of this process's monotonic clock."""

    at_s: float


@dataclass(frozen=True, slots=True)
class Later:
    """Ask again in so many seconds."""

    seconds: float


def account_sid(own: str = "") -> str:
    """The account that paces a call: a workspace's own, or the one that all the others share."""
    return own or settings.TWILIO_ACCOUNT_SID


def homes(workspaces: Iterable[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Workspace -> the account that its new numbers belong to. Older ones may belong to the shared one."""
    own = Credential.objects.filter(workspace_id__in=workspaces, kind=CredentialKind.TWILIO)
    found = dict(own.values_list("workspace_id", "account"))
    return {one: account_sid(found.get(one, "")) for one in workspaces}


def carrier_rate() -> Rate:
    """Of CARRIER_CALLS_PER_SECOND: whole calls a second, or one call in more than a second."""
    per_s = settings.CARRIER_CALLS_PER_SECOND
    second_s = scaled(1.0).total_seconds()
    if per_s >= 1:
        return Rate(int(per_s), second_s + _MARGIN_S)
    return Rate(1, second_s / per_s + _MARGIN_S)


def open_account(sid: str) -> None:
    """Make the rows of the account that are missing."""
    starts = carrier_rate().starts
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM voice_carrierslot WHERE account_id = %s AND index < %s", [sid, starts]
        )
        if cursor.fetchone()[0] >= starts:
            return
        cursor.execute(
            "INSERT INTO voice_carrieraccount (sid, virtual, next_at_s, strikes, hold_until_s)"
            " VALUES (%s, 0, 0, 0, 0) ON CONFLICT DO NOTHING",
            [sid],
        )
        cursor.execute(
            "INSERT INTO voice_carrierslot (account_id, index, free_at_s)"
            " SELECT %s, n, 0 FROM generate_series(0, %s - 1) AS n ON CONFLICT DO NOTHING",
            [sid, starts],
        )


def in_turn(workspaces: Iterable[uuid.UUID]) -> list[uuid.UUID]:
    """The same, whoever was given least first."""
    ids = list(workspaces)
    if len(ids) < 2:
        return ids
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT asked.id FROM unnest(%s::uuid[]) AS asked (id)"
            " LEFT JOIN voice_pacer pacer ON pacer.workspace_id = asked.id"
            " LEFT JOIN voice_credential own ON own.workspace_id = asked.id AND own.kind = 'twilio'"
            " ORDER BY greatest(coalesce(pacer.finish, 0), coalesce((SELECT virtual"
            "   FROM voice_carrieraccount WHERE sid = coalesce(own.account, %s)), 0)), random()",
            [ids, account_sid()],
        )
        return [row[0] for row in cursor.fetchall()]


def carrier_waits_s(accounts: Iterable[str]) -> dict[str, float]:
    """Account -> real seconds until its carrier may be asked again, less what is given out ahead; 0: now.

    A look without a lock: :func:`take` has the say.
    """
    asked = list(accounts)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT account.sid, greatest(account.next_at_s, account.hold_until_s, min(slot.free_at_s))"
            "       - extract(epoch FROM clock_timestamp())"
            " FROM voice_carrieraccount account JOIN voice_carrierslot slot ON slot.account_id = account.sid"
            " WHERE account.sid = ANY(%s) AND slot.index < %s GROUP BY account.sid",
            [asked, carrier_rate().starts],
        )
        found = {sid: max(0.0, float(wait_s) - _horizon_s()) for sid, wait_s in cursor.fetchall()}
    return {sid: found.get(sid, 0.0) for sid in asked}


def own_wait_s(next_at_s: float, now_s: float) -> float:
    """The same for a workspace's or a batch's own pace."""
    return max(0.0, next_at_s - now_s - _horizon_s())


def lock_workspace(workspace_id: uuid.UUID) -> tuple[Pacer, float] | None:
    """To the end of the transaction nobody else claims for this workspace; None if somebody does.

    Its row (made if it is missing), and the database's clock. Only so many workers claim at a time as the
    account's rate can feed: the others would prepare calls that get no instant.
    """
    lane = random.randrange(max(1, math.ceil(carrier_rate().starts / carrier_rate().period_s * _CLAIM_S)))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT clock.locked, clock.now_s, pacer.next_at_s, pacer.finish, pacer.batch_virtual"
            " FROM (SELECT CASE WHEN pg_try_advisory_xact_lock(hashtextextended(%s, 0))"
            "              THEN pg_try_advisory_xact_lock(hashtextextended(%s, 0)) ELSE false END AS locked,"
            "              extract(epoch FROM clock_timestamp()) AS now_s OFFSET 0) AS clock"
            " LEFT JOIN voice_pacer pacer ON pacer.workspace_id = %s",
            [f"dial:{homes([workspace_id])[workspace_id]}:{lane}", f"dial:{workspace_id}", workspace_id],
        )
        locked, now_s, next_at_s, finish, batch_virtual = cursor.fetchone()
        if not locked:
            return None
        if next_at_s is None:
            cursor.execute(
                "INSERT INTO voice_pacer (workspace_id, next_at_s, finish, batch_virtual)"
                " VALUES (%s, 0, 0, 0) ON CONFLICT DO NOTHING",
                [workspace_id],
            )
    known = {"next_at_s": next_at_s or 0.0, "finish": finish or 0.0, "batch_virtual": batch_virtual or 0.0}
    return Pacer(workspace_id=workspace_id, **known), float(now_s)


def lock_account(sid: str) -> None:
    """From here to the end of the transaction nobody else claims a call of this account."""
    with connection.cursor() as cursor:
        for _ in range(2):
            cursor.execute("SELECT 1 FROM voice_carrieraccount WHERE sid = %s FOR UPDATE", [sid])
            if cursor.fetchone():
                return
            open_account(sid)


def take(
    attempt_id: uuid.UUID,
    *,
    account: str,
    workspace_id: uuid.UUID,
    workspace_per_s: float,
    batch_id: uuid.UUID | None = None,
    batch_per_s: float | None = None,
) -> Turn | Later:
    """Give the next start to this attempt, or say when to ask again (then roll back).

    The carrier may be asked from that instant on and not much later: the attempt's fence falls soon after.
    In a transaction that has the account's lock, near its end: everybody else waits for it. Rates are dials
    a second of the rehearsal's clock.
    """
    rate, second_s = carrier_rate(), scaled(1.0).total_seconds()
    values: dict[str, str | float | uuid.UUID | None] = {
        "sid": account,
        "starts": rate.starts,
        "spacing": rate.period_s / rate.starts * _SMOOTH,
        "late": timing().late_s,
        "horizon": _horizon_s(),
        "attempt": attempt_id,
        "workspace": workspace_id,
        "workspace_spacing": second_s / workspace_per_s,
        "batch": batch_id,
        "batch_spacing": second_s / batch_per_s if batch_per_s else 0.0,
        "limit": TROUBLE,
        "first": second_s,
        "longest": 60 * second_s,
    }
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, values)
        row = cursor.fetchone()
    here_s = time.monotonic()
    if row is None:
        return Later(_horizon_s())  # the account's rows are missing: the next tick makes them
    wait_s, taken = float(row[0]), bool(row[1])
    return Turn(here_s + max(0.0, wait_s)) if taken else Later(max(0.002, wait_s - _horizon_s()))


def about_to_ask(attempt_id: uuid.UUID) -> bool:
    """The attempt passes its fence: if its worker dies now, its request may be on its way for a while.

    False: it was so late that its start was given to another one.
    """
    times = timing()
    lease_s = times.post_within_s + times.post_timeout_s + carrier_rate().period_s
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE voice_carrierslot SET free_at_s = extract(epoch FROM clock_timestamp()) + %s"
            " WHERE attempt_id = %s",
            [lease_s, attempt_id],
        )
        return bool(cursor.rowcount)


def unused(attempt_id: uuid.UUID) -> None:
    """The carrier was never asked for this attempt: its start is anybody's."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE voice_carrierslot SET attempt_id = NULL,"
            " free_at_s = extract(epoch FROM clock_timestamp()) WHERE attempt_id = %s",
            [attempt_id],
        )


def seen(attempt_id: uuid.UUID) -> None:
    """The carrier says itself that it has the request: whoever sent it need not say so, and may have died."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE voice_carrierslot SET attempt_id = NULL,"
            " free_at_s = least(free_at_s, extract(epoch FROM clock_timestamp()) + %s) WHERE attempt_id = %s",
            [carrier_rate().period_s, attempt_id],
        )


def arrived(attempt_id: uuid.UUID, *, account: str, reached_s: float = 0.0, in_trouble: bool) -> None:
    """The request had reached the carrier at `reached_s` (time.monotonic) at the latest; 0: now.

    `in_trouble`: the answer was 429, 5xx or none. Some of them in a row, less the good ones between, and
    dialing slows down: one request at a time, at growing distances, until an answer is good.
    """
    second_s = scaled(1.0).total_seconds()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE voice_carrierslot SET attempt_id = NULL,"
            " free_at_s = extract(epoch FROM clock_timestamp()) - %s + %s WHERE attempt_id = %s",
            [
                time.monotonic() - reached_s if reached_s else 0.0,
                carrier_rate().period_s,
                attempt_id,
            ],
        )
        if not in_trouble:
            cursor.execute(
                "UPDATE voice_carrieraccount SET hold_until_s = 0,"
                " strikes = CASE WHEN strikes >= %s THEN 0 ELSE strikes - 1 END"
                " WHERE sid = %s AND strikes > 0",
                [TROUBLE, account],
            )
            return
        cursor.execute(
            "UPDATE voice_carrieraccount SET strikes = least(strikes + 1, 30), hold_until_s = CASE"
            " WHEN strikes + 1 < %(limit)s THEN hold_until_s"
            " ELSE greatest(hold_until_s, extract(epoch FROM clock_timestamp())"
            "    + least(%(longest)s, %(first)s * power(2, strikes + 1 - %(limit)s))) END"
            " WHERE sid = %(sid)s RETURNING strikes",
            {"limit": TROUBLE, "first": second_s, "longest": 60 * second_s, "sid": account},
        )
        row = cursor.fetchone()
    if row and row[0] == TROUBLE:
        log.warning("carrier in trouble, dialing slowed", strikes=row[0])


def _horizon_s() -> float:
    """An instant and its fence behind it come well before the reconciler looks at the attempt."""
    return min(_HORIZON_S, timing().grace_s / 4)


_TAKE = """
WITH turn AS (
  SELECT slot.id AS slot_id, clock.now_s, account.strikes,
         greatest(clock.now_s, slot.free_at_s, account.next_at_s, account.hold_until_s, pacer.next_at_s,
                  coalesce(batch.next_at_s, 0)) AS at_s,
         greatest(account.virtual, pacer.finish) AS virtual,
         greatest(pacer.batch_virtual, coalesce(batch.finish, 0)) AS batch_virtual
  FROM (SELECT extract(epoch FROM clock_timestamp())::double precision AS now_s OFFSET 0) AS clock
  JOIN voice_carrieraccount account ON account.sid = %(sid)s
  JOIN voice_pacer pacer ON pacer.workspace_id = %(workspace)s
  JOIN LATERAL (SELECT id, free_at_s FROM voice_carrierslot
                WHERE account_id = account.sid AND index < %(starts)s
                ORDER BY free_at_s LIMIT 1) AS slot ON true
  LEFT JOIN voice_batchpacer batch ON batch.batch_id = %(batch)s
), given AS (
  SELECT * FROM turn WHERE at_s <= now_s + %(horizon)s
), slots AS (
  UPDATE voice_carrierslot SET attempt_id = %(attempt)s, free_at_s = given.at_s + %(late)s
  FROM given WHERE voice_carrierslot.id = given.slot_id AND voice_carrierslot.free_at_s <= given.at_s
  RETURNING 1
), account AS (
  UPDATE voice_carrieraccount SET virtual = given.virtual, next_at_s = given.at_s + %(spacing)s,
    hold_until_s = CASE WHEN given.strikes >= %(limit)s
      THEN given.at_s + least(%(longest)s, %(first)s * power(2, given.strikes - %(limit)s)) ELSE 0 END
  FROM given WHERE sid = %(sid)s
), pacer AS (
  UPDATE voice_pacer SET finish = given.virtual + 1, next_at_s = given.at_s + %(workspace_spacing)s,
    batch_virtual = CASE WHEN %(batch)s::uuid IS NULL THEN voice_pacer.batch_virtual
                    ELSE given.batch_virtual END
  FROM given WHERE workspace_id = %(workspace)s
), batch AS (
  INSERT INTO voice_batchpacer (batch_id, next_at_s, finish)
  SELECT %(batch)s::uuid, given.at_s + %(batch_spacing)s, given.batch_virtual + 1
  FROM given WHERE %(batch)s::uuid IS NOT NULL
  ON CONFLICT (batch_id) DO UPDATE SET next_at_s = EXCLUDED.next_at_s, finish = EXCLUDED.finish
), attempt AS (
  UPDATE voice_dialattempt SET dial_at = to_timestamp(given.at_s),
    fence_until = to_timestamp(given.at_s + %(late)s)
  FROM given WHERE voice_dialattempt.id = %(attempt)s
)
SELECT turn.at_s - turn.now_s, EXISTS (SELECT 1 FROM slots) FROM turn
"""
