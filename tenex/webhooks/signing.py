"""Signatures of outgoing webhooks. Pure.

Two schemes on every request: the reference platform's header over the raw body, and Standard Webhooks,
whose timestamp lets a receiver refuse replays.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence


def new_secret() -> str:
    """A Standard Webhooks secret: `whsec_` and base64 of 32 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def body_signature(secret: str, body: bytes) -> str:
    """Value of `X-10ex-Signature`: hex HMAC-SHA-256 of the raw body with the workspace's secret."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def standard_signature(secret: str, *, message_id: str, timestamp_s: int, body: bytes) -> str:
    """One `v1,…` entry of `webhook-signature` (Standard Webhooks 1.0: HMAC over `id.timestamp.body`)."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def headers(
    *,
    workspace_secrets: Sequence[str],
    secrets_: Sequence[str],
    message_id: str,
    timestamp_s: int,
    body: bytes,
) -> dict[str, str]:
    """All headers of one attempt. Of either kind there are two secrets during a rotation, the new one first.

    Standard Webhooks carries several signatures in one header. The reference's header holds just one: it
    stays with the old secret until the overlap ends, so that a receiver who knows of no rotation goes on,
    and the new secret's signature stands in `X-10ex-Signature-Next`.
    """
    found = {
        "content-type": "application/json",
        "user-agent": "Tenex-Webhooks/1",
        "x-10ex-signature": body_signature(workspace_secrets[-1], body),
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(
            standard_signature(secret, message_id=message_id, timestamp_s=timestamp_s, body=body)
            for secret in secrets_
        ),
    }
    if len(workspace_secrets) > 1:
        found["x-10ex-signature-next"] = body_signature(workspace_secrets[0], body)
    return found
