"""Sign-in of people: e-mail and password for a JWT that lives an hour."""

import uuid
from datetime import timedelta

import jwt
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from tenex.errors import Forbidden, InvalidInput
from tenex.workspaces.models import Membership, User
from tenex.workspaces.principal import Principal
from tenex.workspaces.scopes import ROLE_SCOPES

_ALGORITHM = "HS256"
_ISSUER = "tenex"


def login(email: str, password: str) -> str | None:
    """A token for the person with this password, else None. Takes as long for an unknown address."""
    user = User.objects.filter(email=User.objects.normalize_email(email).lower()).first()
    if user is None:
        make_password(password)
        return None
    if not user.check_password(password) or not user.is_active:
        return None
    return issue(user)


def issue(user: User) -> str:
    """A signed token that names the person; a change of the password makes it worthless."""
    now = timezone.now()
    return jwt.encode(
        {
            "iss": _ISSUER,
            "sub": str(user.pk),
            "iat": now,
            "exp": now + timedelta(seconds=settings.JWT_TTL_S),
            "pwd": _password_mark(user),
        },
        settings.JWT_KEY,
        algorithm=_ALGORITHM,
    )


def verify(token: str, *, workspace: str | None) -> Principal | None:
    """The holder of a token in one of their workspaces, or None if the token is not (or no longer) good.

    `workspace` is the `X-Workspace` header: id or slug. Without it the person must have just one workspace.

    Raises:
        Forbidden: no membership of (such) a workspace.
        InvalidInput: several workspaces and none named.
    """
    try:
        claims = jwt.decode(
            token,
            settings.JWT_KEY,
            algorithms=[_ALGORITHM],
            issuer=_ISSUER,
            options={"require": ["exp", "sub", "pwd"]},
        )
        user = User.objects.filter(pk=uuid.UUID(claims["sub"]), is_active=True).first()
    except (jwt.InvalidTokenError, ValueError):
        return None
    if user is None or not constant_time_compare(str(claims["pwd"]), _password_mark(user)):
        return None
    membership = _membership(user, workspace)
    return Principal(
        workspace=membership.workspace,
        scopes=ROLE_SCOPES[membership.role],
        actor=f"user:{user.email}",
        rate_key=f"user:{user.pk}",
        user_id=user.pk,
    )


def _membership(user: User, workspace: str | None) -> Membership:
    """The one membership that the request means."""
    memberships = list(Membership.objects.select_related("workspace").filter(user=user))
    if workspace:
        memberships = [m for m in memberships if workspace in (str(m.workspace_id), m.workspace.slug)]
    if not memberships:
        raise Forbidden("you are not a member of such a workspace", code="forbidden_workspace")
    if len(memberships) > 1:
        raise InvalidInput(
            "you are in several workspaces: name one by id or slug",
            loc=("header", "X-Workspace"),
            type_="missing",
        )
    return memberships[0]


def _password_mark(user: User) -> str:
    """Changes with the password; tells nothing of it."""
    return user.get_session_auth_hash()[:16]
