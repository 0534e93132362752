"""What the page of one call shows beyond the call itself."""

import uuid
from dataclasses import dataclass

from django.db.models import Prefetch, QuerySet

from tenex.errors import NotFound, existing
from tenex.events.models import Event
from tenex.webhooks.models import Delivery
from tenex.workspaces.models import AuditEntry, Workspace
from voice.models import (
    Call,
    CallEvent,
    CallShare,
    Decision,
    Recording,
    RecordingStatus,
    VerdictCorrection,
    VoiceSession,
    Waveform,
)
from voice.selectors import calls


def one(workspace: Workspace, call_id: uuid.UUID) -> Call:
    """The call with everything that its page names.

    Raises:
        NotFound: none such in this workspace.
    """
    rows = calls.all_of(workspace).select_related(
        "workspace", "lead__company", "agent_version__agent", "batch", "number"
    )
    return existing(
        rows.prefetch_related(Prefetch("sessions", VoiceSession.objects.order_by("number")))
        .filter(pk=call_id)
        .first()
    )


@dataclass(frozen=True, slots=True)
class Sound:
    """What there is to hear. `state`: `stored`, `pending`, `absent`, `failed`, `deleted`, `none`."""

    state: str
    recording: Recording | None = None
    waveform: Waveform | None = None


def sound(call: Call) -> Sound:
    """The recording that plays, or why there is none. The peaks themselves are read by :func:`waveform`."""
    rows = list(
        Recording.objects.filter(call=call)
        .select_related("waveform")
        .defer("waveform__peaks")
        .order_by("created_at")
    )
    for row in rows:
        row.call = call
        if row.status in (RecordingStatus.STORED, RecordingStatus.PENDING) and not calls.is_past(row):
            return Sound(row.status, row, getattr(row, "waveform", None))
    if any(row.status == RecordingStatus.DELETED or calls.is_past(row) for row in rows):
        return Sound("deleted", rows[-1])
    return Sound(rows[-1].status, rows[-1]) if rows else Sound("none")


def waveform(workspace: Workspace, call_id: uuid.UUID) -> Waveform | None:
    """The levels of the call's recording; None if they are not made yet.

    Raises:
        NotFound, Gone: as :func:`calls.recording`; also while the recording is being fetched.
    """
    recording = stored(workspace, call_id)
    return Waveform.objects.filter(recording=recording).first()


def stored(workspace: Workspace, call_id: uuid.UUID) -> Recording:
    """The recording, if it can be played.

    Raises:
        NotFound: no such call, or no recording (yet). Gone: it was deleted.
    """
    recording = calls.recording(workspace, call_id)
    if recording.status != RecordingStatus.STORED:
        raise NotFound("the recording is not here yet", code="no_recording")
    return recording


def corrections(call: Call) -> list[VerdictCorrection]:
    """Oldest first: the first one's `before` is what the model said."""
    return list(VerdictCorrection.objects.filter(call=call).order_by("number"))


def shares(call: Call) -> QuerySet[CallShare]:
    """The newest first, void ones too."""
    return CallShare.objects.filter(call=call)


def share(workspace: Workspace, call_id: uuid.UUID, share_id: uuid.UUID) -> CallShare:
    """Raises:
    NotFound: no such link of this call in this workspace.
    """
    return existing(CallShare.objects.filter(workspace=workspace, call_id=call_id, pk=share_id).first())


def decisions(call: Call) -> list[Decision]:
    """Why it was placed: what was decided about this call, and about its recipient before it."""
    rows = Decision.objects.filter(workspace_id=call.workspace_id)
    if call.recipient_id is None:
        return list(rows.filter(call=call).order_by("created_at", "id")[:20])
    mine = rows.filter(call=call)
    of_recipient = rows.filter(recipient_id=call.recipient_id, call=None, created_at__lte=call.created_at)
    found = {one.pk: one for one in [*mine[:20], *of_recipient[:10]]}
    return sorted(found.values(), key=lambda one: (one.created_at, one.pk))


def history(call: Call) -> list[AuditEntry]:
    """What people did with this call and its recordings, oldest first."""
    ids = [str(call.pk), *map(str, Recording.objects.filter(call=call).values_list("pk", flat=True))]
    rows = AuditEntry.objects.filter(
        workspace_id=call.workspace_id, object_type__in=("call", "recording"), object_id__in=ids
    )
    return list(rows.order_by("created_at", "id")[:200])


def deliveries(call: Call) -> list[Delivery]:
    """Webhooks that told of this call, oldest first."""
    events = Event.objects.filter(workspace_id=call.workspace_id, call_id=call.pk).values("pk")
    rows = Delivery.objects.filter(workspace_id=call.workspace_id, event__in=events)
    return list(
        rows.select_related("event", "subscription")
        .defer("body", "event__data")
        .order_by("event__seq", "id")[:100]
    )


def earlier(call: Call, *, at_most: int = 5) -> list[Call]:
    """Other calls with the same lead, the newest first."""
    if call.lead_id is None:
        return []
    rows = Call.objects.filter(workspace_id=call.workspace_id, lead_id=call.lead_id).exclude(pk=call.pk)
    return list(
        rows.only("direction", "status", "outcome", "created_at", "duration_ms").order_by(
            "-created_at", "-id"
        )[:at_most]
    )


def journal(call: Call) -> QuerySet[CallEvent]:
    return CallEvent.objects.filter(call=call).order_by("seq")


def answer_latency(call: Call) -> dict[str, int]:
    """item id of the agent's turn -> milliseconds from the end of the caller's speech to its first sound."""
    lines = CallEvent.objects.filter(call=call, type="turn.latency")
    pairs = lines.values_list("data__item_id", "data__ms")
    return {str(item): int(ms) for item, ms in pairs if item and isinstance(ms, int | float)}
