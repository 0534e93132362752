"""Batches out of CSV files: the CRM's import makes or finds the leads, its kept rows become recipients.

Each portion of rows is taken over in one transaction with the recipients that it makes, so a worker that dies
leaves whole portions and nobody twice.
"""

import uuid
from dataclasses import dataclass
from typing import IO, Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from crm.models import ImportStatus, Lead, LeadImport, LeadImportError, LeadImportRow
from crm.services import imports
from tenex.errors import Conflict
from tenex.lib.wake import wake
from tenex.workspaces.models import Workspace
from voice.models import Batch, BatchUpload
from voice.services import batch_members, batches
from voice.services.batch_members import MAX_LEADS, Member
from voice.services.eligibility import Rejection

_OPEN = (ImportStatus.QUEUED, ImportStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class Uploaded:
    """`created` is False for a repeated `client_reference`: the batch of the first request."""

    batch: Batch
    created: bool = True


def create(
    workspace: Workspace,
    file: IO[bytes],
    *,
    file_name: str,
    options: imports.Options,
    parts: dict[str, Any],
    actor: str,
) -> Uploaded:
    """A batch whose leads are in a file. `parts` are arguments of :func:`batches.create`, without leads.

    Raises:
        InvalidInput: of the settings, or of the file's header. Conflict: `too_many_imports`.
    """
    with transaction.atomic():
        made = batches.create(workspace, empty=True, actor=actor, **parts)
        if made.created:
            _take_in(made.batch, file, file_name=file_name, options=options, actor=actor)
    return Uploaded(made.batch, made.created)


def append(batch: Batch, file: IO[bytes], *, file_name: str, options: imports.Options, actor: str) -> Batch:
    """More leads for a batch that is not over, out of a file.

    Raises:
        Conflict: `batch_over`, `too_many_imports`. InvalidInput: of the file's header.
    """
    with transaction.atomic():
        locked = batches.lock(batch.pk)
        if locked.status in batches.OVER:
            raise Conflict("The batch is over.", code="batch_over")
        _take_in(locked, file, file_name=file_name, options=options, actor=actor)
    return locked


def _take_in(batch: Batch, file: IO[bytes], *, file_name: str, options: imports.Options, actor: str) -> None:
    row = imports.create(
        batch.workspace, file, file_name=file_name, options=options, actor=actor, keeps_rows=True
    )
    BatchUpload.objects.create(batch=batch, lead_import=row)
    batches.note(batch, actor, "batch.uploaded", lead_import=str(row.pk), file_name=row.file_name)


def waiting() -> list[uuid.UUID]:
    """Uploads that may have rows to take over, the oldest first."""
    rows = BatchUpload.objects.filter(done_at=None).order_by("created_at")
    return list(rows.values_list("pk", flat=True)[:100])


def portion(upload_id: uuid.UUID) -> bool:
    """Take the next rows over; False if there are none now, or somebody else is at it."""
    with transaction.atomic():
        upload = BatchUpload.objects.select_related("batch").filter(pk=upload_id, done_at=None).first()
        if upload is None:
            return False
        free = Batch.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
        batch = free.select_related("workspace").filter(pk=upload.batch_id).first()
        if batch is None:
            return False
        # Read before the rows: what comes after this status has been seen cannot be missed.
        status = LeadImport.objects.values_list("status", flat=True).get(pk=upload.lead_import_id)
        rows = imports.take_rows(upload.lead_import_id, MAX_LEADS)
        if not rows:
            if status not in _OPEN:
                BatchUpload.objects.filter(pk=upload_id, done_at=None).update(done_at=timezone.now())
                wake("voice.outbound.tick")
            return False
        if batch.status not in batches.OVER:
            _take_over(batch, upload, rows)
    return True


def _take_over(batch: Batch, upload: BatchUpload, rows: list[LeadImportRow]) -> None:
    leads = Lead.objects.filter(workspace=batch.workspace_id).in_bulk([row.lead_id for row in rows])
    given, problems = [], []
    seen: set[uuid.UUID] = set(
        batch.recipients.filter(lead__in=leads, callback_of=None).values_list("lead_id", flat=True)
    )
    for row in rows:
        lead = leads.get(row.lead_id)
        if lead is None:
            problems.append(_problem(row, "missing", "the lead was deleted"))
        elif lead.pk in seen:
            problems.append(_problem(row, "duplicate", "the lead is in the batch already"))
        else:
            seen.add(lead.pk)
            given.append(Member(lead, row.variables))
    _, rejected = batch_members.add(batch, given, keep_refused=True)
    imports.report(upload.lead_import_id, problems)
    BatchUpload.objects.filter(pk=upload.pk).update(
        taken_count=F("taken_count") + len(given),
        refused_count=F("refused_count") + _refused(rejected),
        duplicate_count=F("duplicate_count") + len(problems),
    )


def _refused(rejected: list[Rejection]) -> int:
    return sum(one.code != "duplicate" for one in rejected)


def _problem(row: LeadImportRow, code: str, reason: str) -> LeadImportError:
    return LeadImportError(line=row.line, code=code, reason=reason, lead_id=row.lead_id)
