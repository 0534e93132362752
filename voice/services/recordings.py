"""Rows of recordings: what the carrier's callbacks say, in whatever order and however often they come."""

import uuid
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.utils import timezone

from tenex.lib.wake import wake
from voice.models import Call, Recording, RecordingStatus

log = structlog.get_logger(__name__)


def note_callback(
    call_id: uuid.UUID,
    *,
    provider_sid: str,
    source_url: str,
    status: str,
    duration_s: int | None = None,
    channels: int | None = None,
    started_at: datetime | None = None,
) -> Recording | None:
    """Take in one recording status callback (twilio.md 11); None if it is about no call of ours.

    `in-progress` only makes the row, `completed` makes it due to be fetched, `absent` and `failed` close it.
    A late or repeated callback never takes a step back.
    """
    call = Call.objects.select_related("workspace").filter(pk=call_id).first()
    if not provider_sid or call is None:
        log.warning("recording callback for nothing of ours", call_id=str(call_id), sid=bool(provider_sid))
        return None
    with transaction.atomic():
        row, _ = Recording.objects.select_for_update().get_or_create(
            provider_sid=provider_sid[:64],
            defaults={
                "workspace_id": call.workspace_id,
                "call": call,
                "source_url": source_url[:500],
                "started_at": started_at,
                "purge_after": purge_after(call),
            },
        )
        if row.call_id != call.pk:
            log.warning("recording belongs to another call", call_id=str(call_id), recording_id=str(row.pk))
            return None
        if row.status == RecordingStatus.PENDING:
            row.source_url = source_url[:500] or row.source_url
            row.started_at = row.started_at or started_at
            row.channels = row.channels if channels is None else channels
            if duration_s is not None and duration_s >= 0:  # -1 is how an unknown one is told
                row.duration_ms = duration_s * 1000
            _move(row, status)
            row.save()
    return row


def purge_after(call: Call) -> datetime:
    """When a recording of this call must be gone: the workspace's retention, counted from the call's end."""
    return (call.ended_at or timezone.now()) + timedelta(days=call.workspace.recording_retention_days)


def _move(row: Recording, status: str) -> None:
    match status:
        case "completed" if row.source_url:
            row.next_at = row.next_at or timezone.now()
            wake("voice.postcall.recording", str(row.pk))
        case "absent":
            row.status, row.next_at = RecordingStatus.ABSENT, None
        case "failed":
            row.status, row.next_at = RecordingStatus.FAILED, None
        case _:
            pass  # in-progress, paused, stopped, processing: not finished yet
