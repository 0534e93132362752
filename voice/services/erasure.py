"""Forgetting a person: everything about them, wherever it is, within a day of the asking (promises.md F2).

Whoever asks gets a row; from that instant nobody dials them. What is left to wait for (a call that goes on, a
file that is being imported, a legal hold) is told in the row and looked at every minute. Files go first; then
all rows, the certificate and its receipt in one transaction.
"""

import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from crm.models import Lead, SuppressionSource
from crm.services import persons, suppressions
from tenex.errors import InvalidInput, NotFound
from tenex.events import services as events
from tenex.lib import failpoint
from tenex.lib import phone as phones
from tenex.lib.storage_faults import StorageFault
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit, traces
from voice.models import (
    Call,
    CallEvent,
    CallShare,
    CallStatus,
    Decision,
    Erasure,
    Recipient,
    Recording,
    RecordingStatus,
    ToolCall,
    Turn,
    Verdict,
    VerdictCorrection,
    Waveform,
)
from voice.models.retention import PERSON
from voice.services import recording_store, retention
from voice.services.recording_files import names_of

log = structlog.get_logger(__name__)


def ask(workspace: Workspace, *, actor: str, phone: str = "", lead_id: uuid.UUID | None = None) -> Erasure:
    """Note that a person is to be forgotten, by number or lead, and stop dialing them at once.

    Raises:
        InvalidInput: neither is given, or it is no phone number. NotFound: no such lead here.
    """
    number = phones.normalize(phone, region=workspace.default_region) if phone else ""
    if lead_id and not Lead.objects.filter(workspace=workspace, pk=lead_id).exists():
        raise NotFound("there is no such lead here")
    if not (number or lead_id):
        raise InvalidInput("a phone number or a lead is needed", loc=("body", "phone"), type_="missing")
    leads = persons.same_person(workspace, phone=number, lead_ids=[lead_id] if lead_id else [])
    number = number or next((lead.phone for lead in leads if lead.phone), "")
    with transaction.atomic():
        made = Erasure.objects.create(
            workspace=workspace,
            phone=number,
            subject_hash=suppressions.digest(number) if number else None,
            lead_ids=[str(lead.pk) for lead in leads],
            asked_by=actor,
        )
        audit.record(workspace.pk, actor, "person.erasure_asked", object_type="erasure", object_id=made.pk)
        for lead in leads:
            suppressions.add(workspace.pk, lead.phone, source=SuppressionSource.API, lead_id=lead.pk)
        if number:
            suppressions.add(workspace.pk, number, source=SuppressionSource.API)
    return made


def run_due() -> int:
    """Try every erasure that is not done; how many are now."""
    done = 0
    for made in Erasure.objects.filter(finished_at=None).select_related("workspace").order_by("created_at"):
        done += run(made)
    return done


def run(made: Erasure) -> bool:
    """Forget this person now, if nothing has to be waited for; whether it is done."""
    workspace = made.workspace
    leads, calls = _whom(made)
    reason = _waits_for(workspace, calls)
    if reason:
        Erasure.objects.filter(pk=made.pk, finished_at=None).update(waits_for=reason)
        return False
    files = _files(calls)
    try:
        for file in files:
            recording_store.delete(file)
            failpoint.hit("erasure.file")
    except StorageFault as exc:  # one person's trouble with a disk or object store is not everybody's
        log.warning("person not erased", erasure_id=str(made.pk), error=exc.reason)
        Erasure.objects.filter(pk=made.pk, finished_at=None).update(waits_for="the file storage")
        return False
    with transaction.atomic():
        row = Erasure.objects.select_for_update().get(pk=made.pk)
        if row.finished_at is not None:
            return False
        leads, calls = _whom(row)
        list(Recording.objects.select_for_update().filter(call__in=calls).values_list("pk"))
        if _waits_for(workspace, calls) or not set(_files(calls)) <= set(files):
            return False  # a call, a hold or a recording came meanwhile: in the next minute
        documents = sorted(
            {str(one["document_id"]) for one in persons.mentioned(workspace, leads, [row.phone])}
        )
        counts = _forget(workspace, row, leads, calls)
        if documents:
            counts["documents_that_mention_them"] = len(documents)
        row.phone, row.lead_ids, row.waits_for = "", [], ""
        row.counts, row.finished_at = counts, timezone.now()
        row.save(update_fields=["phone", "lead_ids", "waits_for", "counts", "finished_at"])
        retention.receipt(workspace, PERSON, [], {"erasures": 1, **counts}, row.finished_at)
        audit.record(
            workspace.pk,
            "system:erasure",
            "person.erased",
            object_type="erasure",
            object_id=row.pk,
            data={"documents": documents} if documents else {},
        )
        failpoint.hit("erasure.done")
    log.info("person erased", erasure_id=str(made.pk), workspace_id=str(workspace.pk))
    return True


