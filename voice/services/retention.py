"""Deleting what has been kept long enough, by workspace and class, provably (promises.md F1, R16).

Every step can be cut off anywhere and is then done again: what is due is found by columns, a step's rows are
claimed with SKIP LOCKED, and marks and receipt are of the transaction that deletes. Files go before the row
forgets their name, so that a death in between leaves a row that is still due, never a file that nobody knows.
"""

import hashlib
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import orjson
import structlog
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from crm.models import Lead
from crm.services import timeline
from tenex.events import services as events
from tenex.lib import failpoint
from tenex.lib.storage_faults import StorageFault
from tenex.workspaces.models import Workspace
from voice.models import (
    Call,
    CallEvent,
    CallStatus,
    KeptClass,
    LegalHold,
    PurgeReceipt,
    Recording,
    RecordingStatus,
    ToolCall,
    Turn,
    Verdict,
    VerdictCorrection,
    Waveform,
)
from voice.services import recording_store
from voice.services.recording_files import names_of
from voice.services.timing import scaled

log = structlog.get_logger(__name__)

BATCH = 200
"""Calls or recordings a step."""
_LEASE_S = 120.0
_BIT = {KeptClass.TRANSCRIPT: 1, KeptClass.JOURNAL: 2, KeptClass.EVIDENCE: 4}
SETTINGS: Final = {
    KeptClass.AUDIO: "recording_retention_days",
    KeptClass.TRANSCRIPT: "transcript_retention_days",
    KeptClass.JOURNAL: "journal_retention_days",
    KeptClass.EVIDENCE: "evidence_retention_days",
}
"""The workspace's field that says how long a class is kept."""
ALL: Final = sum(_BIT.values())
"""`Call.purged` of a call of which no words are left."""
_WORDS = ("transcript.", "turn.", "tool.")
"""Types of journal lines that hold what was said; of others those with one of these keys."""
_WORD_KEYS = ["text", "arguments", "output", "instructions", "summary", "reason_text", "questions"]


@dataclass(frozen=True, slots=True)
class Step:
    """What one step deleted, by kind; empty when nothing of that class is due any more."""

    kept_class: KeptClass
    counts: dict[str, int]


def cutoff(workspace: Workspace, kept_class: KeptClass, now: datetime) -> datetime:
    """Calls that ended before this instant have been kept long enough."""
    return now - timedelta(days=days_of(workspace, kept_class))


def days_of(workspace: Workspace, kept_class: KeptClass) -> int:
    """How long that class is kept there."""
    return int(getattr(workspace, SETTINGS[kept_class]))


def is_gone(call: Call, kept_class: KeptClass) -> bool:
    """Whether the texts of that class were deleted after their retention."""
    return bool(call.purged & _BIT[kept_class])


def date_recordings(workspace: Workspace) -> int:
    """Let a changed retention hold for the recordings that exist; how many it concerned."""
    days = workspace.recording_retention_days
    if workspace.recordings_dated_by_days == days:
        return 0
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE voice_recording SET purge_after = call.ended_at + make_interval(days => %s)"
            " FROM voice_call call WHERE call.id = voice_recording.call_id AND call.ended_at IS NOT NULL"
            " AND voice_recording.workspace_id = %s AND voice_recording.status IN ('pending', 'stored')",
            [days, workspace.pk],
        )
        changed = int(cursor.rowcount)
        Workspace.objects.filter(pk=workspace.pk, recording_retention_days=days).update(
            recordings_dated_by_days=days
        )
    return changed


def purge(
    workspace: Workspace, *, until: Callable[[], bool] = lambda: False, at_once: int = BATCH
) -> Counter[str]:
    """Delete all that is due in this workspace, step by step, until nothing is or `until()`; the sums."""
    date_recordings(workspace)
    total: Counter[str] = Counter()
    for kept_class in KeptClass:
        while not until():
            done = step(workspace, kept_class, timezone.now(), at_once)
            total.update(done.counts)
            if not done.counts:
                break
    return total


def purge_all(
    *, seconds: float, only: Sequence[Workspace] | None = None, at_once: int = BATCH
) -> Counter[str]:
    """:func:`purge` every workspace (or only these), for so long at most; the sums."""
    over_at = time.monotonic() + seconds
    total: Counter[str] = Counter()
    for workspace in Workspace.objects.order_by("pk") if only is None else only:
        total.update(purge(workspace, until=lambda: time.monotonic() > over_at, at_once=at_once))
    return total


