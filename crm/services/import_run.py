"""A worker at an import: batch after batch, each in one transaction with the place where the next one begins.

So a worker that dies leaves whole batches, and whoever comes next goes on behind them: no row twice, none
left out.
A worker that lost its lease finds that out under the import's row lock, before it has written anything.
"""

import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from hashlib import blake2b
from itertools import islice

import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from crm.imports import columns, records
from crm.models import ImportStatus, LeadImport, LeadImportError, LeadImportKey, LeadImportRow, OnDuplicate
from crm.models.imports import OPEN
from crm.services import consents, imports, lead_upserts
from crm.services.lead_fields import LeadFields, Lookup
from crm.services.lead_upserts import Outcome, Result
from tenex.errors import InvalidInput
from tenex.lib import zones
from tenex.workspaces.services import audit

log = structlog.get_logger(__name__)

BATCH_ROWS = 200
"""A batch holds the workspace's event counter at its end: live calls of the workspace wait for that."""
LEASE_S = 15.0
SLICE_S = 1.5
"""Then the worker takes whatever else waits; the import stands at the end of the queue again."""
MAX_TRIES = 20


@dataclass(frozen=True, slots=True)
class _Extra:
    """What a row says beside its lead's fields."""

    variables: dict[str, str] = field(default_factory=dict)
    consent: columns.Agreed | None = None


class _LostLease(Exception):
    pass


def run(import_id: uuid.UUID, *, slice_s: float = SLICE_S) -> bool:
    """Work at an import for about `slice_s` seconds; whether there is more. Any number may try at once."""
    lease = uuid.uuid4()
    if not _claim(import_id, lease):
        return False
    row = LeadImport.objects.select_related("workspace").get(pk=import_id)
    if row.tries > MAX_TRIES:
        with transaction.atomic():
            if (held := _held(row, lease)) is not None:
                imports.close(held, ImportStatus.FAILED, "given up after too many starts without a result")
        log.error("import given up", import_id=str(import_id), line=row.next_line)
        return False
    worker = _Worker(row, lease)
    until = time.monotonic() + slice_s
    try:
        while worker.batch():
            if time.monotonic() >= until:
                worker.give_back()
                return True
    except _LostLease:
        log.info("import taken over", import_id=str(import_id))
    return False


def _claim(import_id: uuid.UUID, lease: uuid.UUID) -> bool:
    now = timezone.now()
    waiting = LeadImport.objects.filter(pk=import_id, status__in=OPEN, lease_until__lte=now)
    claimed = waiting.update(
        status=ImportStatus.RUNNING,
        lease=lease,
        lease_until=now + timedelta(seconds=LEASE_S),
        tries=F("tries") + 1,
    )
    LeadImport.objects.filter(pk=import_id, lease=lease, started_at=None).update(started_at=now)
    return bool(claimed)


def _held(row: LeadImport, lease: uuid.UUID) -> LeadImport | None:
    """The import, locked, if the lease is still ours and nobody has canceled it."""
    mine = LeadImport.objects.select_for_update(of=("self",)).filter(
        pk=row.pk, lease=lease, status=ImportStatus.RUNNING
    )
    return mine.first()


