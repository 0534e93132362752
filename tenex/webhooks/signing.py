"""Signatures of outgoing webhooks. Pure.

Two schemes on every request: the reference platform's header over the raw body, and Standard Webhooks,
whose timestamp lets a receiver refuse replays.
"""

import base64
import hashlib
import hmac
import secrets


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
    *, workspace_secret: str, secrets_: list[str], message_id: str, timestamp_s: int, body: bytes
) -> dict[str, str]:
    """All headers of one attempt; several `secrets_` during a rotation give several signatures."""
    return {
        "content-type": "application/json",
        "user-agent": "Tenex-Webhooks/1",
        "x-10ex-signature": body_signature(workspace_secret, body),
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(
            standard_signature(secret, message_id=message_id, timestamp_s=timestamp_s, body=body)
            for secret in secrets_
        ),
    }
