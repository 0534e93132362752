"""Celery doors of the platform."""

from typing import Any

from celery import shared_task

from tenex.workspaces.services import housekeeping

SCHEDULE: dict[str, dict[str, Any]] = {
    "workspaces-housekeeping": {"task": "tenex.workspaces.housekeeping", "schedule": 3600.0},
}


@shared_task(name="tenex.workspaces.housekeeping")
def housekeep() -> None:
    housekeeping.forget_answers()
