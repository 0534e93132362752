"""Links that show one call to outsiders: made for a time, counted, revoked. The token is shown once."""

import hashlib
import secrets
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from tenex.errors import Conflict, Forbidden, Gone, InvalidInput, existing
from tenex.rest import signed
from tenex.workspaces.principal import Principal
from tenex.workspaces.services import audit
from voice.models import Call, CallShare
from voice.models.calls import OVER

HOURS_MOST: Final = 30 * 24
_OPEN_MOST: Final = 50
"""Links of one call that are good at a time."""
_TOKEN_BYTES: Final = 32


def create(call: Call, by: Principal, *, hours: int, with_audio: bool) -> tuple[CallShare, str]:
    """A link and its token, which is not kept.

    The link lends what its maker may see: it ends with their rights, and audio needs `recordings:read`.

    Raises:
        InvalidInput: less than an hour or more than 30 days. Forbidden: the maker may not listen.
        Conflict: the call is under way, or has 50 links already.
    """
    if not 1 <= hours <= HOURS_MOST:
        raise InvalidInput("from one hour to 30 days", loc=("body", "hours"))
    if with_audio and not by.allows("recordings:read"):
        raise Forbidden("you may not listen to recordings yourself", code="forbidden_scope")
    if call.status not in OVER:
        raise Conflict("the call is still under way", code="call_not_over")
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    now = timezone.now()
    with transaction.atomic():
        Call.objects.select_for_update().get(pk=call.pk)
        if CallShare.objects.filter(call=call, revoked_at=None, expires_at__gt=now).count() >= _OPEN_MOST:
            raise Conflict("this call has 50 links; revoke one", code="too_many_shares")
        share = CallShare.objects.create(
            workspace_id=call.workspace_id,
            call=call,
            digest=_digest(token),
            with_audio=with_audio,
            created_by=by.actor,
            issuer=by.rate_key,
            expires_at=now + timedelta(hours=hours),
        )
        _audit(share, by.actor, "call.shared", hours=hours, with_audio=with_audio)
    return share, token


def url(token: str) -> str:
    """Where the link leads, for people outside."""
    return f"{settings.PUBLIC_BASE_URL}/console/shared/{token}"


def revoke(share: CallShare, actor: str) -> bool:
    """The link is void from now on; False if it was."""
    with transaction.atomic():
        changed = CallShare.objects.filter(pk=share.pk, revoked_at=None).update(revoked_at=timezone.now())
        if changed:
            _audit(share, actor, "call.share_revoked")
    return bool(changed)


def opened(token: str, *, count: bool = False) -> CallShare:
    """What the link shows, with its call and workspace. `count`: the page itself is opened.

    Raises:
        NotFound: no such link. Gone: `share_revoked` or `share_expired`.
    """
    share = existing(
        CallShare.objects.select_related("call", "workspace").filter(digest=_digest(token)).first(),
        "there is no such link; it may not have been copied as a whole",
    )
    if share.revoked_at is not None:
        raise Gone("this link was revoked", code="share_revoked")
    if share.expires_at <= timezone.now():
        raise Gone("this link has expired", code="share_expired")
    needed = ["calls:read", *(["recordings:read"] if share.with_audio else [])]
    if not signed.allows(share.issuer, share.workspace_id, needed):
        raise Gone("this link was revoked", code="share_revoked")
    if count:
        CallShare.objects.filter(pk=share.pk).update(opened=F("opened") + 1, last_opened_at=timezone.now())
    return share


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _audit(share: CallShare, actor: str, action: str, **data: object) -> None:
    audit.record(
        share.workspace_id,
        actor,
        action,
        object_type="call",
        object_id=share.call_id,
        data={"share_id": str(share.pk), **data},
    )
