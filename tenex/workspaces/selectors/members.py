"""Members of a workspace, and invitations to it."""

import uuid

from django.db.models import QuerySet
from django.utils import timezone

from tenex.errors import existing
from tenex.workspaces.models import Invitation, Membership, Workspace


def all_of(workspace: Workspace) -> QuerySet[Membership]:
    return Membership.objects.filter(workspace=workspace).select_related("user")


def one(workspace: Workspace, user_id: uuid.UUID) -> Membership:
    """
    Raises:
        NotFound: no such member.
    """
    return existing(all_of(workspace).filter(user_id=user_id).first())


def invitations(workspace: Workspace) -> QuerySet[Invitation]:
    return Invitation.objects.filter(workspace=workspace)


def open_invitations(workspace: Workspace) -> QuerySet[Invitation]:
    """Those that can still be accepted, the newest first."""
    return invitations(workspace).filter(accepted_at=None, revoked_at=None, expires_at__gt=timezone.now())


def invitation(workspace: Workspace, invitation_id: uuid.UUID) -> Invitation:
    """
    Raises:
        NotFound: no such invitation.
    """
    return existing(invitations(workspace).filter(pk=invitation_id).first())
