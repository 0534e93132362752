"""What is said and done in a live call, written down while it happens, and its end.

A batch of lines and turns is one SQL statement: it costs the media process a fifth of what the same rows cost
through the ORM, and at 12 calls that was a third of all it did. The numbering of the journal is that of
:mod:`voice.services.journal`: the counter on the call's row, taken with its lock.
"""

from collections.abc import Iterable
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


_STORE = """
WITH call AS (
  UPDATE voice_call SET
    journal_seq = journal_seq + %(count)s,
    usage = coalesce(%(usage)s::jsonb, usage),
    latency = coalesce(%(latency)s::jsonb, latency),
    lease_until = CASE WHEN %(renew)s AND lease_owner = %(owner)s AND status = ANY(%(live)s)
                  THEN %(until)s ELSE lease_until END,
    sweep_at = CASE WHEN %(renew)s AND lease_owner = %(owner)s AND status = ANY(%(live)s)
               THEN %(until)s ELSE sweep_at END
  WHERE id = %(call)s
  RETURNING id, workspace_id, journal_seq, created_at,
            lease_owner = %(owner)s AND status = ANY(%(live)s) AS held
), line AS (
  INSERT INTO voice_callevent (call_id, seq, at_ms, type, data)
  SELECT call.id, call.journal_seq - %(count)s + new.n, (new.at - extract(epoch FROM call.created_at)) * 1000,
         new.type, new.data
  FROM call, jsonb_to_recordset(%(lines)s::jsonb) AS new(n int, at double precision, type text, data jsonb)
), turn AS (
  INSERT INTO voice_turn (id, created_at, workspace_id, call_id, item_id, previous_item_id, position, speaker,
                          text, heard_text, start_ms, end_ms, interrupted, status, revision)
  SELECT new.id, now(), call.workspace_id, call.id, new.item_id, new.previous, new.position, new.speaker,
         new.text, new.heard, new.start_ms, new.end_ms, new.interrupted, new.status, new.revision
  FROM call, jsonb_to_recordset(%(turns)s::jsonb) AS new(id uuid, item_id text, previous text,
    position int, speaker text, text text, heard text, start_ms int, end_ms int, interrupted bool,
    status text, revision int)
  ON CONFLICT (call_id, item_id) DO UPDATE SET
    previous_item_id = EXCLUDED.previous_item_id, position = EXCLUDED.position, text = EXCLUDED.text,
    heard_text = EXCLUDED.heard_text, start_ms = EXCLUDED.start_ms, end_ms = EXCLUDED.end_ms,
    interrupted = EXCLUDED.interrupted, status = EXCLUDED.status, revision = EXCLUDED.revision
  WHERE voice_turn.revision < EXCLUDED.revision
)
SELECT held FROM call
"""


def store(context: CallContext, batch: Batch) -> bool:
    """Write what happened; whether this stream still has the call. Then :func:`ring`.

    False: another process took the call over, or the call is over. What is given is written all the same.
    """
    if batch.moved or batch.sessions:
        with transaction.atomic():
            for item_id, position in batch.moved.items():
                Turn.objects.filter(call_id=context.call_id, item_id=item_id).update(position=position)
            for change in batch.sessions:
                _store_session(context, change)
            return _store_rows(context, batch)
    return _store_rows(context, batch)


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
    now = timezone.now()
    lines = [
        {"n": number, "at": (line.at or now).timestamp(), "type": line.type[:40], "data": line.data}
        for number, line in enumerate(batch.lines, 1)
    ]
    values: dict[str, Any] = {
        "call": context.call_id,
        "owner": context.owner,
        "live": _LIVE,
        "count": len(lines),
        "lines": _json(lines),
        "turns": _json([_turn(placed) for placed in batch.turns]),
        "usage": None if batch.usage is None else _json(batch.usage),
        "latency": None if batch.latency is None else _json(batch.latency),
        "renew": batch.renew,
        "until": now + timedelta(seconds=settings.CALL_LEASE_S),
    }
    for line in batch.lines:
        if line.type == RECORDING and (answer := line.data.get("answer")):
            Call.objects.filter(pk=context.call_id).update(recording_answer=answer)
    if objection := next((line for line in batch.lines if line.type == OFF_RECORD), None):
        # Before its line, so that no reader of the line finds a call that may still be recorded.
        Call.objects.filter(pk=context.call_id, off_record_at=None).update(
            off_record_at=objection.at or now, recording_answer=RecordingAnswer.OBJECTED
        )
    row = _execute(values)
    return bool(row and row[0])


def _execute(values: dict[str, Any]) -> tuple[Any, ...] | None:
    """Prepared once a connection, with parameters apart from the text: half the time of Django's own cursor,
    which writes them into it. Not behind a pooler that hands connections out by the transaction.
    """
    pooled = bool(connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"))
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(_STORE, values, prepare=not pooled)
        return cursor.fetchone()


def _turn(placed: PlacedTurn) -> dict[str, Any]:
    turn = placed.turn
    return {
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
