"""Celery doors of the CRM: they carry an id, may run any number of times, and hold no rule."""

from contextlib import suppress
from typing import Any
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from crm.models import Meeting
from crm.services import import_run, imports, meeting_mails, meeting_sync, slot_holds
from tenex.lib.wake import wake

SCHEDULE: dict[str, dict[str, Any]] = {
    "crm.imports.sweep": {"task": "crm.imports.sweep", "schedule": 5.0, "options": {"expires": 10.0}},
    "crm.imports.forget": {"task": "crm.imports.forget", "schedule": 3600.0},
    "crm.calendars.sweep": {"task": "crm.calendars.sweep", "schedule": 5.0, "options": {"expires": 10.0}},
    "crm.calendars.mails": {"task": "crm.calendars.mails", "schedule": 15.0, "options": {"expires": 30.0}},
}


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