def step(workspace: Workspace, kept_class: KeptClass, now: datetime, at_once: int = BATCH) -> Step:
    """Delete the oldest of what is due of one class, of so many calls or recordings."""
    if kept_class is KeptClass.AUDIO:
        return Step(kept_class, _audio(workspace, now, at_once))
    return Step(kept_class, _texts(workspace, kept_class, now, at_once))


def holds_on(workspace: Workspace, leads: Sequence[Lead], calls: "QuerySet[Call]") -> "QuerySet[LegalHold]":
    """Those that keep one of these calls or leads, and those that keep everything."""
    about = Q(call=None, lead=None) | Q(call__in=calls) | Q(lead__in=leads)
    about |= Q(lead__in=calls.order_by().values("lead"))
    return LegalHold.objects.filter(about, workspace=workspace, released_at=None)


def _is_held(call: str, lead: str, workspace: str) -> Exists:
    return Exists(
        LegalHold.objects.filter(released_at=None, workspace_id=OuterRef(workspace)).filter(
            Q(call_id=OuterRef(call)) | Q(lead_id=OuterRef(lead)) | Q(call=None, lead=None)
        )
    )


def kept_recordings(workspace: Workspace, older_than: datetime) -> "QuerySet[Recording]":
    """Recordings of calls that ended before this instant and that nobody holds."""
    return _kept(workspace).filter(call__ended_at__lt=older_than)


def due_recordings(workspace: Workspace, now: datetime) -> "QuerySet[Recording]":
    """Recordings that are past and that nobody holds. By `purge_after`: see :func:`date_recordings`."""
    return _kept(workspace).filter(purge_after__lte=now)


def _kept(workspace: Workspace) -> "QuerySet[Recording]":
    rows = Recording.objects.filter(
        workspace=workspace,
        status__in=(RecordingStatus.PENDING, RecordingStatus.STORED),
        call__status=CallStatus.FINALIZED,
    )
    return rows.exclude(_is_held("call_id", "call__lead_id", "workspace_id"))


def due_calls(workspace: Workspace, kept_class: KeptClass, older_than: datetime) -> "QuerySet[Call]":
    """Finalized calls of which texts of that class are left, and that nobody holds."""
    rows = Call.objects.filter(
        workspace=workspace, status=CallStatus.FINALIZED, purged__lt=7, ended_at__lt=older_than
    )
    left = rows.annotate(bit=F("purged").bitand(_BIT[kept_class])).filter(bit=0)
    return left.exclude(_is_held("pk", "lead_id", "workspace_id"))


def _audio(workspace: Workspace, now: datetime, at_once: int) -> dict[str, int]:
    claimed = _claim(workspace, now, at_once)
    if not claimed:
        return {}
    deleted: dict[uuid.UUID, set[str]] = {}
    for row in claimed:
        if _delete_files(row):
            deleted[row.pk] = set(names_of(row))
        failpoint.hit("retention.file")
    with transaction.atomic():
        now_there = Recording.objects.select_for_update().filter(pk__in=deleted)
        gone = [
            row.pk
            for row in now_there.exclude(status=RecordingStatus.DELETED)
            if set(names_of(row)) <= deleted[row.pk]  # not stored anew meanwhile
        ]
        Recording.objects.filter(pk__in=gone).update(
            status=RecordingStatus.DELETED, file="", leftovers=[], problem="", next_at=None
        )
        Waveform.objects.filter(recording_id__in=gone).delete()
        mine = [row for row in claimed if row.pk in set(gone)]
        counts = {
            "recordings": len(mine),
            "files": sum(bool(row.file) for row in mine),
            "bytes": sum(row.size_bytes or 0 for row in mine),
        }
        if mine:
            receipt(workspace, KeptClass.AUDIO, [row.call_id for row in mine], counts, now)
        failpoint.hit("retention.receipt")
    return counts


def _delete_files(row: Recording) -> bool:
    """Whether they are gone. What the storage will not delete now keeps its lease, and holds up no other."""
    try:
        for name in names_of(row):
            recording_store.delete(name)
    except StorageFault as exc:
        log.warning("recording not deleted", call_id=str(row.call_id), error=exc.reason)
        return False
    return True


