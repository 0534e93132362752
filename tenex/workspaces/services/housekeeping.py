"""Forgetting what has served its time."""

from datetime import timedelta

from django.utils import timezone

from tenex.workspaces.models import IdempotentRequest

ANSWERS_KEPT = timedelta(hours=72)


def forget_answers() -> int:
    """Delete answers to requests with an Idempotency-Key after 72 hours; returns how many."""
    old = IdempotentRequest.objects.filter(created_at__lt=timezone.now() - ANSWERS_KEPT)
    return old.delete()[0]
