"""Slot ids that cannot be made up: the instant and a MAC that ties it to one calendar and one call.

Short on purpose, because a speech model copies them token by token. 50 bits of MAC against a guesser who
has 60 tool calls a call are plenty.
"""

import base64
import hashlib
import hmac
import uuid
from datetime import UTC, datetime, timedelta

from crm.calendars.availability import Period

_MAC_BYTES = 7
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_MAX_LENGTH = 40


def issue(slot: Period, *, calendar_id: uuid.UUID, scope: str, key: bytes) -> str:
    """The id of `slot`; `scope` is the call's id (or whoever may book it)."""
    start = int((slot.starts_at - _EPOCH) / timedelta(minutes=1))
    length = int((slot.ends_at - slot.starts_at) / timedelta(minutes=1))
    body = f"{start:x}-{length:x}"
    return f"slot-{body}-{_mac(body, calendar_id, scope, key)}"


def read(slot_id: str, *, calendar_id: uuid.UUID, scope: str, key: bytes) -> Period | None:
    """The slot of an id that we issued for this calendar and scope, else None."""
    parts = slot_id.strip().lower().split("-")
    if len(slot_id) > _MAX_LENGTH or len(parts) != 4 or parts[0] != "slot" or not slot_id.isascii():
        return None
    body = f"{parts[1]}-{parts[2]}"
    if not hmac.compare_digest(parts[3], _mac(body, calendar_id, scope, key)):
        return None
    start = _EPOCH + timedelta(minutes=int(parts[1], 16))
    return Period(start, start + timedelta(minutes=int(parts[2], 16)))


def _mac(body: str, calendar_id: uuid.UUID, scope: str, key: bytes) -> str:
    text = f"{calendar_id}:{scope}:{body}".encode()
    mac = hmac.new(key, text, hashlib.sha256).digest()[:_MAC_BYTES]
    return base64.b32encode(mac).decode("ascii").rstrip("=").lower()
