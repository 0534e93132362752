"""Deleting a recording: the row first says so, then the copies go (promises.md R16)."""

from django.core.files.storage import default_storage
from django.db import transaction

from tenex.lib.wake import wake
from tenex.workspaces.services import audit
from voice.models import Recording, RecordingStatus, Waveform


def delete(recording: Recording, actor: str) -> bool:
    """Mark it deleted, remove the file after commit; the carrier's copy goes in a task. False if it was."""
    with transaction.atomic():
        row = Recording.objects.select_for_update().get(pk=recording.pk)
        if row.status == RecordingStatus.DELETED:
            return False
        name, row.file, row.status, row.next_at = row.file, "", RecordingStatus.DELETED, None
        row.save(update_fields=["file", "status", "next_at"])
        Waveform.objects.filter(recording=row).delete()
        audit.record(row.workspace_id, actor, "recording.deleted", object_type="recording", object_id=row.pk)
        if name:
            transaction.on_commit(lambda: default_storage.delete(name), robust=True)
        wake("voice.postcall.delete_recording", str(row.pk))
    return True
