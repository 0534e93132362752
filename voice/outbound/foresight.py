"""What would happen to the leads of a batch, were it started: the dialer's own decision, for all of them.

Asked are the facts that the dialer asks for and the function that it asks; only pace, free lines and what
the instant of the dial alone can tell are left out. Leads are read by portions: memory does not grow.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from django.db import transaction

from crm.models import Lead, Segment
from crm.selectors import segments
from voice.models import (
    Agent,
    AgentVersion,
    Batch,
    DecisionStage,
    Recipient,
    RecipientStatus,
)
from voice.outbound import facts, forecast
from voice.outbound.contactability import Allow, Facts, Refuse, decide
from voice.outbound.facts import Person
from voice.outbound.forecast import Forecast
from voice.services import decisions
from voice.services.decisions import About, Decided

PORTION = 2000
SHOWN = 50
"""Leads that are not called, in the preview itself; all are in its list."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """One lead: called at `at`, or never (None) for the reason `code`; a code and an hour is a wait."""

    position: int
    lead_id: UUID
    lead_name: str
    at: datetime | None
    code: str = ""
    detail: str = ""


@dataclass(slots=True)
class Reason:
    """`final`: these leads are not called. Otherwise they wait."""

    code: str
    detail: str
    final: bool
    count: int = 0


@dataclass(slots=True)
class Preview:
    """`hours` counts the leads that can be called from each hour on; those of now are in the first."""

    at: datetime
    total: int = 0
    call_now: int = 0
    wait: int = 0
    refused: int = 0
    reasons: dict[str, Reason] = field(default_factory=dict)
    hours: Counter[datetime] = field(default_factory=Counter)
    not_called: list[Prospect] = field(default_factory=list)
    expected: Forecast = field(default_factory=Forecast)

    def count(self, one: Prospect) -> None:
        """Take one lead in."""
        self.total += 1
        if one.at is None:
            self.refused += 1
            if len(self.not_called) < SHOWN:
                self.not_called.append(one)
        else:
            self.call_now, self.wait = (
                (self.call_now, self.wait + 1) if one.code else (self.call_now + 1, self.wait)
            )
            self.hours[one.at.replace(minute=0, second=0, microsecond=0)] += 1
        if one.code:
            reason = self.reasons.setdefault(one.code, Reason(one.code, one.detail, one.at is None))
            reason.count += 1


def preview(batch: Batch, at: datetime) -> Preview:
    """What becomes of everybody in `batch` who still waits, or who is refused already, from `at` on.

    The decisions are kept as rows, in the place of those of the batch's former preview.
    """
    found = Preview(at)
    with transaction.atomic():
        decisions.forget_previews(batch.pk)
        for one in prospects(batch, at, keep=True):
            found.count(one)
    return _with_forecast(found, batch)


def preview_of(batch: Batch, leads: Sequence[Lead], at: datetime) -> Preview:
    """The same for a batch that is not saved, and its leads."""
    found = Preview(at)
    for one in of_leads(batch, leads, at):
        found.count(one)
    return _with_forecast(found, batch)


def preview_of_segment(batch: Batch, segment: Segment, at: datetime) -> Preview:
    """The same for a batch that would be made of a segment."""
    found = Preview(at)
    last: UUID | None = None
    while ids := segments.lead_ids(batch.workspace_id, segment.pk, after=last, limit=PORTION):
        leads = Lead.objects.defer("notes", "custom", "search").in_bulk(ids)
        for one in of_leads(batch, [leads[pk] for pk in ids if pk in leads], at):
            found.count(one)
        last = ids[-1]
    return _with_forecast(found, batch)


def begins(batch: Batch, now: datetime) -> datetime:
    """The instant that a preview is about: now, or when the batch is to start."""
    return max(now, batch.starts_at) if batch.starts_at else now


def prospects(batch: Batch, at: datetime, *, after: int = -1, keep: bool = False) -> Iterator[Prospect]:
    """Recipients who wait or are refused, in order, from the one above position `after` on.

    `keep`: what is decided of each is written down.
    """
    wanted = (RecipientStatus.PENDING, RecipientStatus.REFUSED)
    rows = (
        Recipient.objects.filter(batch=batch, status__in=wanted)
        .order_by("position")
        .values_list(*_MEMBER, *(f"lead__{name}" for name in (*_NAME, *Person._fields)))
    )
    own, named = len(_MEMBER), len(_MEMBER) + len(_NAME)
    while True:
        portion = [
            _Member._make((*row[:own], " ".join(row[own:named]).strip(), Person._make(row[named:])))
            for row in rows.filter(position__gt=after)[:PORTION]
        ]
        pending = {one.person.pk: one for one in portion if one.status == RecipientStatus.PENDING}
        judged = _judge(batch, [one.person for one in pending.values()], at)
        if keep:
            _keep(batch, pending, judged, at)
        for one in portion:
            answer = judged[one.person.pk][1] if one.status == RecipientStatus.PENDING else None
            yield _prospect(one, answer, at)
        if len(portion) < PORTION:
            return
        after = portion[-1].position


def of_leads(batch: Batch, leads: Sequence[Lead], at: datetime) -> Iterator[Prospect]:
    """The same for leads that are in no batch yet."""
    for first in range(0, len(leads), PORTION):
        portion = leads[first : first + PORTION]
        judged = _judge(batch, portion, at)
        for position, lead in enumerate(portion, first + 1):
            one = _Member(lead.pk, position, RecipientStatus.PENDING, None, "", "", lead.name, lead)
            yield _prospect(one, judged[lead.pk][1], at)


class _Member(NamedTuple):
    """Somebody of a batch, or who is to be: light, since thousands are looked at."""

    pk: UUID
    """Of the recipient."""
    position: int
    status: str
    next_at: datetime | None
    refusal_code: str
    refusal_detail: str
    name: str
    person: Person | Lead


_NAME: Final = ("first_name", "last_name")
_MEMBER: Final = _Member._fields[:6]


def _prospect(one: _Member, answer: Allow | Refuse | None, at: datetime) -> Prospect:
    when: datetime | None = max(at, one.next_at) if one.next_at else at
    code = "retry" if one.next_at and one.next_at > at else ""
    detail = "Its next try is set for later." if code else ""
    if one.status == RecipientStatus.REFUSED:
        when, code, detail = None, one.refusal_code, one.refusal_detail
    elif isinstance(answer, Refuse):
        code, detail = answer.code, answer.detail
        when = None if answer.until is None or when is None else max(when, answer.until)
    return Prospect(one.position, one.person.pk, one.name, when, code, detail)


def _with_forecast(found: Preview, batch: Batch) -> Preview:
    found.expected = forecast.of(batch, found.hours, found.at)
    return found


def _judge(
    batch: Batch, leads: Sequence[Lead | Person], at: datetime
) -> dict[UUID, tuple[Facts, Allow | Refuse]]:
    """What the dialer would say of each lead at `at`, and what of; by the lead's id."""
    found = facts.of_many(batch.workspace, leads, batch.number, _version(batch), batch)
    return {lead_id: (one, decide(one, at)) for lead_id, one in found.items()}


def _keep(
    batch: Batch,
    rows: Mapping[UUID, _Member],
    judged: Mapping[UUID, tuple[Facts, Allow | Refuse]],
    at: datetime,
) -> None:
    decided = (
        Decided(About(batch.workspace_id, lead_id, batch.pk, rows[lead_id].pk), known, answer, at)
        for lead_id, (known, answer) in judged.items()
    )
    decisions.record_many(DecisionStage.PREVIEW, decided)


def _version(batch: Batch) -> AgentVersion | None:
    agent: Agent = batch.agent
    return batch.agent_version or agent.current_version
