"""What is said and done in a live call, written down while it happens, and its end.

Lines and turns of several calls are one SQL statement: those of one call alone cost the media process a fifth
of what the same rows cost through the ORM, and at 12 calls that was a third of all it did. The numbering of
the journal is that of :mod:`voice.services.journal`: the counter on the call's row, taken with its lock.
"""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import orjson
import psycopg
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from tenex.events import bus
from tenex.lib.ids import uuid7
from voice.models import Call, EndReason, SessionStatus, Turn, VoiceSession
from voice.models.calls import LIVE, RecordingAnswer
from voice.services import calls
from voice.services.journal import Line
from voice.services.live import CallContext
from voice.session.commands import StoreTurn

_NO_HINT: Final = frozenset({"caller-hangup", "media-lost", "handed-over", "transferred"})
"""Ends of the media that do not say why the call ends: the carrier's word is better, and the call may come
back (another stream, a person who did not pick up)."""
_MAY_COME_BACK: Final = frozenset({"media-lost", "handed-over"})
RECORDING: Final = "call.recording"
OFF_RECORD: Final = "call.off_record"
"""The line of a call whose other side objects to being recorded."""
_LIVE: Final = [str(status) for status in LIVE]


@dataclass(slots=True)
class SessionChange:
    """A model session of the call opened, closed or failed. The row is made if it is not there yet."""

    number: int
    status: Literal["open", "closed", "failed"]
    at: datetime
    provider_session_id: str = ""
    reason: str = ""
    model: str = ""
    usage: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class PlacedTurn:
    """A turn and where it stands in the conversation."""

    position: int
    turn: StoreTurn


@dataclass(slots=True)
class Batch:
    """What happened since the last write. All of it is written, or nothing."""

    turns: list[PlacedTurn] = field(default_factory=list)
    moved: dict[str, int] = field(default_factory=dict)
    """Item id -> new position of turns that are stored already."""
    lines: list[Line] = field(default_factory=list)
    sessions: list[SessionChange] = field(default_factory=list)
    usage: dict[str, Any] | None = None
    latency: dict[str, Any] | None = None
    renew: bool = False

    @property
    def is_simple(self) -> bool:
        """Lines, turns and columns of the call, nothing that takes a statement of its own."""
        return not (
            self.moved or self.sessions or any(line.type in {RECORDING, OFF_RECORD} for line in self.lines)
        )


_STORE = """
WITH due AS (
  SELECT * FROM jsonb_to_recordset(%(calls)s::jsonb)
    AS due(id uuid, owner text, lines int, usage jsonb, latency jsonb, renew bool)
), free AS (
  SELECT call.id FROM voice_call AS call JOIN due ON due.id = call.id FOR NO KEY UPDATE OF call {busy}
), call AS (
  UPDATE voice_call AS call SET
    journal_seq = call.journal_seq + due.lines,
    usage = coalesce(due.usage, call.usage),
    latency = coalesce(due.latency, call.latency),
    lease_until = CASE WHEN due.renew AND call.lease_owner = due.owner AND call.status = ANY(%(live)s)
                  THEN %(until)s ELSE call.lease_until END,
    sweep_at = CASE WHEN due.renew AND call.lease_owner = due.owner AND call.status = ANY(%(live)s)
               THEN %(until)s ELSE call.sweep_at END
  FROM due JOIN free ON free.id = due.id
  WHERE call.id = due.id
  RETURNING call.id, call.workspace_id, call.journal_seq - due.lines AS seq, call.created_at,
            call.lease_owner = due.owner AND call.status = ANY(%(live)s) AS held
), line AS (
  INSERT INTO voice_callevent (call_id, seq, at_ms, type, data)
  SELECT call.id, call.seq + new.n, (new.at - extract(epoch FROM call.created_at)) * 1000, new.type, new.data
  FROM call JOIN jsonb_to_recordset(%(lines)s::jsonb)
    AS new(call uuid, n int, at double precision, type text, data jsonb) ON new.call = call.id
), turn AS (
  INSERT INTO voice_turn (id, created_at, workspace_id, call_id, item_id, previous_item_id, position, speaker,
                          text, heard_text, start_ms, end_ms, interrupted, status, revision)
  SELECT new.id, now(), call.workspace_id, call.id, new.item_id, new.previous, new.position, new.speaker,
         new.text, new.heard, new.start_ms, new.end_ms, new.interrupted, new.status, new.revision
  FROM call JOIN jsonb_to_recordset(%(turns)s::jsonb) AS new(call uuid, id uuid, item_id text, previous text,
    position int, speaker text, text text, heard text, start_ms int, end_ms int, interrupted bool,
    status text, revision int) ON new.call = call.id
  ON CONFLICT (call_id, item_id) DO UPDATE SET
    previous_item_id = EXCLUDED.previous_item_id, position = EXCLUDED.position, text = EXCLUDED.text,
    heard_text = EXCLUDED.heard_text, start_ms = EXCLUDED.start_ms, end_ms = EXCLUDED.end_ms,
    interrupted = EXCLUDED.interrupted, status = EXCLUDED.status, revision = EXCLUDED.revision
  WHERE voice_turn.revision < EXCLUDED.revision
)
SELECT id, held FROM call
"""
_STORE_ONE: Final = _STORE.format(busy="")
_STORE_MANY: Final = _STORE.format(busy="SKIP LOCKED")
"""Waits for nobody: so it can hold no call up for another's sake, and no two of them each other."""


