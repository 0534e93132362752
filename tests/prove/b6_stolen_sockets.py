"""B6: a media socket without a right to its call opens no model session, and is closed within 5 s.

Sockets with no token, an expired one, a used one, one of another call, a forged one, none at all (silence),
and without Twilio's signature or with a wrong one; a good call talks beside them.
"""

import asyncio
import random
import secrets
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson
import websockets
from websockets.asyncio.client import connect

from tests.prove.live_system import LiveSystem, main, percentile, ringing_call, run_live, until

if TYPE_CHECKING:
    from tests.prove.live_phone import Phone
    from voice.models import Call

_AT_ONCE = 40
_LIMIT_S = 5.0
_KINDS = (
    "no token",
    "expired",
    "reused",
    "other call",
    "forged",
    "no start",
    "no signature",
    "bad signature",
)


def prove(full: bool) -> dict[str, Any]:
    count = 1000 if full else 90
    return run_live(lambda system: _body(system, count))


async def _body(system: LiveSystem, count: int) -> dict[str, Any]:
    good = system.phone("+14155550199")
    system.ring(good)
    await until(lambda: bool(good.sounds), 20)
    sessions_before = len(system.model.sessions)
    kinds = [_KINDS[number % len(_KINDS)] for number in range(count)]
    random.Random(6).shuffle(kinds)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int, kind: str) -> tuple[str, float | None]:
        async with gate:
            return kind, await _try(system, good, number, kind)

    results = await asyncio.gather(*(one(number, kind) for number, kind in enumerate(kinds)))
    opened = len(system.model.sessions) - sessions_before
    let_in = [kind for kind, closed_s in results if closed_s is None]
    slow = [closed_s for _, closed_s in results if closed_s is not None and closed_s > _LIMIT_S]
    good.speak(0.8)
    sounds = len(good.sounds)
    unharmed = await until(lambda: len(good.sounds) > sounds, 10) and good.streams == 1
    errors = system.server_errors()
    times = [closed_s for _, closed_s in results if closed_s is not None]
    return {
        "trials": count,
        "violations": opened + len(let_in) + len(slow) + (not unharmed) + len(errors),
        "model_sessions_opened": opened,
        "not_closed": len(let_in),
        "closed_late": len(slow),
        "good_call_unharmed": unharmed,
        "errors_logged": len(errors),
        "p50": percentile(times, 0.5) * 1000,
        "p99": percentile(times, 0.99) * 1000,
        "max_ms": max(times, default=0.0) * 1000,
    }


async def _try(system: LiveSystem, good: "Phone", number: int, kind: str) -> float | None:
    """Seconds until the socket was closed or refused; None if it stayed open."""
    from tests.prove.live_phone import signature

    url = f"{system.media_url}/twilio/media"
    victim = await system.rows(lambda: ringing_call(f"+1415556{number:04d}"))
    token = await system.rows(lambda: _token(kind, victim))
    phone = system.phone(f"+1415556{number:04d}")
    phone.sid = victim.provider_sid or ""
    phone._stream_sid = "MZ" + secrets.token_hex(16)
    headers = signature(url, {})
    if kind == "no signature":
        headers = {}
    elif kind == "bad signature":
        headers = signature(url + "/elsewhere", {})
    began = time.monotonic()
    try:
        async with connect(url, compression=None, additional_headers=headers, open_timeout=20) as ws:
            if kind != "no start":
                await ws.send(orjson.dumps({"event": "connected", "protocol": "Call"}).decode())
                parameters = {"call": str(victim.pk)} | ({"token": token} if token else {})
                start = phone.start_message(parameters)
                await ws.send(orjson.dumps(start).decode())
            async with asyncio.timeout(_LIMIT_S * 3):
                await ws.wait_closed()
    except TimeoutError:
        return None
    except websockets.InvalidStatus:
        pass
    except (websockets.WebSocketException, OSError):
        pass
    return time.monotonic() - began


def _token(kind: str, victim: "Call") -> str:
    from django.utils import timezone

    from voice.models import StreamToken
    from voice.services import live

    match kind:
        case "no token":
            return ""
        case "expired":
            return _expired(victim)
        case "reused":
            token = live.issue_token(victim)
            StreamToken.objects.filter(call=victim).update(used_at=timezone.now())
            return token
        case "other call":
            return live.issue_token(ringing_call("+14155569999"))
        case "forged":
            token = live.issue_token(victim)
            return token[:-4] + ("AAAA" if not token.endswith("AAAA") else "BBBB")
        case _:
            return live.issue_token(victim)


def _expired(victim: "Call") -> str:
    """As `live.issue_token` makes them, a second after its time."""
    from django.conf import settings
    from django.utils import timezone

    from voice.models import StreamToken
    from voice.wire import stream_token

    past = timezone.now() - timedelta(seconds=1)
    nonce = secrets.token_hex(16)
    StreamToken.objects.create(nonce=nonce, call=victim, expires_at=past)
    claims = stream_token.StreamClaims(
        workspace=victim.workspace_id.hex, call=victim.pk.hex, nonce=nonce, expires_at=int(past.timestamp())
    )
    return stream_token.issue(claims, key_id="1", key=settings.STREAM_TOKEN_KEY)


if __name__ == "__main__":
    main("B6", prove)
