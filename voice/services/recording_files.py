"""What becomes of the files of recordings afterwards: deleted, read back, put into an envelope.

The row first says so, then the copies go (promises.md R16). A name that still has to be deleted stays in the
row (`leftovers`) until the storage has done it, so that no file is left that nobody knows.
"""

import uuid
from typing import Final

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from tenex.errors import Conflict, TenexError
from tenex.lib.storage_faults import FileMissing, StorageFault
from tenex.lib.wake import wake
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit
from voice.models import AtRest, Recording, RecordingProblem, RecordingStatus, Waveform
from voice.services import recording_store as store

log = structlog.get_logger(__name__)

_DOUBTS: Final = (RecordingProblem.ONE_CHANNEL, RecordingProblem.SHORT, RecordingProblem.TRUNCATED)
"""What a person may accept: it is all that the carrier has."""


def delete(recording: Recording, actor: str) -> bool:
    """Mark it deleted; the file goes after commit, the carrier's copy in a task. False if it was."""
    with transaction.atomic():
        row = Recording.objects.select_for_update().get(pk=recording.pk)
        if row.status == RecordingStatus.DELETED:
            return False
        row.leftovers = names_of(row)
        row.file, row.status, row.next_at, row.problem = "", RecordingStatus.DELETED, None, ""
        row.save(update_fields=["file", "status", "next_at", "problem", "leftovers"])
        Waveform.objects.filter(recording=row).delete()
        audit.record(row.workspace_id, actor, "recording.deleted", object_type="recording", object_id=row.pk)
        transaction.on_commit(lambda: _clear_quietly(row.pk), robust=True)
        wake("voice.postcall.delete_recording", str(row.pk))
    return True


def names_of(row: Recording) -> list[str]:
    """Every name under which something of this recording may lie in the storage."""
    return list(dict.fromkeys([*row.leftovers, *([row.file] if row.file else [])]))


def clear_leftovers(recording_id: uuid.UUID) -> int:
    """Delete what is left of a recording in the storage; how many files.

    Raises:
        StorageFault: the storage does not do it now.
    """
    row = Recording.objects.filter(pk=recording_id).first()
    names = [name for name in row.leftovers if name != row.file] if row is not None else []
    for name in names:
        store.delete(name)
    with transaction.atomic():
        row = Recording.objects.select_for_update().filter(pk=recording_id).first()
        if row is not None and names:
            row.leftovers = [name for name in row.leftovers if name not in names]
            row.save(update_fields=["leftovers"])
    return len(names)


def _clear_quietly(recording_id: uuid.UUID) -> int:
    try:
        return clear_leftovers(recording_id)
    except StorageFault as exc:
        log.warning("file of a recording not deleted yet", recording_id=str(recording_id), why=exc.reason)
        return 0


def sweep(limit: int = 100) -> int:
    """Delete the files that a storage would not delete at first; how many went."""
    rows = Recording.objects.exclude(leftovers=[])
    return sum(_clear_quietly(pk) for pk in rows.order_by("created_at").values_list("pk", flat=True)[:limit])


# --- reading back ---------------------------------------------------------------------------------


def unverified() -> "QuerySet[Recording]":
    """Stored before files were read back, and still at the carrier."""
    return Recording.objects.filter(
        status=RecordingStatus.STORED, verified_at=None, carrier_deleted_at=None, problem=""
    )


def verify(row: Recording) -> bool:
    """Read a stored file back, and note whether it is what was stored.

    Raises:
        StorageFault: nobody knows now.
    """
    problem, detail = RecordingProblem.NONE, ""
    try:
        store.check(store.of(row), row.sha256)
        if (row.channels or 2) != 2:
            problem, detail = RecordingProblem.ONE_CHANNEL, str(row.channels)
    except FileMissing:
        problem = RecordingProblem.MISSING
    except store.Altered:
        problem = RecordingProblem.ALTERED
    changes = {
        "problem": problem,
        "problem_detail": detail,
        "verified_at": None if problem else timezone.now(),
    }
    Recording.objects.filter(pk=row.pk, file=row.file).update(**changes)
    if problem:
        log.error("recording is not what was stored", recording_id=str(row.pk), problem=problem)
    return not problem


def note_broken(row: Recording, exc: FileMissing | store.Altered) -> None:
    """Somebody found that a stored file is gone or changed."""
    problem = RecordingProblem.MISSING if isinstance(exc, FileMissing) else RecordingProblem.ALTERED
    Recording.objects.filter(pk=row.pk, file=row.file).update(problem=problem, problem_detail="")
    log.error("recording is not what was stored", recording_id=str(row.pk), problem=problem)


