"""Signed links: a token that opens one thing for a while, for clients that cannot send a header."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt
from django.conf import settings
from django.utils import timezone

from tenex.workspaces.models import ApiKey, Membership, User
from tenex.workspaces.scopes import ROLE_SCOPES, holds

_ALGORITHM = "HS256"


@dataclass(frozen=True, slots=True)
class Link:
    """What a genuine token says. Whether its issuer still counts is another question (:func:`allows`)."""

    object_id: str
    issuer: str
    """The issuer's `rate_key`: `key:<prefix>` or `user:<id>`."""


def issue(purpose: str, object_id: object, *, by: str, ttl_s: int) -> tuple[str, datetime]:
    """A token for one object and one purpose, and when it ends. `by` is the issuer's `rate_key`."""
    expires_at = timezone.now().replace(microsecond=0) + timedelta(seconds=ttl_s)
    claims = {"aud": purpose, "sub": str(object_id), "by": by, "exp": expires_at}
    return jwt.encode(claims, settings.SIGNED_URL_KEY, algorithm=_ALGORITHM), expires_at


def read(token: str, purpose: str) -> Link | None:
    """What the token says, if it is ours, for this purpose, and has not run out."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            settings.SIGNED_URL_KEY,
            algorithms=[_ALGORITHM],
            audience=purpose,
            options={"require": ["exp", "sub", "by"]},
        )
    except jwt.InvalidTokenError:
        return None
    return Link(str(claims["sub"]), str(claims["by"]))


def opens(token: str, purpose: str, object_id: object) -> bool:
    """Whether the token opens this object now. It dies with the credential that asked for it."""
    link = read(token, purpose)
    return link is not None and link.object_id == str(object_id) and _still_good(link.issuer)


def allows(issuer: str, workspace_id: uuid.UUID, scopes: Iterable[str]) -> bool:
    """Whether this credential is good now, is of this workspace, and holds all of `scopes`."""
    kind, _, name = issuer.partition(":")
    held: Iterable[str] | None
    if kind == "key":
        keys = ApiKey.objects.filter(prefix=name, workspace_id=workspace_id, revoked_at=None)
        held = keys.exclude(expires_at__lte=timezone.now()).values_list("scopes", flat=True).first()
    else:
        members = Membership.objects.filter(user_id=name, workspace_id=workspace_id, user__is_active=True)
        role = members.values_list("role", flat=True).first()
        held = ROLE_SCOPES[role] if role else None
    return held is not None and all(holds(held, scope) for scope in scopes)


def _still_good(issuer: str) -> bool:
    kind, _, name = issuer.partition(":")
    if kind == "key":
        return (
            ApiKey.objects.filter(prefix=name, revoked_at=None)
            .exclude(expires_at__lte=timezone.now())
            .exists()
        )
    return User.objects.filter(pk=name, is_active=True).exists()
