"""C2: the official library accepts every signature of ours and none that was tampered with.

Bodies of all sizes with text of all kinds; both schemes; during a rotation old and new secret. No receiver
may accept a flipped bit, another id, or a request older than five minutes.
"""

import hashlib
import hmac
import os
import random
import string
import time
import uuid
from collections import Counter
from typing import Any

from tests.prove.dial_rig import main

TEXT = string.printable + 'äöüßéñ漢字仮名😀\u2028\u0000\\"'


def prove(full: bool) -> dict[str, Any]:
    trials = 10_000 if full else 1_000
    _django()
    draw = random.Random()
    broken: Counter[str] = Counter()
    for _ in range(trials):
        _one(draw, broken)
    return {"trials": trials, "violations": sum(broken.values()), **+broken}


def _django() -> None:
    """Models without a database: nothing is saved."""
    os.environ.setdefault("DATABASE_URL", "postgres://nobody@127.0.0.1:9/none")
    os.environ.setdefault("REDIS_URL", "redis://127.0.0.1:9/0")
    os.environ.update({"DEBUG": "1", "DJANGO_SETTINGS_MODULE": "tenex.settings"})
    import django

    django.setup()


def _one(draw: random.Random, broken: Counter[str]) -> None:
    from django.utils import timezone

    from tenex.events.models import Event
    from tenex.webhooks import signing
    from tenex.webhooks.services.relay import wire_body

    event = Event(
        id=f"evt_{uuid.uuid4().hex}",
        workspace_id=uuid.uuid4(),
        seq=draw.randrange(10**9),
        type="lead.updated",
        occurred_at=timezone.now(),
        data={_words(draw, 10): _words(draw, draw.choice((0, 10, 1000, 20_000)))},
    )
    body = wire_body(event)
    secret, old, stranger, workspace = (signing.new_secret() for _ in range(4))
    now = int(time.time())

    def sign(secrets: list[str], at: int = now) -> dict[str, str]:
        return signing.headers(
            workspace_secrets=[workspace], secrets_=secrets, message_id=event.id, timestamp_s=at, body=body
        )

    good, rotating = sign([secret]), sign([secret, old])
    recipe = "sha256=" + hmac.new(workspace.encode(), body, hashlib.sha256).hexdigest()
    flipped = bytearray(body)
    flipped[draw.randrange(len(body))] ^= 1 << draw.randrange(8)
    broken["refused"] += not _accepts(secret, body, good)
    broken["refused_in_rotation"] += not _accepts(secret, body, rotating)
    broken["refused_old_in_rotation"] += not _accepts(old, body, rotating)
    broken["recipe_differs"] += good["x-10ex-signature"] != recipe
    broken["accepted_flipped"] += _accepts(secret, bytes(flipped), good)
    broken["accepted_other_id"] += _accepts(secret, body, {**good, "webhook-id": f"evt_{uuid.uuid4().hex}"})
    broken["accepted_other_time"] += _accepts(secret, body, {**good, "webhook-timestamp": str(now - 1)})
    broken["accepted_old"] += _accepts(secret, body, sign([secret], now - 301))
    broken["accepted_stranger"] += _accepts(stranger, body, rotating)
    broken["id_differs"] += f'"id":"{event.id}"'.encode() not in body or good["webhook-id"] != event.id
    key_bytes = len(secret.removeprefix("whsec_")) * 3 // 4
    broken["key_length"] += not 24 <= key_bytes <= 64


def _words(draw: random.Random, length: int) -> str:
    return "".join(draw.choices(TEXT, k=length))


def _accepts(secret: str, body: bytes, headers: dict[str, str]) -> bool:
    from standardwebhooks.webhooks import Webhook, WebhookVerificationError

    try:
        Webhook(secret).verify(body, headers)
    except (WebhookVerificationError, ValueError):  # a flipped bit may leave no text and no JSON
        return False
    return True


if __name__ == "__main__":
    main("C2", prove)
