"""Recordings as the carrier reports them."""

import uuid
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from tenex.lib.wake import wake
from voice.models import Call, Recording, RecordingStatus


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
    """A recording callback (twilio.md 11), any number of times; None if there is no such call."""
    call = Call.objects.filter(pk=call_id).only("workspace_id").first()
    if call is None:
        return None
    with transaction.atomic():
        recording, _ = Recording.objects.get_or_create(
            provider_sid=provider_sid,
            defaults={
                "workspace_id": call.workspace_id,
                "call": call,
                "source_url": source_url,
                "status": RecordingStatus.ABSENT if status == "absent" else RecordingStatus.PENDING,
                "duration_ms": duration_s * 1000 if duration_s is not None else None,
                "channels": channels,
                "started_at": started_at,
                "next_at": None if status == "absent" else timezone.now(),
            },
        )
        if recording.status == RecordingStatus.PENDING:
            wake("voice.postcall.recording", str(recording.pk))
    return recording
