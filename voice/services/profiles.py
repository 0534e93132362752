"""Writing voice profiles."""

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from tenex.errors import Conflict
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit
from voice.models import VoiceProfile


def create(workspace: Workspace, data: dict[str, Any], actor: str) -> VoiceProfile:
    """A profile of checked values (voice.api.inputs knows what the Realtime API takes).

    Raises:
        Conflict: the name is taken.
    """
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
        Conflict: the name is taken.
    """
    for name, value in data.items():
        setattr(profile, name, value)
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
