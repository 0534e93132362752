"""Forgetting what has served its time."""

from datetime import timedelta

from django.utils import timezone

from tenex.lib import limits
from tenex.workspaces.models import IdempotentRequest

ANSWERS_KEPT = timedelta(hours=limits.ANSWERS_KEPT_H)


def forget_answers() -> int:
    """Delete answers to requests with an Idempotency-Key after limits.ANSWERS_KEPT_H; returns how many."""
    old = IdempotentRequest.objects.filter(created_at__lt=timezone.now() - ANSWERS_KEPT)
    return old.delete()[0]