def store(context: CallContext, batch: Batch) -> bool:
    """Write what happened; whether this stream still has the call. Then :func:`ring`.

    False: another process took the call over, or the call is over. What is given is written all the same.
    """
    if not batch.moved and not batch.sessions:
        return _store_rows(context, batch)
    with transaction.atomic():
        for item_id, position in batch.moved.items():
            Turn.objects.filter(call_id=context.call_id, item_id=item_id).update(position=position)
        for change in batch.sessions:
            _store_session(context, change)
        return _store_rows(context, batch)


def store_many(writes: Sequence[tuple[CallContext, Batch]]) -> dict[uuid.UUID, bool]:
    """:func:`store` for several calls in one statement: all that it names were written, or nothing was.

    No call twice. Left out are calls whose row somebody holds, and batches with more than lines and turns:
    these are for `store`, one by one.
    """
    simple = [(context, batch) for context, batch in writes if batch.is_simple]
    return _execute(_STORE_MANY, simple) if len(simple) > 1 else {}


def ring(contexts: Iterable[CallContext]) -> None:
    """Tell readers of these calls that there are new lines."""
    written = list(contexts)
    workspaces = {context.workspace_id for context in written}
    bus.ring_all(
        [
            *(bus.call_channel(context.call_id) for context in written),
            *(bus.live_channel(workspace_id) for workspace_id in workspaces),
        ]
    )


def _store_rows(context: CallContext, batch: Batch) -> bool:
    for line in batch.lines:
        if line.type == RECORDING and (answer := line.data.get("answer")):
            Call.objects.filter(pk=context.call_id).update(recording_answer=answer)
    if objection := next((line for line in batch.lines if line.type == OFF_RECORD), None):
        # Before its line, so that no reader of the line finds a call that may still be recorded.
        Call.objects.filter(pk=context.call_id, off_record_at=None).update(
            off_record_at=objection.at or timezone.now(), recording_answer=RecordingAnswer.OBJECTED
        )
    return _execute(_STORE_ONE, [(context, batch)]).get(context.call_id, False)


