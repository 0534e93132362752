"""What an outbound call says of its own accord: composed of its rows, rendered before it is dialed."""

import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import structlog

from tenex.workspaces.services import vault
from voice.models import AgentVersion, Batch, BatchStatus, Call, CallEvent, CallStatus, Direction
from voice.models.batches import VoicemailPolicy
from voice.opening import sound
from voice.opening.wording import FALLBACK, Purpose, Recording, Wish, Wording, compose
from voice.services import model_access
from voice.session.script import Line, Script
from voice.wire.model_access import ModelAccess

log = structlog.get_logger(__name__)

_QUEUED_LOOKED_AT = 20
_LOOK_AGAIN_S = 30.0
"""So long nobody looks into the storage again for lines that were there."""
_READY_KEPT = 1000
_ready: dict[object, float] = {}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call's lines for the machine, and their sounds (base64 µ-law) for the phone."""

    script: Script
    sounds: dict[str, str] = field(default_factory=dict)


def wish_of(call: Call) -> Wish:
    """What this call must say. Reads workspace, batch and the version's profile of it."""
    workspace, batch, version = call.workspace, call.batch, call.agent_version
    leaves_message = batch is not None and batch.voicemail_policy == VoicemailPolicy.LEAVE_MESSAGE
    return Wish(
        caller=workspace.legal_name or workspace.name,
        language=version.agent.profile.language if version else "",
        purpose=cast(Purpose, str(batch.purpose if batch else workspace.default_purpose)),
        recording=cast(Recording, str(workspace.recording_consent)),
        voicemail=batch.voicemail_message if batch is not None and leaves_message else None,
    )


def prepare(attempt_id: uuid.UUID) -> None:
    """Make the lines of the call that this attempt is about to dial, so that whoever answers hears them."""
    call = (
        Call.objects.select_related("workspace", "batch", "agent_version__agent__profile")
        .filter(attempts=attempt_id, direction=Direction.OUTBOUND)
        .first()
    )
    if call is not None:
        _sounds(call, best=True)


def make_ready(workspace_ids: Iterable[uuid.UUID]) -> None:
    """Make the lines of whatever these workspaces may dial next, before anything of it is claimed.

    A claim has seconds; the first rendering may take as long. What was made before costs a look.
    """
    ids = list(workspace_ids)
    queued = Call.objects.filter(
        workspace_id__in=ids, status=CallStatus.QUEUED, direction=Direction.OUTBOUND, batch=None
    ).select_related("workspace", "agent_version__agent__profile")
    now_s = time.monotonic()
    for call in [*_first_calls(ids), *queued.order_by("created_at")[:_QUEUED_LOOKED_AT]]:
        profile = call.agent_version.agent.profile if call.agent_version else None
        lines = (wish_of(call), profile and profile.voice, profile and profile.speed)
        if _ready.get(lines, -_LOOK_AGAIN_S) + _LOOK_AGAIN_S > now_s:
            continue
        try:
            _sounds(call, best=True)
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
        NoVoice: not even the English ones could be had.
    """
    if call.direction != Direction.OUTBOUND:
        return None
    wording, sounds = _sounds(call)
    lines = {name: Line(name, text, sound.ms(sounds[name])) for name, text in wording.all.items()}
    opened = CallEvent.objects.filter(call=call, type="call.opening").exists()
    script = Script(
        opening=tuple(lines[name] for name in wording.opening),
        language=wording.language,
        recording=wish_of(call).recording,
        screening=lines["screening"],
        voicemail=lines.get("voicemail"),
        opened=opened,
    )
    return Prepared(script, sounds)


def _sounds(call: Call, *, best: bool = False) -> tuple[Wording, dict[str, str]]:
    """In the agent's language, or all of it in English where no voice speaks that."""
    wish = wish_of(call)
    wording = compose(wish)
    try:
        return wording, _render(call, wording, best=best)
    except sound.NoVoice:
        if wording.language == FALLBACK:
            raise
        log.warning("opening falls back to English", call_id=str(call.pk), language=wording.language)
    english: dict[str, Any] = {name: getattr(wish, name) for name in Wish.__dataclass_fields__}
    wording = compose(Wish(**{**english, "language": FALLBACK}))
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
