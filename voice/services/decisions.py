"""Writing down decisions: many at once, and right before a dial without repeating oneself."""

import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db import connection, transaction
from django.utils import timezone

from tenex.lib.ids import uuid7
from tenex.monitoring import counts
from voice.models import Decision, DecisionStage
from voice.outbound import explain
from voice.outbound.contactability import PASSING, Allow, Facts, Refuse

_COLUMNS = (
    "id", "created_at", "workspace_id", "lead_id", "batch_id", "recipient_id", "call_id", "stage", "allowed",
    "code", "detail", "until", "inputs", "at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class About:
    """Whom a decision is about."""

    workspace_id: uuid.UUID
    lead_id: uuid.UUID | None = None
    batch_id: uuid.UUID | None = None
    recipient_id: uuid.UUID | None = None
    call_id: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision to be written."""

    about: About
    facts: Facts
    answer: Allow | Refuse
    at: datetime


def record_many(stage: DecisionStage, decided: Iterable[Decided]) -> int:
    """Write them in the caller's transaction, however many, in constant memory; how many."""
    codes: Counter[str] = Counter()
    now = timezone.now()
    with connection.cursor() as cursor, cursor.copy(_copy_statement()) as copy:
        for one in decided:
            copy.write_row(_row(stage, one, now))
            codes[one.answer.code if isinstance(one.answer, Refuse) else "allowed"] += 1
    transaction.on_commit(lambda: _count(stage, codes), robust=True)
    return codes.total()


def record_dial(one: Decided) -> bool:
    """Write a decision of the instant of dialing, unless it repeats the last one; whether it did.

    A line that is busy refuses every few seconds: that is one row. The caller holds the recipient or the
    call.
    """
    if isinstance(one.answer, Refuse) and _said_already(one.about, one.answer):
        return False
    record_many(DecisionStage.DIAL, [one])
    return True


def forget_previews(batch_id: uuid.UUID) -> int:
    """Take the rows of a batch's former previews away: only the last one tells anything."""
    return Decision.objects.filter(batch=batch_id, stage=DecisionStage.PREVIEW)._raw_delete(connection.alias)


def _count(stage: DecisionStage, codes: Counter[str]) -> None:
    """For monitoring. Codes are a closed list of ours (voice.outbound.contactability)."""
    for code, number in codes.items():
        counts.DECISIONS.labels(stage, code).inc(number)


def _said_already(about: About, answer: Refuse) -> bool:
    of = {"recipient": about.recipient_id} if about.recipient_id else {"call": about.call_id}
    last = (
        Decision.objects.filter(**of, stage=DecisionStage.DIAL)
        .order_by("-created_at", "-id")
        .values_list("code", "until")
        .first()
    )
    if last is None or last[0] != answer.code:
        return False
    return answer.code in PASSING or last[1] == answer.until


def _row(stage: DecisionStage, one: Decided, now: datetime) -> tuple[Any, ...]:
    about, answer = one.about, one.answer
    refusal = answer if isinstance(answer, Refuse) else None
    return (
        uuid7(), now, about.workspace_id, about.lead_id, about.batch_id, about.recipient_id, about.call_id,
        str(stage), refusal is None, refusal.code if refusal else "",
        refusal.detail[:200] if refusal else "",
        refusal.until if refusal else None, orjson.dumps(explain.inputs(one.facts, one.at)).decode(), one.at,
    )  # fmt: skip


def _copy_statement() -> str:
    columns = ", ".join(f'"{name}"' for name in _COLUMNS)
    return f"COPY {connection.ops.quote_name(Decision._meta.db_table)} ({columns}) FROM STDIN"
