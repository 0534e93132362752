"""Persons: their password and name, and what they may do in a workspace, whatever door they came in by."""

import hmac
import uuid

from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError
from django.db import transaction

from tenex.errors import Forbidden, InvalidInput
from tenex.workspaces.models import Membership, User
from tenex.workspaces.principal import Principal
from tenex.workspaces.scopes import ROLE_SCOPES
from tenex.workspaces.services import audit


def principal(membership: Membership) -> Principal:
    """What a member may do: the same for a token, a browser's session and a message."""
    user = membership.user
    return Principal(
        workspace=membership.workspace,
        scopes=ROLE_SCOPES[membership.role],
        actor=f"user:{user.email}",
        rate_key=f"user:{user.pk}",
        user_id=user.pk,
        role=membership.role,
    )


def membership(user: User, workspace: str | None) -> Membership:
    """The one membership of a person that is meant.

    `workspace` is an id or slug; without it the person must be in just one.

    Raises:
        Forbidden: no membership of (such) a workspace.
        InvalidInput: several workspaces and none named.
    """
    found = Membership.objects.select_related("workspace").filter(user=user).order_by("created_at")
    meant = [one for one in found if workspace in (None, "", str(one.workspace_id), one.workspace.slug)]
    if not meant:
        raise Forbidden("you are not a member of such a workspace", code="forbidden_workspace")
    if len(meant) > 1:
        names = ", ".join(one.workspace.slug for one in meant)
        raise InvalidInput(
            f"you are in several workspaces, name one: {names}",
            loc=("header", "X-Workspace"),
            type_="missing",
        )
    meant[0].user = user
    return meant[0]


def change_password(user_id: uuid.UUID, current: str, new: str, by: Principal) -> User:
    """Set a new password. Every token and browser session of this person is worthless from now on.

    Raises:
        InvalidInput: the current password is wrong, or the new one too weak.
    """
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=user_id)
        if not user.check_password(current):
            raise InvalidInput("is not your password", loc=("body", "current_password"), type_="password")
        check_password(new, user, loc=("body", "new_password"))
        user.set_password(new)
        user.save(update_fields=["password"])
        audit.record(
            by.workspace.pk, by.actor, "user.password_changed", object_type="user", object_id=user.pk
        )
    return user


def rename(user_id: uuid.UUID, name: str) -> User:
    user = User.objects.get(pk=user_id)
    user.name = name
    user.save(update_fields=["name"])
    return user


def check_password(password: str, user: User, *, loc: tuple[str | int, ...]) -> None:
    """Refuse a weak password.

    Raises:
        InvalidInput: too short, or one of the usual ones.
    """
    try:
        password_validation.validate_password(password, user)
    except ValidationError as exc:
        raise InvalidInput(" ".join(exc.messages), loc=loc, type_="password") from exc


def password_mark(user: User) -> str:
    """Changes with the password; tells nothing of it."""
    return user.get_session_auth_hash()[:16]


def same_mark(given: str, user: User) -> bool:
    return hmac.compare_digest(given.encode(), password_mark(user).encode())