def _execute(statement: str, writes: Sequence[tuple[CallContext, Batch]]) -> dict[uuid.UUID, bool]:
    """Call -> whether its stream still has it, of those that were written.

    Prepared once a connection, with parameters apart from the text: half the time of Django's own cursor,
    which writes them into it. Not behind a pooler that hands connections out by the transaction.
    """
    now = timezone.now()
    values = {
        "calls": _json([_call(context, batch) for context, batch in writes]),
        "lines": _json([line for context, batch in writes for line in _lines(context, batch, now)]),
        "turns": _json([_turn(context, placed) for context, batch in writes for placed in batch.turns]),
        "live": _LIVE,
        "until": now + timedelta(seconds=settings.CALL_LEASE_S),
    }
    pooled = bool(connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"))
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(statement, values, prepare=not pooled)
        return dict(cursor.fetchall())


def _call(context: CallContext, batch: Batch) -> dict[str, Any]:
    return {
        "id": context.call_id,
        "owner": context.owner,
        "lines": len(batch.lines),
        "usage": batch.usage,
        "latency": batch.latency,
        "renew": batch.renew,
    }


def _lines(context: CallContext, batch: Batch, now: datetime) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(batch.lines, 1):
        at = (line.at or now).timestamp()
        yield {"call": context.call_id, "n": number, "at": at, "type": line.type[:40], "data": line.data}


def _turn(context: CallContext, placed: PlacedTurn) -> dict[str, Any]:
    turn = placed.turn
    return {
        "call": context.call_id,
        "id": uuid7(),
        "item_id": turn.item_id[:80],
        "previous": (turn.previous_item_id or "")[:80],
        "position": placed.position,
        "speaker": turn.speaker,
        "text": turn.text,
        "heard": turn.heard_text,
        "start_ms": max(0, turn.start_ms),
        "end_ms": turn.end_ms,
        "interrupted": turn.interrupted,
        "status": turn.status,
        "revision": turn.revision,
    }


def _json(value: Any) -> str:
    """JSON that PostgreSQL takes. It stores no NUL and no lone surrogate, and a peer may send both."""
    try:
        text = orjson.dumps(value).decode("utf-8")
    except TypeError:
        text = ""
    if not text or "\\u0000" in text:
        text = orjson.dumps(_clean(value)).decode("utf-8")
    return text


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_clean(str(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**53):
        return value
    return str(value)


def _store_session(context: CallContext, change: SessionChange) -> None:
    session, _ = VoiceSession.objects.get_or_create(
        call_id=context.call_id,
        number=change.number,
        defaults={"workspace_id": context.workspace_id, "model": change.model},
    )
    session.status = change.status
    session.model = session.model or change.model
    if change.provider_session_id:
        session.provider_session_id = change.provider_session_id[:80]
    if change.status == SessionStatus.OPEN.value:
        session.opened_at = change.at
    else:
        session.closed_at = change.at
        session.close_reason = change.reason[:80]
    if change.usage:
        session.usage = change.usage
    session.save()


# --- the end -------------------------------------------------------------------------------------


def hint_end(context: CallContext, reason: str) -> None:
    """Remember why we end this call, before the carrier is asked to."""
    if reason in EndReason.values:
        calls.hint_end(context.call_id, EndReason(reason))


def note_transfer(context: CallContext, number: str) -> None:
    """The carrier is going to be asked to connect this call to `number`."""
    Call.objects.filter(pk=context.call_id).update(transfer_to=number[:20], transfer_state="requested")


def transfer_failed(context: CallContext) -> None:
    """The carrier refused: the call is still ours."""
    Call.objects.filter(pk=context.call_id, transfer_state="requested").update(transfer_state="failed")


def close_stream(context: CallContext, reason: str) -> None:
    """The live part is over. The carrier's callback ends the call; the sweeper, if that does not come.

    A call without a carrier is over with its socket, unless that was lost: then somebody may come back.
    """
    if not context.by_carrier:
        _close_own(context, reason)
        return
    with transaction.atomic():
        if reason not in _NO_HINT:
            hint_end(context, reason)
        Call.objects.filter(pk=context.call_id, lease_owner=context.owner, status__in=LIVE).update(
            lease_until=None,
            lease_owner="",
            sweep_at=timezone.now() + timedelta(seconds=settings.CALL_LEASE_S / 2 / settings.TIME_SCALE),
        )


def _close_own(context: CallContext, reason: str) -> None:
    with transaction.atomic():
        call = Call.objects.select_for_update().filter(pk=context.call_id).first()
        if call is None or call.lease_owner != context.owner or call.status not in LIVE:
            return  # over already, or with another socket
        if reason not in _MAY_COME_BACK:
            calls.end(call.pk, EndReason(reason) if reason in EndReason.values else EndReason.CALLER_HANGUP)
        Call.objects.filter(pk=call.pk, status__in=LIVE).update(
            lease_until=None,
            sweep_at=timezone.now() + timedelta(seconds=settings.CALL_LEASE_S),
        )
        Call.objects.filter(pk=call.pk).update(lease_owner="")
