"""Signed links: a token that opens one thing for a while, for clients that cannot send a header."""

from datetime import datetime, timedelta
from typing import Any

import jwt
from django.conf import settings
from django.utils import timezone

from tenex.workspaces.models import ApiKey, User

_ALGORITHM = "HS256"


def issue(purpose: str, object_id: object, *, by: str, ttl_s: int) -> tuple[str, datetime]:
    """A token for one object and one purpose, and when it ends. `by` is the issuer's `rate_key`."""
    expires_at = timezone.now().replace(microsecond=0) + timedelta(seconds=ttl_s)
    claims = {"aud": purpose, "sub": str(object_id), "by": by, "exp": expires_at}
    return jwt.encode(claims, settings.SIGNED_URL_KEY, algorithm=_ALGORITHM), expires_at


def opens(token: str, purpose: str, object_id: object) -> bool:
    """Whether the token opens this object now. It dies with the credential that asked for it."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            settings.SIGNED_URL_KEY,
            algorithms=[_ALGORITHM],
            audience=purpose,
            options={"require": ["exp", "sub", "by"]},
        )
    except jwt.InvalidTokenError:
        return False
    return claims["sub"] == str(object_id) and _still_good(str(claims["by"]))


def _still_good(issuer: str) -> bool:
    kind, _, name = issuer.partition(":")
    if kind == "key":
        return (
            ApiKey.objects.filter(prefix=name, revoked_at=None)
            .exclude(expires_at__lte=timezone.now())
            .exists()
        )
    return User.objects.filter(pk=name, is_active=True).exists()