class _Worker:
    """Reads on from where the import stands."""

    def __init__(self, row: LeadImport, lease: uuid.UUID) -> None:
        self._row = row
        self._lease = lease
        self._columns: list[tuple[str, str | None]] = [(header, target) for header, target in row.columns]
        self._lookup = Lookup(row.workspace)
        self._zone = zones.zone(row.workspace.time_zone) or UTC
        self._records: Iterator[records.Record] = records.read(
            imports.text_from(row),
            delimiter=row.delimiter,
            start_byte=row.next_byte,
            start_line=row.next_line,
        )

    def batch(self) -> bool:
        """Take the next rows in; False when the file is at its end.

        Raises:
            _LostLease: nothing was written.
        """
        read = list(islice(self._records, BATCH_ROWS))
        with transaction.atomic():
            row = _held(self._row, self._lease)
            if row is None:
                raise _LostLease
            if not read:
                imports.close(row, ImportStatus.COMPLETED)
                self._note(row)
                return False
            lines, items, extras = self._items(read)
            outcomes = self._preview(row, items) if row.dry_run else self._save(items)
            if not row.dry_run:
                self._agree(row, extras, outcomes)
            if row.keeps_rows:
                self._keep(row, lines, extras, outcomes)
            self._report(row, lines, outcomes)
            row.next_byte, row.next_line = read[-1].next_byte, read[-1].next_line
            row.lease_until = timezone.now() + timedelta(seconds=LEASE_S)
            row.tries = 0
            row.save()
        return True

    def give_back(self) -> None:
        """Whoever comes next may go on at once."""
        LeadImport.objects.filter(pk=self._row.pk, lease=self._lease).update(
            lease=None, lease_until=timezone.now()
        )

    def _items(
        self, read: Sequence[records.Record]
    ) -> tuple[list[int], list[LeadFields | InvalidInput], list[_Extra]]:
        """Line, fields, and what else there is of each row that is not empty."""
        lines, items, extras = [], [], []
        for record in read:
            item: LeadFields | InvalidInput | None
            extra = _Extra()
            try:
                if record.problem:
                    raise InvalidInput(record.reason, loc=("row",), type_=record.problem)
                extra = _Extra(
                    columns.variables(self._columns, record.cells),
                    columns.consent(self._columns, record.cells, self._zone),
                )
                item = columns.row(self._columns, record.cells, self._lookup.customs, self._lookup.members)
            except InvalidInput as exc:
                item = exc
            if item is not None:
                lines.append(record.line)
                items.append(item)
                extras.append(extra)
        return lines, items, extras

    def _agree(self, row: LeadImport, extras: Sequence[_Extra], outcomes: Sequence[Outcome]) -> None:
        """Consents that rows tell of, once each, however often the file comes in."""
        consents.import_many(
            row.workspace,
            [
                (outcome.lead_id, extra.consent)
                for extra, outcome in zip(extras, outcomes, strict=True)
                if extra.consent and outcome.lead_id and outcome.result != Result.FAILED
            ],
            actor=row.actor,
            import_id=row.pk,
        )

    def _keep(
        self,
        row: LeadImport,
        lines: Sequence[int],
        extras: Sequence[_Extra],
        outcomes: Sequence[Outcome],
    ) -> None:
        LeadImportRow.objects.bulk_create(
            LeadImportRow(lead_import=row, line=line, lead_id=outcome.lead_id, variables=extra.variables)
            for line, extra, outcome in zip(lines, extras, outcomes, strict=True)
            if outcome.result != Result.FAILED and outcome.lead_id is not None
        )

    def _save(self, items: Sequence[LeadFields | InvalidInput]) -> list[Outcome]:
        return lead_upserts.save_many(
            self._row.workspace,
            items,
            on_duplicate=OnDuplicate(self._row.on_duplicate),
            actor=self._row.actor,
            lookup=self._lookup,
        )

    def _preview(self, row: LeadImport, items: Sequence[LeadFields | InvalidInput]) -> list[Outcome]:
        """What would happen, also to a row that repeats one far above it in the file."""
        found = lead_upserts.preview(
            self._row.workspace,
            items,
            on_duplicate=OnDuplicate(self._row.on_duplicate),
            lookup=self._lookup,
            met=lambda keys: _met(row, keys),
        )
        LeadImportKey.objects.bulk_create(
            (
                LeadImportKey(lead_import=row, digest=_digest(key), lead_id=lead_id)
                for key, lead_id in found.owners.items()
            ),
            ignore_conflicts=True,
        )
        return found.outcomes

    def _report(self, row: LeadImport, lines: Sequence[int], outcomes: Sequence[Outcome]) -> None:
        counts = Counter(outcome.result for outcome in outcomes)
        row.rows_read += len(outcomes)
        row.created_count += counts[Result.CREATED]
        row.updated_count += counts[Result.UPDATED]
        row.unchanged_count += counts[Result.UNCHANGED]
        row.skipped_count += counts[Result.SKIPPED]
        row.failed_count += counts[Result.FAILED]
        LeadImportError.objects.bulk_create(
            self._error(row, line, outcome)
            for line, outcome in zip(lines, outcomes, strict=True)
            if outcome.result == Result.FAILED
        )

    def _error(self, row: LeadImport, line: int, outcome: Outcome) -> LeadImportError:
        error = outcome.error
        assert error is not None  # noqa: S101 - of a failed one
        column, code = "", error.code
        if isinstance(error, InvalidInput):
            column, code = columns.header_of(self._columns, error.loc), error.type_
        return LeadImportError(
            lead_import=row,
            line=line,
            column=column[:200],
            code=code,
            reason=error.detail[:300],
            lead_id=outcome.lead_id,
        )

    def _note(self, row: LeadImport) -> None:
        audit.record(
            row.workspace_id,
            row.actor,
            "lead_import.completed",
            object_type="lead_import",
            object_id=row.pk,
            data={
                "rows_read": row.rows_read,
                "created": row.created_count,
                "updated": row.updated_count,
                "failed": row.failed_count,
                "dry_run": row.dry_run,
            },
        )


def _digest(key: lead_upserts.Key) -> bytes:
    return blake2b(":".join(key).encode(), digest_size=16).digest()


def _met(row: LeadImport, keys: set[lead_upserts.Key]) -> dict[lead_upserts.Key, uuid.UUID]:
    """Those of `keys` that this dry run has met, and the leads that they would belong to."""
    digests = {_digest(key): key for key in keys}
    known = LeadImportKey.objects.filter(lead_import=row, digest__in=list(digests))
    return {digests[bytes(digest)]: lead_id for digest, lead_id in known.values_list("digest", "lead_id")}
