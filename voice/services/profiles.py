"""Writing voice profiles. What is saved is what the model of the profile takes."""

from collections.abc import Collection
from typing import Any, NoReturn

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from tenex.errors import Conflict, InvalidInput
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit
from voice.models import VoiceProfile
from voice.services import templates
from voice.wire import realtime_models

TurnDetection = VoiceProfile.TurnDetection


def create(workspace: Workspace, data: dict[str, Any], actor: str) -> VoiceProfile:
    """A profile; what is not in `data` is a value that works well on the phone.

    Raises:
        InvalidInput: something that the profile's model does not take.
        Conflict: the name is taken.
    """
    _check(VoiceProfile(**data), data)
    with transaction.atomic():
        try:
            with transaction.atomic():
                profile = VoiceProfile.objects.create(workspace=workspace, **data)
        except IntegrityError as exc:
            raise Conflict("a voice profile with this name exists", code="name_taken") from exc
        audit.record(workspace.id, actor, "profile.created", object_type="profile", object_id=profile.id)
    return profile


def update(profile: VoiceProfile, data: dict[str, Any], actor: str) -> VoiceProfile:
    """Change a profile; calls that run keep what they began with.

    Raises:
        InvalidInput, Conflict: as in :func:`create`.
    """
    for name, value in data.items():
        setattr(profile, name, value)
    _check(profile, data)
    with transaction.atomic():
        try:
            with transaction.atomic():
                profile.save(update_fields=list(data))
        except IntegrityError as exc:
            raise Conflict("a voice profile with this name exists", code="name_taken") from exc
        audit.record(
            profile.workspace_id,
            actor,
            "profile.updated",
            object_type="profile",
            object_id=profile.id,
            data={"fields": sorted(data)},
        )
    return profile


def _check(profile: VoiceProfile, changed: Collection[str]) -> None:
    """What no single field can tell: whether its values go together, and with the model.

    The error names a field that was sent, where one of the two was.
    """
    templates.check(profile.greeting, "greeting")
    name = profile.model or settings.REALTIME_MODEL
    able = realtime_models.model(name)
    if able.gone and profile.model:
        _refuse("model", f"{name} has been shut down")
    if profile.reasoning_effort and profile.reasoning_effort not in able.efforts:
        _refuse(_of(changed, "reasoning_effort", "model"), f"{name} takes no such reasoning effort")
    if profile.idle_timeout_ms is not None and profile.turn_detection != TurnDetection.SERVER_VAD:
        _refuse(
            _of(changed, "idle_timeout_ms", "turn_detection"),
            "an idle timeout needs turn_detection server_vad",
        )
    if profile.noise_reduction_strength is not None and not profile.noise_reduction:
        _refuse(
            _of(changed, "noise_reduction_strength", "noise_reduction"), "a strength needs noise_reduction"
        )
    transcriber = profile.transcription_model  # the installation's own may change: it is asked at each call
    if transcriber and transcriber != realtime_models.OFF:
        hears = realtime_models.transcription(transcriber)
        if profile.transcription_prompt and not hears.prompt:
            _refuse(
                _of(changed, "transcription_prompt", "transcription_model"), f"{transcriber} takes no prompt"
            )
        if profile.keywords and not hears.keywords:
            _refuse(_of(changed, "keywords", "transcription_model"), f"{transcriber} takes no keywords")


def _of(changed: Collection[str], first: str, second: str) -> str:
    return first if first in changed or second not in changed else second


def _refuse(field: str, why: str) -> NoReturn:
    raise InvalidInput(why, loc=("body", field), type_="not_supported")


def delete(profile: VoiceProfile, actor: str) -> None:
    """Remove a profile that no agent uses.

    Raises:
        Conflict: an agent uses it.
    """
    workspace_id, profile_id = profile.workspace_id, profile.id
    with transaction.atomic():
        try:
            profile.delete()
        except ProtectedError as exc:
            raise Conflict("an agent uses this voice profile", code="profile_in_use") from exc
        audit.record(workspace_id, actor, "profile.deleted", object_type="profile", object_id=profile_id)