def _files(calls: "QuerySet[Call]") -> list[str]:
    rows = Recording.objects.filter(call__in=calls).exclude(file="", leftovers=[])
    return [name for row in rows for name in names_of(row)]


def _whom(made: Erasure) -> tuple[list[Lead], "QuerySet[Call]"]:
    """Their leads, and every call with one of these or with one of their numbers."""
    ids = [uuid.UUID(one) for one in made.lead_ids]
    leads = persons.same_person(made.workspace, phone=made.phone, lead_ids=ids)
    numbers = {lead.phone for lead in leads if lead.phone} | ({made.phone} - {""})
    theirs = Q(lead__in=leads) | Q(direction="inbound", from_number__in=numbers)
    theirs |= Q(direction="outbound", to_number__in=numbers)
    return leads, Call.objects.filter(theirs, workspace=made.workspace)


def _waits_for(workspace: Workspace, calls: "QuerySet[Call]") -> str:
    if calls.exclude(status=CallStatus.FINALIZED).exists():
        return "a call that is not finalized"
    if retention.held(calls).exists():
        return "a legal hold"
    if persons.import_under_way(workspace):
        return "an import of leads"
    return ""


def _forget(
    workspace: Workspace, made: Erasure, leads: Sequence[Lead], calls: "QuerySet[Call]"
) -> dict[str, int]:
    ids = list(calls.select_for_update().values_list("pk", flat=True))
    needles = _needles(made, leads)
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
    counts.update(persons.forget(workspace, leads))
    return {name: count for name, count in counts.items() if count}


def _needles(made: Erasure, leads: Sequence[Lead]) -> list[str]:
    """Texts that mean this person and nobody else."""
    found = {made.phone, *(str(lead.pk) for lead in leads)}
    for lead in leads:
        found |= {lead.phone or "", lead.email or ""}
    return sorted(found - {""})


def export(workspace: Workspace, *, phone: str = "", lead_id: uuid.UUID | None = None) -> dict[str, Any]:
    """Everything about a person as plain data, by kind, for whoever asks what we know.

    Raises:
        InvalidInput: as :func:`ask`.
    """
    leads, calls = _of_person(workspace, phone, lead_id)
    known = {**persons.told(leads), **_told(list(calls.order_by("created_at")))}
    return {**known, "knowledge": persons.mentioned(workspace, leads, _numbers(workspace, phone))}


def _of_person(
    workspace: Workspace, phone: str, lead_id: uuid.UUID | None
) -> tuple[list[Lead], "QuerySet[Call]"]:
    number = phones.normalize(phone, region=workspace.default_region) if phone else ""
    if not (number or lead_id):
        raise InvalidInput("a phone number or a lead is needed", loc=("body", "phone"), type_="missing")
    leads = persons.same_person(workspace, phone=number, lead_ids=[lead_id] if lead_id else [])
    return _whom(Erasure(workspace=workspace, phone=number, lead_ids=[str(lead.pk) for lead in leads]))


def documents_of(made: Erasure) -> list[tuple[str, str]]:
    """(title, where to change it) of documents that mention this person: nobody but you rewrites them."""
    leads, _ = _whom(made)
    found = persons.mentioned(made.workspace, leads, [made.phone])
    titles = {str(one["document_id"]): str(one["document__title"]) for one in found}
    return [(title, f"/console/knowledge/{document_id}") for document_id, title in titles.items()]


def count(workspace: Workspace, *, phone: str = "", lead_id: uuid.UUID | None = None) -> dict[str, int]:
    """How much :func:`export` would tell, by kind.

    Raises:
        InvalidInput: as :func:`ask`.
    """
    leads, calls = _of_person(workspace, phone, lead_id)
    found = {"calls": calls.count(), **persons.counted(leads)}
    for kind, model in _OF_CALLS.items():
        found[kind] = model.objects.filter(call__in=calls).count()
    found["knowledge"] = len(persons.mentioned(workspace, leads, _numbers(workspace, phone)))
    return found


def _numbers(workspace: Workspace, phone: str) -> list[str]:
    return [phones.normalize(phone, region=workspace.default_region)] if phone else []


def _told(calls: Sequence[Call]) -> dict[str, Any]:
    ids = [call.pk for call in calls]
    found: dict[str, Any] = {"calls": list(Call.objects.filter(pk__in=ids).order_by("created_at").values())}
    for kind, model in _OF_CALLS.items():
        found[kind] = list(model.objects.filter(call_id__in=ids).values())
    return found


_OF_CALLS: dict[str, Any] = {
    "turns": Turn,
    "tool_calls": ToolCall,
    "journal": CallEvent,
    "verdicts": Verdict,
    "corrections": VerdictCorrection,
    "recordings": Recording,
    "decisions": Decision,
}
