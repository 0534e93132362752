"""What a call says of its own accord: composed of its rows, rendered before it is dialed.

An incoming one says something only where it must ask whether it may be recorded; a notice is the carrier's to
speak, before the agent comes on.
"""

import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import cast

import structlog
from django.db.models import Q

from tenex.workspaces.models import RecordingConsent
from tenex.workspaces.services import vault
from voice.models import (
    AgentVersion,
    Batch,
    BatchStatus,
    Call,
    CallEvent,
    CallStatus,
    Direction,
    NumberStatus,
    PhoneNumber,
)
from voice.models.batches import VoicemailPolicy
from voice.opening import sound
from voice.opening.wording import FALLBACK, Purpose, Recording, Wish, Wording, compose
from voice.services import consent, model_access
from voice.session.script import Line, Script
from voice.wire.model_access import ModelAccess

log = structlog.get_logger(__name__)

_QUEUED_LOOKED_AT = 20
_NUMBERS_LOOKED_AT = 500
_LOOK_AGAIN_S = 30.0
"""So long nobody looks into the storage again for lines that were there."""
_READY_KEPT = 1000
_ready: dict[object, float] = {}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call's lines for the machine, and their sounds (base64 µ-law) for the phone."""

    script: Script
    sounds: dict[str, str] = field(default_factory=dict)


def wish_of(call: Call, recording: RecordingConsent | None = None) -> Wish:
    """What this call must say. Reads workspace, batch, lead and the version's profile of it.

    `recording`: as if that were what holds for it.
    """
    workspace, batch, version = call.workspace, call.batch, call.agent_version
    leaves_message = batch is not None and batch.voicemail_policy == VoicemailPolicy.LEAVE_MESSAGE
    return Wish(
        caller=workspace.legal_name or workspace.name,
        language=version.agent.profile.language if version else "",
        purpose=cast(Purpose, str(batch.purpose if batch else workspace.default_purpose)),
        recording=cast(Recording, str(recording or consent.of_call(call))),
        voicemail=batch.voicemail_message if batch is not None and leaves_message else None,
        inbound=call.direction == Direction.INBOUND,
    )


def prepare(attempt_id: uuid.UUID) -> None:
    """Make the lines of the call that this attempt is about to dial, so that whoever answers hears them."""
    call = (
        Call.objects.select_related("workspace", "batch", "lead", "agent_version__agent__profile")
        .filter(attempts=attempt_id, direction=Direction.OUTBOUND)
        .first()
    )
    if call is not None:
        _sounds(call, wish_of(call), best=True)


def make_ready(workspace_ids: Iterable[uuid.UUID]) -> None:
    """Make the lines of whatever these workspaces may dial next, before anything of it is claimed.

    A claim has seconds; the first rendering may take as long. What was made before costs a look.
    """
    ids = list(workspace_ids)
    queued = Call.objects.filter(
        workspace_id__in=ids, status=CallStatus.QUEUED, direction=Direction.OUTBOUND, batch=None
    ).select_related("workspace", "agent_version__agent__profile")
    for call in [*_first_calls(ids), *queued.order_by("created_at")[:_QUEUED_LOOKED_AT]]:
        for recording in consent.possible(call.workspace):
            _make_ready(call, recording)


def make_inbound_ready() -> None:
    """Make the lines of whoever may call numbers of workspaces that ask before they record."""
    asking = Q(workspace__recording_consent=RecordingConsent.EXPLICIT)
    asking |= ~Q(workspace__recording_consent_places={})
    numbers = (
        PhoneNumber.objects.filter(asking, status=NumberStatus.ACTIVE, agent__archived_at=None)
        .select_related("workspace", "agent__current_version__agent__profile")
        .order_by("pk")
    )
    for number in numbers[:_NUMBERS_LOOKED_AT]:
        if RecordingConsent.EXPLICIT in consent.possible(number.workspace) and number.agent:
            call = Call(
                workspace=number.workspace,
                agent_version=number.agent.current_version,
                direction=Direction.INBOUND,
            )
            _make_ready(call, RecordingConsent.EXPLICIT)


def _make_ready(call: Call, recording: RecordingConsent) -> None:
    profile = call.agent_version.agent.profile if call.agent_version else None
    wish = wish_of(call, recording)
    lines = (wish, profile and profile.voice, profile and profile.speed)
    if _ready.get(lines, -_LOOK_AGAIN_S) + _LOOK_AGAIN_S > time.monotonic():
        return
    try:
        _sounds(call, wish, best=True)
    except sound.NoVoice:
        log.error("no voice for the opening", workspace_id=str(call.workspace_id))
    if len(_ready) >= _READY_KEPT:
        _ready.clear()
    _ready[lines] = time.monotonic()


def _first_calls(workspace_ids: list[uuid.UUID]) -> Iterator[Call]:
    """A call of each version that a running batch dials with, as it will be; not saved."""
    running = (
        Batch.objects.filter(workspace_id__in=workspace_ids, status=BatchStatus.RUNNING)
        .select_related(
            "workspace", "agent_version__agent__profile", "agent__current_version__agent__profile"
        )
        .prefetch_related("versions__agent_version__agent__profile")
    )
    for batch in running:
        weighted: list[AgentVersion | None] = [one.agent_version for one in batch.versions.all()]
        for version in weighted or [batch.agent_version or batch.agent.current_version]:
            yield Call(
                workspace=batch.workspace, batch=batch, agent_version=version, direction=Direction.OUTBOUND
            )


def load(call: Call) -> Prepared | None:
    """The lines of this call; None if it is not ours to open.

    Raises:
        NoVoice: not even the English ones of an outbound call could be had. An incoming one goes on without:
            nobody is asked, so it is not recorded.
    """
    wish = wish_of(call)
    if wish.inbound and wish.recording != "explicit":
        return None
    try:
        wording, sounds = _sounds(call, wish)
    except sound.NoVoice:
        if not wish.inbound:
            raise
        log.error("no voice for the opening", workspace_id=str(call.workspace_id))
        return None
    lines = {name: Line(name, text, sound.ms(sounds[name])) for name, text in wording.all.items()}
    opened = CallEvent.objects.filter(call=call, type="call.opening").exists()
    script = Script(
        opening=tuple(lines[name] for name in wording.opening),
        language=wording.language,
        recording=wish.recording,
        screening=lines.get("screening"),
        voicemail=lines.get("voicemail"),
        opened=opened,
    )
    return Prepared(script, sounds)


def _sounds(call: Call, wish: Wish, *, best: bool = False) -> tuple[Wording, dict[str, str]]:
    """In the agent's language, or all of it in English where no voice speaks that."""
    wording = compose(wish)
    try:
        return wording, _render(call, wording, best=best)
    except sound.NoVoice:
        if wording.language == FALLBACK:
            raise
        log.warning("opening falls back to English", call_id=str(call.pk), language=wording.language)
    wording = compose(replace(wish, language=FALLBACK))
    return wording, _render(call, wording, best=best)


def _access(call: Call) -> ModelAccess:
    """With a key of its own that cannot be read a workspace has the packaged voice, not another's key."""
    try:
        return model_access.of(call.workspace_id)
    except vault.Unreadable:
        return ModelAccess()


def _render(call: Call, wording: Wording, *, best: bool) -> dict[str, str]:
    profile = call.agent_version.agent.profile if call.agent_version else None
    speaker = sound.Speaker(
        language=wording.language,
        language_name=wording.language_name,
        voice=profile.voice if profile else "marin",
        speed=profile.speed if profile else 1.0,
        access=_access(call),
    )
    return {name: sound.ensure(text, speaker, best=best) for name, text in wording.all.items()}
