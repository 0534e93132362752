"""Forgetting a person: everything about them, wherever it is, within a day of the asking (promises.md F2).

Whoever asks gets a row; from that instant nobody dials them. What is left to wait for (a call that goes on, a
file that is being imported, a legal hold) is told in the row and looked at every minute. Files go first; then
all rows, the certificate and its receipt in one transaction.
"""

import uuid
from collections import Counter

import structlog
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from crm.models import SuppressionSource
from crm.services import persons as crm_persons
from crm.services import suppressions
from tenex.events import services as events
from tenex.lib import failpoint
from tenex.lib.storage_faults import StorageFault
from tenex.lib.wake import wake
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit, traces
from voice.models import (
    Call,
    CallShare,
    CallStatus,
    Decision,
    Erasure,
    Recipient,
    Recording,
    RecordingStatus,
    WaitsFor,
    Waveform,
)
from voice.models.retention import PERSON
from voice.services import persons, recording_store, retention
from voice.services.persons import Person
from voice.services.recording_files import names_of

log = structlog.get_logger(__name__)


def ask(workspace: Workspace, *, actor: str, phone: str = "", lead_id: uuid.UUID | None = None) -> Erasure:
    """Note that a person is to be forgotten, by number or lead, and stop dialing them at once.

    Whoever is asked for again while it is not done gets the row that there is.

    Raises:
        InvalidInput, NotFound: as :func:`voice.services.persons.named`.
    """
    person = persons.named(workspace, phone=phone, lead_id=lead_id)
    number, lead_ids = person.number, sorted(str(lead.pk) for lead in person.leads)
    same = Erasure.objects.filter(workspace=workspace, phone=number, lead_ids=lead_ids, finished_at=None)
    with transaction.atomic():
        made = same.first() or Erasure.objects.create(
            workspace=workspace,
            phone=number,
            subject_hash=suppressions.digest(number) if number else None,
            lead_ids=lead_ids,
            asked_by=actor,
        )
        audit.record(workspace.pk, actor, "person.erasure_asked", object_type="erasure", object_id=made.pk)
        for lead in person.leads:
            suppressions.add(workspace.pk, lead.phone, source=SuppressionSource.API, lead_id=lead.pk)
        if number:
            suppressions.add(workspace.pk, number, source=SuppressionSource.API)
        wake("voice.persons.erase")
    return made


def run_due() -> int:
    """Try every erasure that is not done; how many are now."""
    done = 0
    for made in Erasure.objects.filter(finished_at=None).select_related("workspace").order_by("created_at"):
        done += run(made)
    return done


def run(made: Erasure) -> bool:
    """Forget this person now, if nothing has to be waited for; whether it is done."""
    person = _whom(made)
    reason = _waits_for(person)
    if reason:
        Erasure.objects.filter(pk=made.pk, finished_at=None).update(waits_for=reason)
        return False
    files = _files(person)
    try:
        for file in files:
            recording_store.delete(file)
            failpoint.hit("erasure.file")
    except StorageFault as exc:  # one person's trouble with a disk or object store is not everybody's
        log.warning("person not erased", erasure_id=str(made.pk), error=exc.reason)
        Erasure.objects.filter(pk=made.pk, finished_at=None).update(waits_for=WaitsFor.STORAGE)
        return False
    with transaction.atomic():
        row = Erasure.objects.select_for_update().get(pk=made.pk)
        if row.finished_at is not None:
            return False
        person = _whom(row)
        list(Recording.objects.select_for_update().filter(call__in=person.calls).values_list("pk"))
        if _waits_for(person) or not set(_files(person)) <= set(files):
            return False  # a call, a hold or a recording came meanwhile: in the next minute
        _finish(row, person)
        failpoint.hit("erasure.done")
    log.info("person erased", erasure_id=str(made.pk), workspace_id=str(row.workspace_id))
    return True


def _finish(row: Erasure, person: Person) -> None:
    """All rows, the certificate and its receipt."""
    documents = sorted(persons.documents(person))
    counts = _forget(person)
    if documents:
        counts["documents_that_mention_them"] = len(documents)
    row.phone, row.lead_ids, row.waits_for = "", [], ""
    row.counts, row.finished_at = counts, timezone.now()
    row.receipt = retention.receipt(person.workspace, PERSON, [], {"erasures": 1, **counts}, row.finished_at)
    row.save(update_fields=["phone", "lead_ids", "waits_for", "counts", "finished_at", "receipt"])
    audit.record(
        row.workspace_id,
        "system:erasure",
        "person.erased",
        object_type="erasure",
        object_id=row.pk,
        data={"documents": documents} if documents else {},
    )


def _whom(made: Erasure) -> Person:
    """Looked up anew each time: what came meanwhile is theirs, too."""
    ids = [uuid.UUID(one) for one in made.lead_ids]
    return persons.find(made.workspace, phone=made.phone, lead_ids=ids)


def _files(person: Person) -> list[str]:
    rows = Recording.objects.filter(call__in=person.calls).exclude(file="", leftovers=[])
    return [name for row in rows for name in names_of(row)]


def _waits_for(person: Person) -> WaitsFor | None:
    if person.calls.exclude(status=CallStatus.FINALIZED).exists():
        return WaitsFor.CALL
    if retention.holds_on(person.workspace, person.leads, person.calls).exists():
        return WaitsFor.HOLD
    if crm_persons.import_under_way(person.workspace):
        return WaitsFor.IMPORT
    return None


def _forget(person: Person) -> dict[str, int]:
    workspace, leads = person.workspace, person.leads
    ids = list(person.calls.select_for_update().values_list("pk", flat=True))
    needles = _needles(person)
    counts: Counter[str] = Counter({"calls": len(ids)})
    recordings = Recording.objects.filter(call_id__in=ids).exclude(status=RecordingStatus.DELETED)
    counts["recordings"] = recordings.update(
        status=RecordingStatus.DELETED, file="", problem="", problem_detail="", next_at=None
    )
    Recording.objects.filter(call_id__in=ids).update(leftovers=[])
    Waveform.objects.filter(recording__call_id__in=ids).delete()
    shown = CallShare.objects.filter(call_id__in=ids, revoked_at=None)
    counts["shares"] = shown.update(revoked_at=timezone.now())
    for texts in retention.TEXTS:
        counts.update(texts(ids))
    decided = Decision.objects.filter(Q(call_id__in=ids) | Q(lead__in=leads))
    counts["decisions"] = decided.update(inputs={}, detail="")
    chosen = Recipient.objects.filter(lead__in=leads)
    counts["recipients"] = chosen.update(variables={}, refusal_detail="")
    Call.objects.filter(pk__in=ids, direction="inbound").update(from_number="")
    Call.objects.filter(pk__in=ids, direction="outbound").update(to_number="")
    Call.objects.filter(pk__in=ids).update(purged=retention.ALL, lead=None)
    counts.update(events.forget_texts(workspace.pk, needles))
    counts.update(traces.forget(workspace, needles))
    counts.update(crm_persons.forget(workspace, leads, person.numbers))
    return {name: count for name, count in counts.items() if count}


def _needles(person: Person) -> list[str]:
    """Texts that mean this person and nobody else."""
    found = {*person.numbers, *(str(lead.pk) for lead in person.leads)}
    found |= {lead.email or "" for lead in person.leads}
    return sorted(found - {""})
