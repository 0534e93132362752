"""Who belongs to a workspace: invitations, roles, removal.

Nobody gives or takes more than they have themselves, owners are made and unmade by owners, and a workspace
keeps its last one (the database refuses it too: migration 0002).
"""

import hashlib
import hmac
import secrets
import uuid
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from tenex.errors import Conflict, Forbidden, InvalidInput, NotFound, existing
from tenex.workspaces import scopes
from tenex.workspaces.models import Invitation, Membership, Role, User, Workspace
from tenex.workspaces.principal import Principal
from tenex.workspaces.services import audit, people, tokens

INVITATION_LIVES = timedelta(days=7)


def invite(workspace: Workspace, email: str, role: str, by: Principal) -> tuple[Invitation, str]:
    """An invitation and its token, which exists nowhere afterwards. An open one of this address is replaced.

    Raises:
        Forbidden: the role is more than `by` may give.
        Conflict: such a member exists.
    """
    _require_right(role, by)
    address = User.objects.normalize_email(email).lower()
    if Membership.objects.filter(workspace=workspace, user__email=address).exists():
        raise Conflict("somebody with this address is a member", code="already_member")
    token = secrets.token_urlsafe(32)
    now = timezone.now()
    with transaction.atomic():
        _lock(workspace.pk)  # two invitations of one address at once: the later one counts
        Invitation.objects.filter(
            workspace=workspace, email=address, accepted_at=None, revoked_at=None
        ).update(revoked_at=now)
        made = Invitation.objects.create(
            workspace=workspace,
            email=address,
            role=role,
            digest=_digest(token),
            invited_by=by.actor,
            expires_at=now + INVITATION_LIVES,
        )
        _audit(by, "member.invited", "invitation", made.pk, {"email": address, "role": role})
    return made, token


def revoke(invitation: Invitation, by: Principal) -> None:
    """Make an open invitation worthless; one that is not open stays as it is.

    Raises:
        Forbidden: it invites to more than `by` may give.
    """
    _require_right(invitation.role, by)
    with transaction.atomic():
        changed = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None).update(
            revoked_at=timezone.now()
        )
        if changed:
            _audit(by, "invitation.revoked", "invitation", invitation.pk, {"email": invitation.email})


def addressee(token: str) -> str | None:
    """The address that an invitation is for, whatever became of it."""
    return Invitation.objects.filter(digest=_digest(token)).values_list("email", flat=True).first()


def open_invitation(token: str) -> Invitation | None:
    """The invitation of that token while it can be accepted."""
    rows = Invitation.objects.select_related("workspace").filter(digest=_digest(token))
    return rows.filter(accepted_at=None, revoked_at=None, expires_at__gt=timezone.now()).first()


def accept(token: str, password: str, name: str) -> Membership:
    """Become a member. Somebody who has an account gives its password, anybody else chooses one.

    Raises:
        NotFound: no open invitation has this token.
        InvalidInput: not the account's password, or a weak new one.
    """
    with transaction.atomic():
        now = timezone.now()
        invitation = (
            Invitation.objects.select_for_update(of=("self",))
            .select_related("workspace")
            .filter(digest=_digest(token), accepted_at=None, revoked_at=None, expires_at__gt=now)
            .first()
        )
        if invitation is None:
            raise NotFound("there is no such invitation (any more)", code="invitation_invalid")
        user = _account(invitation.email, password, name)
        invitation.accepted_at = now
        invitation.save(update_fields=["accepted_at"])
        member, _ = Membership.objects.get_or_create(
            workspace=invitation.workspace, user=user, defaults={"role": invitation.role}
        )
        audit.record(
            invitation.workspace_id,
            f"user:{user.email}",
            "member.joined",
            object_type="user",
            object_id=user.pk,
            data={"role": member.role, "invited_by": invitation.invited_by},
        )
    return member


def change_role(member: Membership, role: str, by: Principal) -> Membership:
    """Give a member another role.

    Raises:
        Forbidden: the old or the new role is more than `by` may give or take.
        Conflict: the last owner.
    """
    with transaction.atomic():
        member = _held(member, by)
        _require_right(role, by)
        if role != member.role:
            _keep_an_owner(member)
            before, member.role = member.role, role
            member.save(update_fields=["role"])
            _audit(by, "member.role_changed", "user", member.user_id, {"from": before, "to": role})
    return member


def remove(member: Membership, by: Principal) -> None:
    """Take somebody out of the workspace: their next request is refused. The account stays.

    Raises:
        Forbidden: their role is more than `by` may take.
        Conflict: the last owner.
    """
    with transaction.atomic():
        member = _held(member, by)
        _keep_an_owner(member)
        user_id, role = member.user_id, member.role
        member.delete()
        _audit(by, "member.removed", "user", user_id, {"role": role})


def _account(email: str, password: str, name: str) -> User:
    """The account of the address, or a new one."""
    if User.objects.filter(email=email).exists():
        user = tokens.authenticate(email, password)
        if user is None:
            raise InvalidInput(
                "this address has an account: give its password", loc=("body", "password"), type_="password"
            )
        return user
    fresh = User(email=email, name=name)
    people.check_password(password, fresh, loc=("body", "password"))
    return User.objects.create_user(email, password, name=name)


def _held(member: Membership, by: Principal) -> Membership:
    """The member as it is now, under the workspace's lock, if `by` may touch it.

    Raises:
        NotFound: gone meanwhile.
        Forbidden: it has more than `by`.
    """
    _lock(member.workspace_id)
    now = existing(Membership.objects.select_related("user").filter(pk=member.pk).first())
    _require_right(now.role, by)
    return now


def _lock(workspace_id: uuid.UUID) -> None:
    """Changes of one workspace's members go one after the other."""
    Workspace.objects.select_for_update(no_key=True).only("pk").get(pk=workspace_id)


def _keep_an_owner(member: Membership) -> None:
    """Called under the lock, before `member` stops being what it is."""
    owners = Membership.objects.filter(workspace_id=member.workspace_id, role=Role.OWNER)
    if member.role == Role.OWNER and not owners.exclude(pk=member.pk).exists():
        raise Conflict("a workspace keeps its last owner: make another one first", code="last_owner")


def _require_right(role: str, by: Principal) -> None:
    if not scopes.may_manage(role, by_role=by.role, by_scopes=by.scopes):
        raise Forbidden(f"giving or taking the role {role} needs more than you have", code="forbidden_role")


def _audit(by: Principal, action: str, kind: str, row_id: uuid.UUID, data: dict[str, str]) -> None:
    audit.record(by.workspace.pk, by.actor, action, object_type=kind, object_id=row_id, data=data)


def _digest(token: str) -> bytes:
    return hmac.new(settings.API_KEY_PEPPER, b"invitation:" + token.encode(), hashlib.sha256).digest()
