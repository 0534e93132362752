"""Closing the transcript: order by the conversation's own chain, nothing left in progress."""

import heapq
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from voice.models import (
    Call,
    SessionStatus,
    Speaker,
    ToolCall,
    ToolStatus,
    Turn,
    TurnStatus,
    VoiceSession,
)

SETTLE_S = 4.0
"""After the end of a call its live session still writes the last words and ends its tools (the machine
waits 2.5 s for the last transcription)."""
_POLL_S = 0.1
_UNFINISHED = {"error": {"code": "call_over", "message": "The call ended before this was done."}}


@dataclass(frozen=True, slots=True)
class Link:
    """What the order of a turn depends on."""

    item_id: str
    previous_item_id: str
    start_ms: int
    position: int


def in_order(links: Sequence[Link]) -> list[str]:
    """Item ids in conversation order: each after its predecessor, else by when it started. Pure.

    Predecessors that are no turns (function calls) bind nothing, and neither does a circle.
    """
    known = {link.item_id for link in links}
    after: dict[str, list[Link]] = {}
    ready: list[tuple[int, int, str]] = []
    for link in links:
        if link.previous_item_id in known and link.previous_item_id != link.item_id:
            after.setdefault(link.previous_item_id, []).append(link)
        else:
            heapq.heappush(ready, _key(link))
    ordered: list[str] = []
    while ready:
        item_id = heapq.heappop(ready)[2]
        ordered.append(item_id)
        for link in after.pop(item_id, ()):
            heapq.heappush(ready, _key(link))
    circle = {link for waiting in after.values() for link in waiting if link.item_id not in ordered}
    return ordered + [link.item_id for link in sorted(circle, key=_key)]


def _key(link: Link) -> tuple[int, int, str]:
    return link.start_ms, link.position, link.item_id


def close(call_id: uuid.UUID) -> dict[str, Any]:
    """Wait (bounded) for the live session's last writes, then put the turns into their final form."""
    _await_live_session(call_id)
    with transaction.atomic():
        call = Call.objects.select_for_update().get(pk=call_id)
        undone = ToolCall.objects.filter(call=call, status=ToolStatus.RUNNING).update(
            status=ToolStatus.TIMED_OUT, output=_UNFINISHED
        )
        VoiceSession.objects.filter(call=call, status=SessionStatus.OPEN).update(
            status=SessionStatus.FAILED, closed_at=timezone.now(), close_reason="lost"
        )
        turns = list(Turn.objects.select_for_update().filter(call=call).order_by("position", "start_ms"))
        closed = [turn for turn in turns if turn.status == TurnStatus.IN_PROGRESS]
        for turn in closed:
            _close(turn, call.duration_ms)
        moved = _number(turns)
        Turn.objects.bulk_update(
            turns, ["position", "status", "interrupted", "heard_text", "end_ms"], batch_size=200
        )
        Turn.objects.filter(pk__in=[turn.pk for turn in closed]).update(revision=F("revision") + 1)
    return {"turns": len(turns), "closed": len(closed), "moved": moved, "tools_undone": undone}


def heard(turn: Turn) -> str:
    """What the other side heard of a turn: all that a caller said, the played part of what an agent said."""
    if turn.speaker == Speaker.CALLER:
        return turn.text
    return turn.heard_text if turn.heard_text or turn.interrupted else turn.text


def _close(turn: Turn, duration_ms: int | None) -> None:
    """End a turn that the end of the call cut off."""
    turn.status = TurnStatus.COMPLETED if turn.text or turn.heard_text else TurnStatus.FAILED
    if turn.end_ms is None:
        turn.end_ms = max(turn.start_ms, duration_ms or turn.start_ms)
    if turn.speaker == Speaker.AGENT and turn.heard_text != turn.text:
        turn.interrupted = True


def _number(turns: list[Turn]) -> int:
    """Give the positions 0, 1, 2 …; how many turns had another one before."""
    links = [Link(turn.item_id, turn.previous_item_id, turn.start_ms, turn.position) for turn in turns]
    places = {item_id: position for position, item_id in enumerate(in_order(links))}
    moved = 0
    for turn in turns:
        moved += turn.position != places[turn.item_id]
        turn.position = places[turn.item_id]
    return moved


def _await_live_session(call_id: uuid.UUID) -> None:
    ended_at = Call.objects.values_list("ended_at", flat=True).get(pk=call_id)
    assert ended_at is not None  # noqa: S101 - the database says so of a call that is over
    while _busy(call_id) and (timezone.now() - ended_at).total_seconds() * settings.TIME_SCALE < SETTLE_S:
        time.sleep(_POLL_S)


def _busy(call_id: uuid.UUID) -> bool:
    return (
        VoiceSession.objects.filter(call_id=call_id, status=SessionStatus.OPEN).exists()
        or ToolCall.objects.filter(call_id=call_id, status=ToolStatus.RUNNING).exists()
    )
