"""Questions that a call could not answer: kept for the lead's people, and looked up again after the call."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog
from django.db import DatabaseError, transaction
from django.utils import timezone

from crm.models import FollowUp, FollowUpStatus, Lead
from crm.selectors import retrieval
from crm.services import follow_ups
from tenex.lib import backoff, storable
from tenex.lib.wake import wake

log = structlog.get_logger(__name__)

KIND: Final = "question_unanswered"
MAX_QUESTIONS: Final = 10
_PASSAGES: Final = 3
_PASSAGE_CHARS: Final = 800
_WITHIN_S: Final = 10.0
"""Nobody is on the line any more."""
_TRIES: Final = 12
_LEASE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Question:
    """`because`: `unavailable` (knowledge could not be searched) or `not_found`."""

    text: str
    because: str


def keep(lead: Lead, call_id: uuid.UUID, questions: Sequence[Question]) -> FollowUp:
    """One follow-up a call with all that it left open, to be looked up at once. Keeping again changes it."""
    kept = [
        {"question": storable.text(one.text)[:400], "because": one.because, "passages": None}
        for one in questions[:MAX_QUESTIONS]
    ]
    with transaction.atomic():
        row = follow_ups.schedule(
            lead,
            due_at=None,
            note=" / ".join(one["question"] or "" for one in kept),
            kind=KIND,
            call_id=call_id,
        )
        if [one["question"] for one in row.data.get("questions", [])] != [one["question"] for one in kept]:
            row.data, row.answer_at = {"questions": kept, "tries": 0}, timezone.now()
            row.save(update_fields=["data", "answer_at"])
            wake("crm.knowledge.answer", str(row.pk))
    return row


def due(limit: int = 20) -> list[uuid.UUID]:
    """Follow-ups whose questions are to be looked up."""
    waiting = FollowUp.objects.filter(answer_at__lte=timezone.now())
    return list(waiting.order_by("answer_at").values_list("pk", flat=True)[:limit])


def answer(follow_up_id: uuid.UUID) -> bool:
    """Look its questions up and put what is found with them; whether that is done now."""
    now = timezone.now()
    waiting = FollowUp.objects.filter(pk=follow_up_id, answer_at__lte=now)
    if not waiting.update(answer_at=now + _LEASE):
        return False
    row = FollowUp.objects.get(pk=follow_up_id)
    if row.status != FollowUpStatus.OPEN:
        FollowUp.objects.filter(pk=row.pk).update(answer_at=None)
        return True
    tries = int(row.data.get("tries", 0)) + 1
    try:
        questions = [
            {**one, "passages": _passages(row.workspace_id, str(one["question"]))}
            for one in row.data.get("questions", [])
        ]
    except DatabaseError as exc:
        log.warning("question not answered yet", follow_up_id=str(row.pk), error=type(exc).__name__)
        wait_s = backoff.delay_s(tries, first_s=30.0, longest_s=3600.0)
        again = now + timedelta(seconds=wait_s) if tries < _TRIES else None
        FollowUp.objects.filter(pk=row.pk).update(data={**row.data, "tries": tries}, answer_at=again)
        return False
    FollowUp.objects.filter(pk=row.pk).update(data={"questions": questions, "tries": tries}, answer_at=None)
    return True


def _passages(workspace_id: uuid.UUID, question: str) -> list[dict[str, Any]]:
    result = retrieval.search(workspace_id, question, _PASSAGES, within_s=_WITHIN_S)
    return [
        {
            "document_id": str(one.document_id),
            "chunk_id": str(one.chunk_id),
            "document": one.document,
            "heading": one.heading,
            "page": one.page,
            "text": one.text[:_PASSAGE_CHARS],
        }
        for one in result.found
    ]