def verify_due(limit: int = 20) -> int:
    """Read some files back that were stored before that was done; how many are right."""
    right = 0
    for row in unverified().order_by("created_at")[:limit]:
        try:
            right += verify(row)
        except TenexError as exc:  # a storage that is away for one is away for all
            log.warning("recording not read back", recording_id=str(row.pk), why=exc.code)
            break
    return right


# --- what operators do ----------------------------------------------------------------------------


def try_again(recording: Recording, actor: str) -> None:
    """Fetch it from the carrier once more, now.

    Raises:
        Conflict: it is stored, or deleted.
    """
    with transaction.atomic():
        changed = Recording.objects.filter(
            pk=recording.pk, status__in=(RecordingStatus.FAILED, RecordingStatus.PENDING)
        ).update(
            status=RecordingStatus.PENDING, attempts=0, store_failures=0, next_at=timezone.now()
        )  # fmt: skip
        if not changed:
            raise Conflict(
                "only a recording that could not be fetched is fetched again", code="recording_over"
            )
        _audit(recording, actor, "recording.tried_again")
        wake("voice.postcall.recording", str(recording.pk))


def accept(recording: Recording, actor: str) -> None:
    """Keep a doubtful recording as it is; the carrier's copy may go.

    Raises:
        Conflict: there is nothing to accept: it is not stored, or its file is not there as it was stored.
    """
    with transaction.atomic():
        changed = Recording.objects.filter(
            pk=recording.pk, status=RecordingStatus.STORED, problem__in=_DOUBTS
        ).update(problem="", problem_detail="", verified_at=timezone.now())
        if not changed:
            raise Conflict("there is nothing to accept", code="recording_over")
        _audit(recording, actor, "recording.accepted")
        wake("voice.postcall.delete_recording", str(recording.pk))


def _audit(row: Recording, actor: str, action: str) -> None:
    data = {"call_id": str(row.call_id), "problem": row.problem}
    audit.record(row.workspace_id, actor, action, object_type="recording", object_id=row.pk, data=data)


# --- envelopes for what lies there already --------------------------------------------------------


def plain(workspace: Workspace | None = None) -> "QuerySet[Recording]":
    """Stored recordings that are in no envelope."""
    rows = Recording.objects.filter(status=RecordingStatus.STORED).exclude(at_rest=AtRest.ENVELOPE)
    return rows if workspace is None else rows.filter(workspace=workspace)


def seal(row: Recording) -> bool:
    """Put a stored recording into an envelope; False if it was deleted or sealed meanwhile.

    Dying anywhere costs nothing: the row names the old file until the new one was read back, and the old name
    is among the leftovers until that file is gone.

    Raises:
        StorageFault, FileMissing, store.Altered: it stays as it is.
    """
    before = store.of(row)
    base = row.file.removesuffix(store.SEALED)
    with store.opened(before) as file:
        size = store.size_of(before)
        digest = row.sha256 or store.digest(file)
        made = store.put(row, base, file, size)
    try:
        store.check(made, digest)
    except TenexError:
        store.delete(made.name)
        raise
    now_in = {"file": made.name, "at_rest": made.at_rest, "key_id": made.key_id, "size_bytes": size}
    with transaction.atomic():
        mine = Recording.objects.select_for_update().get(pk=row.pk)
        changed = mine.status == RecordingStatus.STORED and mine.file == before.name
        if changed:
            leftovers = [*mine.leftovers, before.name]
            Recording.objects.filter(pk=row.pk).update(
                **now_in, sha256=digest, verified_at=timezone.now(), leftovers=leftovers
            )
    if not changed:
        if not Recording.objects.filter(file=made.name).exists():
            store.delete(made.name)
        return False
    _clear_quietly(row.pk)
    return True


def seal_some(limit: int, workspace: Workspace | None = None) -> tuple[int, int]:
    """Seal so many of the oldest plain recordings; how many went in, how many could not.

    Raises:
        Conflict: new recordings are not put into envelopes, so old ones are not either.
        StorageFault: the storage is away.
    """
    if store.at_rest_now() != AtRest.ENVELOPE:
        raise Conflict("RECORDING_ENCRYPTION is not `envelope`", code="no_envelope")
    done = failed = 0
    for row in plain(workspace).filter(problem="").order_by("created_at")[:limit]:
        try:
            done += seal(row)
        except (FileMissing, store.Altered) as exc:
            failed += 1
            note_broken(row, exc)
    return done, failed
