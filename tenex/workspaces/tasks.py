"""Celery doors of the platform."""

from celery import shared_task

from tenex.workspaces.services import housekeeping, key_uses


@shared_task(name="tenex.workspaces.housekeeping")
def housekeep() -> None:
    housekeeping.forget_answers()


@shared_task(name="tenex.workspaces.note_key_uses")
def note_key_uses() -> None:
    key_uses.carry_over()
