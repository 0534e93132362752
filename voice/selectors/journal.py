"""What the journal of a call adds up to: the state that a reader who comes late begins with."""

import uuid
from typing import Any

from django.db import connection, transaction

from voice.models import Call, CallEvent, Turn, TurnStatus

_RECENT_LINES = 500
"""A turn that is being spoken has all its words among the last so many lines."""


def snapshot(call_id: uuid.UUID) -> dict[str, Any] | None:
    """The call as of one line of its journal: `seq`, `at_ms`, `data` (its state, the turns, and the words
    told so far of turns that are not over). None if the call is gone.

    All of it is of one instant of the database, so the lines behind `seq` go on exactly from here.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        call = Call.objects.filter(pk=call_id).first()
        if call is None:
            return None
        last = CallEvent.objects.filter(call_id=call_id, seq=call.journal_seq).first()
        turns = list(Turn.objects.filter(call_id=call_id).order_by("position"))
        words = _words(call, {turn.item_id for turn in turns if turn.status != TurnStatus.IN_PROGRESS})
    return {
        "seq": call.journal_seq,
        "at_ms": last.at_ms if last else 0,
        "data": {
            "call_id": str(call.id),
            "direction": call.direction,
            "status": call.status,
            "outcome": call.outcome,
            "end_reason": call.end_reason,
            "turns": [_turn(turn) for turn in turns],
            "words": words,
        },
    }


def _words(call: Call, complete: set[str]) -> list[dict[str, str]]:
    """What was told so far of turns that are still being spoken, oldest first."""
    recent = CallEvent.objects.filter(
        call=call, type="transcript.delta", seq__gt=call.journal_seq - _RECENT_LINES
    ).order_by("seq")
    told: dict[str, dict[str, str]] = {}
    for line in recent:
        item_id, text = line.data["item_id"], line.data["text"]
        if item_id in complete:
            continue
        one = told.setdefault(item_id, {"item_id": item_id, "speaker": line.data["speaker"], "text": ""})
        one["text"] += text
    return list(told.values())


def _turn(turn: Turn) -> dict[str, Any]:
    """As in the line `turn.updated`."""
    return {
        "position": turn.position,
        "item_id": turn.item_id,
        "previous_item_id": turn.previous_item_id or None,
        "speaker": turn.speaker,
        "text": turn.text,
        "heard_text": turn.heard_text,
        "start_ms": turn.start_ms,
        "end_ms": turn.end_ms,
        "interrupted": turn.interrupted,
        "status": turn.status,
        "revision": turn.revision,
    }
