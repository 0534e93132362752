"""Rows of recordings: what the carrier's callbacks say, in whatever order and however often they come."""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import structlog
from django.db import transaction
from django.utils import timezone

from tenex.lib.wake import wake
from voice.models import Call, Recording, RecordingStatus

log = structlog.get_logger(__name__)


def note_callback(call_id: uuid.UUID, form: Mapping[str, str]) -> Recording | None:
    """Take in one recording status callback (twilio.md 11); None if it names no recording or no call of ours.

    `in-progress` only makes the row, `completed` makes it due to be fetched, `absent` and `failed` close it.
    A late or repeated callback never takes a step back.
    """
    sid = form.get("RecordingSid", "").strip()[:64]
    call = Call.objects.select_related("workspace").filter(pk=call_id).first()
    if not sid or call is None:
        log.warning("recording callback for nothing of ours", call_id=str(call_id), has_sid=bool(sid))
        return None
    with transaction.atomic():
        row, _ = Recording.objects.select_for_update().get_or_create(
            provider_sid=sid,
            defaults={
                "workspace_id": call.workspace_id,
                "call": call,
                "source_url": form.get("RecordingUrl", "")[:500],
                "started_at": _instant(form.get("RecordingStartTime", "")),
                "purge_after": purge_after(call),
            },
        )
        if row.call_id != call.pk:
            log.warning("recording belongs to another call", call_id=str(call_id), recording_id=str(row.pk))
            return None
        if row.status == RecordingStatus.PENDING:
            _take_in(row, form)
    return row


def purge_after(call: Call) -> datetime:
    """When a recording of this call must be gone: the workspace's retention, counted from the call's end."""
    return (call.ended_at or timezone.now()) + timedelta(days=call.workspace.recording_retention_days)


def _take_in(row: Recording, form: Mapping[str, str]) -> None:
    if url := form.get("RecordingUrl", "")[:500]:
        row.source_url = url
    match form.get("RecordingStatus", "completed"):
        case "completed" if row.source_url:
            row.next_at = row.next_at or timezone.now()
            row.channels = _number(form.get("RecordingChannels", "")) or row.channels
            seconds = _number(form.get("RecordingDuration", ""))
            row.told_ms = seconds * 1000 if seconds is not None else row.told_ms
            row.duration_ms = row.told_ms if seconds is not None else row.duration_ms
            wake("voice.postcall.recording", str(row.pk))
        case "absent":
            row.status, row.next_at = RecordingStatus.ABSENT, None
        case "failed":
            row.status, row.next_at = RecordingStatus.FAILED, None
        case _:
            pass  # in-progress, paused, stopped, processing: not finished yet
    row.started_at = row.started_at or _instant(form.get("RecordingStartTime", ""))
    row.save(
        update_fields=["source_url", "status", "next_at", "channels", "duration_ms", "told_ms", "started_at"]
    )


def _number(text: str) -> int | None:
    """A small count; -1 is how an unknown duration is told."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else None


def _instant(text: str) -> datetime | None:
    """RFC 2822, as the carrier writes instants."""
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return found if found.tzinfo else None
