"""The token that lets one media socket belong to one call (promises.md R8). Pure: time and nonce are given.

`t1.<key id>.<claims>.<signature>`: base64url without padding; claims are `workspace|call|nonce|expiry`, the
signature is HMAC-SHA256 over everything before it. The token travels in `<Parameter>`, never in the query
(the carrier drops that). It is single use: the caller of :func:`verify` burns the nonce in the database.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

TTL_S: Final = 60
MAX_CHARS: Final = 480
"""The carrier takes at most 500 characters of name and value together."""

_VERSION = "t1"
_PART = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class StreamClaims:
    workspace: str
    call: str
    nonce: str
    expires_at: int
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class TokenFault:
    """Why a token is refused. The peer learns nothing of it; logs and counters do."""

    reason: Literal["malformed", "unknown-key", "bad-signature", "expired"]


def issue(claims: StreamClaims, *, key_id: str, key: bytes) -> str:
    """The token's text.

    Raises:
        ValueError: a claim or the key id is empty, too long, or not of `A-Za-z0-9_-` (our own mistake).
    """
    for part in (key_id, claims.workspace, claims.call, claims.nonce):
        if not _PART.fullmatch(part):
            raise ValueError("stream token parts are 1 to 64 characters of A-Z a-z 0-9 _ -")
    text = f"{claims.workspace}|{claims.call}|{claims.nonce}|{claims.expires_at}"
    head = f"{_VERSION}.{key_id}.{_encode(text.encode())}"
    return f"{head}.{_encode(_sign(key, head))}"


def verify(token: str, *, keys: Mapping[str, bytes], now: float) -> StreamClaims | TokenFault:
    """Claims of a good token, or why not. Never raises; `now` is Unix seconds; several keys = rotation."""
    pieces = token.split(".") if len(token) <= MAX_CHARS and token.isascii() else []
    if len(pieces) != 4 or pieces[0] != _VERSION:
        return TokenFault("malformed")
    key = keys.get(pieces[1])
    if key is None:
        return TokenFault("unknown-key")
    if not hmac.compare_digest(_encode(_sign(key, token.rpartition(".")[0])), pieces[3]):
        return TokenFault("bad-signature")
    claims = _claims(pieces[2])
    if claims is None:
        return TokenFault("malformed")
    return claims if now < claims.expires_at else TokenFault("expired")


def _sign(key: bytes, head: str) -> bytes:
    return hmac.new(key, head.encode("ascii"), hashlib.sha256).digest()


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _claims(text: str) -> StreamClaims | None:
    try:
        fields = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii").split("|")
        workspace, call, nonce, expires_at = fields
        return StreamClaims(workspace, call, nonce, int(expires_at))
    except (ValueError, binascii.Error):
        return None
