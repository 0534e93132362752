"""Sign-in of people: e-mail and password for a JWT that lives an hour."""

import uuid
from datetime import timedelta

import jwt
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.utils import timezone

from tenex.workspaces.models import User
from tenex.workspaces.principal import Principal
from tenex.workspaces.services import people

_ALGORITHM = "HS256"
_ISSUER = "tenex"


def login(email: str, password: str) -> str | None:
    """A token for the person with this password, else None. Takes as long for an unknown address."""
    user = authenticate(email, password)
    if user is None:
        return None
    User.objects.filter(pk=user.pk).update(last_login=timezone.now())
    return issue(user)


def authenticate(email: str, password: str) -> User | None:
    """The active person with this address and password. Takes as long for an unknown address."""
    user = User.objects.filter(email=User.objects.normalize_email(email).lower()).first()
    if user is None:
        make_password(password)
        return None
    return user if user.check_password(password) and user.is_active else None


def issue(user: User) -> str:
    """A signed token that names the person; a change of the password makes it worthless."""
    now = timezone.now()
    return jwt.encode(
        {
            "iss": _ISSUER,
            "sub": str(user.pk),
            "iat": now,
            "exp": now + timedelta(seconds=settings.JWT_TTL_S),
            "pwd": people.password_mark(user),
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
        user_id, mark = uuid.UUID(claims["sub"]), str(claims["pwd"])
    except (jwt.InvalidTokenError, ValueError):
        return None
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None or not people.same_mark(mark, user):
        return None
    return people.principal(people.membership(user, workspace))
