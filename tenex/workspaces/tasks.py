"""Celery doors of the platform."""

from typing import Any

from celery import shared_task

from tenex.workspaces.services import housekeeping, key_uses

SCHEDULE: dict[str, dict[str, Any]] = {
    "workspaces-housekeeping": {"task": "tenex.workspaces.housekeeping", "schedule": 3600.0},
    "workspaces-key-uses": {
        "task": "tenex.workspaces.note_key_uses",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
}


@shared_task(name="tenex.workspaces.housekeeping")
def housekeep() -> None:
    housekeeping.forget_answers()


@shared_task(name="tenex.workspaces.note_key_uses")
def note_key_uses() -> None:
    key_uses.carry_over()
