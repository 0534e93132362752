"""Finished calls with all that a page of one shows."""

import io
import wave
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from crm.models import Lead
from tenex.workspaces.models import Workspace
from tests import rows
from voice.models import (
    AgentVersion,
    Call,
    CallEvent,
    Outcome,
    Recording,
    RecordingStatus,
    ToolCall,
    Turn,
    Verdict,
)

RATE_HZ = 8000


def judged(
    space: Workspace,
    *,
    agent: AgentVersion | None = None,
    lead: Lead | None = None,
    outcome: str = Outcome.QUALIFIED,
    **fields: Any,
) -> Call:
    """A finalized call of two minutes ago: three turns, one interrupted, a tool call and a verdict."""
    ended = timezone.now() - timedelta(minutes=2)
    call = rows.call(
        space,
        agent=agent or rows.version(space),
        lead=lead,
        **{
            "status": "finalized",
            "outcome": outcome,
            "end_reason": "caller-hangup",
            "placed_at": ended - timedelta(seconds=35),
            "answered_at": ended - timedelta(seconds=30),
            "ended_at": ended,
            "finalized_at": ended + timedelta(seconds=3),
            "duration_ms": 30_000,
            "latency": {
                "first_audio_ms": 120,
                "turn_ms": {"count": 1, "p50": 640, "p95": 640, "max": 640, "each": [640]},
            },
            "usage": {"output_token_details": {"audio_tokens": 1000}},
            **fields,
        },
    )
    Call.objects.filter(pk=call.pk).update(created_at=ended - timedelta(seconds=40))
    call.refresh_from_db()
    CallEvent.objects.create(call=call, seq=1, at_ms=10_000, type="call.stream_started", data={})
    Call.objects.filter(pk=call.pk).update(journal_seq=1)
    turn(call, 0, "agent", "Hello, this is Ava.", 500, 1900)
    turn(call, 1, "caller", "We have a budget of two thousand dollars.", 2500, 5000)
    turn(
        call, 2, "agent", "Great. Shall I book a meeting?", 6000, 7000, heard_text="Great.", interrupted=True
    )
    ToolCall.objects.create(
        workspace=space,
        call=call,
        tool_call_id="t1",
        name="check_availability",
        arguments={"day": "2026-11-30"},
        output={"slots": ["09:00"]},
        status="succeeded",
        at_ms=5500,
        duration_ms=84,
    )
    Verdict.objects.create(
        workspace=space,
        call=call,
        qualification="qualified",
        confidence=0.8,
        summary="Has a budget.",
        reasons=["Named a sum."],
        criteria=[
            {
                "name": "budget",
                "met": True,
                "evidence": {"quote": "two thousand dollars", "item_id": "item_1", "start": 20, "end": 40},
            },
            {"name": "need", "met": None, "evidence": None},
        ],
        follow_up={"needed": False, "reasons": [], "callback_at": None},
    )
    return call


def turn(call: Call, n: int, speaker: str, text: str, start_ms: int, end_ms: int, **fields: Any) -> Turn:
    return Turn.objects.create(
        workspace_id=call.workspace_id,
        call=call,
        **{
            "item_id": f"item_{n}",
            "position": n,
            "speaker": speaker,
            "text": text,
            "heard_text": text,
            "start_ms": start_ms,
            "end_ms": end_ms,
            "status": "completed",
            **fields,
        },
    )


def wav(spans: Sequence[tuple[int, int, int]], length_ms: int) -> bytes:
    """16 bit, two channels; `(channel, from ms, to ms)` are loud, all else is silent."""
    samples = np.zeros((length_ms * RATE_HZ // 1000, 2), np.int16)
    for channel, first, last in spans:
        samples[first * RATE_HZ // 1000 : last * RATE_HZ // 1000, channel] = 8000
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes(samples.tobytes())
    return file.getvalue()


def recorded(call: Call, data: bytes, **fields: Any) -> Recording:
    """A stored recording that, by the carrier's word, began with the stream."""
    name = default_storage.save(f"recordings/{call.pk}.wav", ContentFile(data))
    return Recording.objects.create(
        **{
            "workspace_id": call.workspace_id,
            "call": call,
            "provider_sid": f"RE{call.pk.hex}",
            "status": RecordingStatus.STORED,
            "file": name,
            "channels": 2,
            "duration_ms": 30_000,
            "size_bytes": len(data),
            "started_at": call.created_at + timedelta(milliseconds=10_000),
            "purge_after": timezone.now() + timedelta(days=30),
            **fields,
        }
    )
