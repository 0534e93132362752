"""Celery doors of the CRM: they carry an id, may run any number of times, and hold no rule."""

from typing import Any
from uuid import UUID

from celery import shared_task

from crm.services import import_run, imports
from tenex.lib.wake import wake

SCHEDULE: dict[str, dict[str, Any]] = {
    "crm.imports.sweep": {"task": "crm.imports.sweep", "schedule": 5.0, "options": {"expires": 10.0}},
    "crm.imports.forget": {"task": "crm.imports.forget", "schedule": 3600.0},
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
