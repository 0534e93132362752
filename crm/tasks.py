"""Celery doors of the CRM: they carry an id, may run any number of times, and hold no rule."""

from contextlib import suppress
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from crm.models import Meeting
from crm.services import (
    corpora,
    import_run,
    imports,
    knowledge_ingest,
    meeting_mails,
    meeting_sync,
    questions,
    slot_holds,
)
from tenex.lib.wake import wake


@shared_task(name="crm.imports.run")
def run(import_id: str) -> None:
    """One slice of an import; the next one queues up behind whatever else there is."""
    if import_run.run(UUID(import_id)):
        wake("crm.imports.run", import_id)


@shared_task(name="crm.imports.sweep")
def sweep() -> None:
    """Whatever a lost wake-up or a dead worker left behind."""
    for import_id in imports.due():
        wake("crm.imports.run", str(import_id))


@shared_task(name="crm.imports.forget")
def forget() -> None:
    imports.forget()


@shared_task(name="crm.knowledge.ingest")
def ingest(version_id: str) -> None:
    """One slice of a document; whoever ends with one wakes the next."""
    match knowledge_ingest.run(UUID(version_id)):
        case "more":
            wake("crm.knowledge.ingest", version_id)
        case "done":
            for next_id in knowledge_ingest.due(1):
                wake("crm.knowledge.ingest", str(next_id))


@shared_task(name="crm.knowledge.corpus")
def corpus(workspace_id: str) -> None:
    """One slice of counting and embedding what a workspace has."""
    if corpora.run(UUID(workspace_id)):
        wake("crm.knowledge.corpus", workspace_id)


@shared_task(name="crm.knowledge.answer")
def answer(follow_up_id: str) -> None:
    """Look a question up again that a call could not answer."""
    questions.answer(UUID(follow_up_id))


@shared_task(name="crm.knowledge.sweep")
def sweep_knowledge() -> None:
    """Whatever a lost wake-up or a dead worker left behind; vectors after a change of the model."""
    for version_id in knowledge_ingest.due(knowledge_ingest.AT_ONCE):
        wake("crm.knowledge.ingest", str(version_id))
    for workspace_id in corpora.due(2):
        wake("crm.knowledge.corpus", str(workspace_id))
    for follow_up_id in questions.due(20):
        wake("crm.knowledge.answer", str(follow_up_id))


@shared_task(name="crm.knowledge.tidy")
def tidy() -> None:
    knowledge_ingest.tidy()


@shared_task(name="crm.calendars.settle")
def settle_meeting(meeting_id: str) -> None:
    """Tell the calendar elsewhere what a meeting is, if it has to be told."""
    with suppress(Meeting.DoesNotExist):
        meeting_sync.settle(UUID(meeting_id), late=True)


@shared_task(name="crm.calendars.sweep")
def sweep_calendars() -> None:
    meeting_sync.sweep()
    slot_holds.forget(timezone.now())


@shared_task(name="crm.calendars.mails")
def send_mails() -> None:
    meeting_mails.send_due()
