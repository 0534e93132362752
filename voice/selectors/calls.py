"""Reads about calls. The workspace comes first, so that a read without one cannot be written."""

import re
import uuid
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from tenex.errors import Gone, NotFound, existing
from tenex.workspaces.models import Workspace
from voice.models import (
    Call,
    CallEvent,
    Recording,
    RecordingStatus,
    ToolCall,
    Turn,
    VoiceSession,
)
from voice.models.calls import LIVE

_KEPT = (RecordingStatus.PENDING, RecordingStatus.STORED)


def all_of(workspace: Workspace) -> QuerySet[Call]:
    """Calls with what a page of one shows of them."""
    return Call.objects.filter(workspace=workspace).select_related("agent_version", "lead", "verdict")


def listed(workspace: Workspace) -> QuerySet[Call]:
    """Calls with what a list shows of them: prompts, criteria and quotes stay where they are."""
    return all_of(workspace).only(
        *_OF_CALL,
        "agent_version__number",
        "agent_version__agent",
        "lead__first_name",
        "lead__last_name",
        "verdict__call",
        "verdict__qualification",
    )


def shown(workspace: Workspace) -> QuerySet[Call]:
    """Calls with what the operators' list shows of them; `recorded`: there is something to listen to."""
    stored = Recording.objects.filter(call=OuterRef("pk"), status=RecordingStatus.STORED)
    kept = stored.exclude(purge_after__lte=Now())
    rows = all_of(workspace).select_related("lead__company", "agent", "batch", "number")
    return rows.only(
        *_OF_CALL,
        "agent_version__number",
        "agent__name",
        "batch__name",
        "number__e164",
        "number__label",
        "lead__first_name",
        "lead__last_name",
        "lead__company__name",
        "verdict__call",
        "verdict__qualification",
        "verdict__confidence",
        "verdict__summary",
        "verdict__needs_review",
        "verdict__corrected_at",
    ).annotate(recorded=Exists(kept))


def live(workspace: Workspace, *, at_most: int = 100) -> QuerySet[Call]:
    """Calls that are not over, the newest first."""
    return listed(workspace).filter(status__in=LIVE).order_by("-created_at", "-id")[:at_most]


_UNLISTED = {"variables", "recipient", "calendar", "sweep_at", "lease_owner", "lease_until", "journal_seq"}
_OF_CALL = [field.name for field in Call._meta.concrete_fields if field.name not in _UNLISTED]


_NUMBER = re.compile(r"[+\d\s().\-/]*\d[+\d\s().\-/]*")


def matching(rows: QuerySet[Call], q: str) -> list[QuerySet[Call]]:
    """Those of `rows` whose phone numbers, or whose lead's name, e-mail or company, contain `q`: a union for
    `page`.

    One condition over the call and its lead could use no index; of the two, each has its own. What is typed
    as a phone number is looked for in numbers only, by its digits. One or two characters have no trigram:
    they are looked for where numbers end and words begin.
    """
    if is_number := _NUMBER.fullmatch(q):
        q = re.sub(r"\D", "", q)
    where = "endswith" if len(q) < 3 else "contains"
    of_number = rows.filter(Q(**{f"from_number__{where}": q}) | Q(**{f"to_number__{where}": q}))
    if is_number:
        return [of_number]
    of_lead = Q(lead__isnull=False)
    for word in q.lower().split():
        if len(q) < 3:
            of_lead &= Q(lead__search__startswith=word) | Q(lead__search__contains=f" {word}")
        else:
            of_lead &= Q(lead__search__contains=word)
    return [of_number, rows.filter(of_lead)]


def one(workspace: Workspace, call_id: uuid.UUID) -> Call:
    """A call with what its own page shows.

    Raises:
        NotFound: none such in this workspace.
    """
    return existing(
        all_of(workspace)
        .prefetch_related(Prefetch("sessions", VoiceSession.objects.order_by("number")), "recordings")
        .filter(pk=call_id)
        .first()
    )


def bare(workspace: Workspace, call_id: uuid.UUID) -> Call:
    """Only the row.

    Raises:
        NotFound: none such in this workspace.
    """
    return existing(Call.objects.filter(workspace=workspace, pk=call_id).first())


def conversation(call: Call) -> list[Turn | ToolCall]:
    """What was said and done, in order: turns as the model ordered them, tool calls where they fell."""
    tools = list(ToolCall.objects.filter(call=call).order_by("at_ms", "id"))
    told: list[Turn | ToolCall] = []
    for turn in Turn.objects.filter(call=call).order_by("position"):
        while tools and tools[0].at_ms <= turn.start_ms:
            told.append(tools.pop(0))
        told.append(turn)
    return [*told, *tools]


def recording(workspace: Workspace, call_id: uuid.UUID) -> Recording:
    """The recording of a call.

    Raises:
        NotFound: no such call, or it has none.
        Gone: it was deleted, by hand or after its retention.
    """
    call = bare(workspace, call_id)
    rows = list(Recording.objects.filter(call=call).order_by("created_at"))
    for row in rows:
        if row.status in _KEPT and not is_past(row):
            return row
    if any(row.status == RecordingStatus.DELETED or is_past(row) for row in rows):
        raise Gone("the recording was deleted or its retention is over", code="recording_expired")
    raise NotFound("this call has no recording", code="no_recording")


def is_past(recording: Recording) -> bool:
    """Its retention is over: nobody may hear it any more, deleted yet or not."""
    return recording.purge_after is not None and recording.purge_after <= timezone.now()


@dataclass(frozen=True, slots=True)
class Position:
    """How far the journal of a call is, and how far the call."""

    journal_seq: int
    status: str


def positions(call_ids: set[uuid.UUID]) -> dict[uuid.UUID, Position]:
    """For the streams of one process: all calls that somebody watches, in one query."""
    rows = Call.objects.filter(pk__in=call_ids).values_list("pk", "journal_seq", "status")
    return {pk: Position(seq, status) for pk, seq, status in rows}


def position(call_id: uuid.UUID) -> Position | None:
    """How far one call is; None if it is gone."""
    return positions({call_id}).get(call_id)


def journal_after(call_id: uuid.UUID, seq: int, limit: int) -> list[CallEvent]:
    """The next lines of a call's journal."""
    return list(CallEvent.objects.filter(call_id=call_id, seq__gt=seq).order_by("seq")[:limit])