def _claim(workspace: Workspace, now: datetime, at_once: int) -> list[Recording]:
    """Recordings that only this process deletes for a while; one that dies is followed after the lease."""
    free = Q(next_at=None) | Q(next_at__lte=now)
    with transaction.atomic():
        rows = list(
            due_recordings(workspace, now)
            .filter(free)
            .select_for_update(of=("self",), skip_locked=True)
            .order_by("purge_after")[:at_once]
        )
        Recording.objects.filter(pk__in=[row.pk for row in rows]).update(next_at=now + scaled(_LEASE_S))
    return rows


def _texts(workspace: Workspace, kept_class: KeptClass, now: datetime, at_once: int) -> dict[str, int]:
    older_than = cutoff(workspace, kept_class, now)
    with transaction.atomic():
        ids = list(
            due_calls(workspace, kept_class, older_than)
            .select_for_update(of=("self",), skip_locked=True)
            .order_by("ended_at")
            .values_list("pk", flat=True)[:at_once]
        )
        if not ids:
            return {}
        counts = {"calls": len(ids), **_DELETE[kept_class](ids)}
        Call.objects.filter(pk__in=ids).update(purged=F("purged").bitor(_BIT[kept_class]))
        failpoint.hit("retention.deleted")
        receipt(workspace, kept_class, ids, counts, older_than)
    return counts


def _transcript(ids: Sequence[uuid.UUID]) -> dict[str, int]:
    turns, _ = Turn.objects.filter(call_id__in=ids).delete()
    tools = ToolCall.objects.filter(call_id__in=ids).update(arguments={}, output=None)
    spoken = Q(data__has_any_keys=_WORD_KEYS)
    for prefix in _WORDS:
        spoken |= Q(type__startswith=prefix)
    lines, _ = CallEvent.objects.filter(spoken, call_id__in=ids).delete()
    return {"turns": turns, "tool_calls": tools, "lines": lines}


def _journal(ids: Sequence[uuid.UUID]) -> dict[str, int]:
    lines, _ = CallEvent.objects.filter(call_id__in=ids).delete()
    return {"lines": lines}


def _evidence(ids: Sequence[uuid.UUID]) -> dict[str, int]:
    """What was concluded stays as a figure; in whose words, and why, goes."""
    verdicts = Verdict.objects.filter(call_id__in=ids).update(
        summary="", reasons=[], criteria=[], follow_up={}, meeting=None, undetermined_because=""
    )
    Call.objects.filter(pk__in=ids).update(variables={}, objective="")
    corrections = VerdictCorrection.objects.filter(call_id__in=ids).update(reason="", before={}, after={})
    return {
        "verdicts": verdicts,
        "corrections": corrections,
        "timeline": timeline.forget_calls(ids),
        **events.forget_calls(ids),
    }


_DELETE = {
    KeptClass.TRANSCRIPT: _transcript,
    KeptClass.JOURNAL: _journal,
    KeptClass.EVIDENCE: _evidence,
}


TEXTS = tuple(_DELETE.values())
"""Each takes ids of calls and deletes one class of texts of them; rows by kind."""


def digest_of(previous: str, kept_class: str, call_ids: Sequence[str], counts: dict[str, int]) -> str:
    """The hash of a receipt."""
    told = orjson.dumps([previous, kept_class, call_ids, counts], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(told).hexdigest()


def receipt(
    workspace: Workspace,
    kept_class: str,
    call_ids: Sequence[uuid.UUID],
    counts: dict[str, int],
    older_than: datetime,
) -> PurgeReceipt:
    """One more link of the workspace's chain, in the caller's transaction: the next one waits for its end."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"receipt:{workspace.pk}"])
    last = PurgeReceipt.objects.filter(workspace=workspace).order_by("-number").first()
    ids = sorted({str(one) for one in call_ids})
    return PurgeReceipt.objects.create(
        workspace=workspace,
        number=last.number + 1 if last else 1,
        kept_class=kept_class,
        call_ids=ids,
        counts=counts,
        older_than=older_than,
        digest=digest_of(last.digest if last else "", kept_class, ids, counts),
    )


def first_forged(workspace: Workspace) -> int | None:
    """The number of the first receipt that was changed, or before which one is missing; None if all hold."""
    before = ""
    rows = PurgeReceipt.objects.filter(workspace=workspace).order_by("number").iterator()
    for number, row in enumerate(rows, 1):
        if row.number != number or row.digest != digest_of(before, row.kept_class, row.call_ids, row.counts):
            return number
        before = row.digest
    return None
