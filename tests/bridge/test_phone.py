"""The outgoing half of a media socket: at once if the server takes it, queued and bounded if not."""

import asyncio
import json
from typing import Any

import pytest

from voice.bridge import phone as phone_module
from voice.bridge.phone import Phone


class Wire:
    """An ASGI `send` that can be made to wait, as uvicorn's does when the peer does not read."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.error: Exception | None = None

    async def send(self, message: Any) -> None:
        await self.open.wait()
        if self.error is not None:
            raise self.error
        frame = json.loads(message["text"])
        body = frame.get("media", frame.get("mark", {}))
        self.sent.append(body.get("payload") or body.get("name") or frame["event"])


class Case:
    def __init__(self) -> None:
        self.wire = Wire()
        self.broken: list[str] = []
        self.phone = Phone(self.wire.send, "MZ1", self.broken.append)


@pytest.fixture
async def case() -> Case:
    return Case()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_frame_is_sent_within_the_call_that_made_it(case: Case) -> None:
    case.phone.play("AAAA")
    case.phone.mark("m1")
    assert case.wire.sent == ["AAAA", "m1"]  # no turn of the loop in between
    assert case.phone.queued_bytes == 0


async def test_order_is_kept_while_the_peer_does_not_read(case: Case) -> None:
    case.wire.open.clear()
    for number in range(5):
        case.phone.play(f"AAA{number}")
        case.phone.mark(f"m{number}")
    assert case.wire.sent == []
    case.wire.open.set()
    await settle()
    case.phone.mark("last")
    assert case.wire.sent == [name for n in range(5) for name in (f"AAA{n}", f"m{n}")] + ["last"]


async def test_clear_overtakes_audio_that_has_not_left(case: Case) -> None:
    case.wire.open.clear()
    for payload in ("AAA0", "AAA1", "AAA2"):
        case.phone.play(payload)
    case.phone.mark("m")
    case.phone.clear()
    case.wire.open.set()
    await settle()
    assert case.wire.sent == ["AAA0", "m", "clear"]  # the first was with the server already


async def test_too_much_unsent_is_a_broken_socket(case: Case) -> None:
    case.wire.open.clear()
    for _ in range(40):
        case.phone.play("A" * 100_000)
    assert case.broken == ["too much unsent"]
    assert case.phone.queued_bytes == 0
    case.phone.play("AAAA")  # after that nothing is kept
    assert case.phone.queued_bytes == 0


async def test_a_peer_that_reads_nothing_for_long_is_broken(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phone_module, "STUCK_S", 0.05)
    case.wire.open.clear()
    case.phone.play("AAAA")
    await asyncio.sleep(0.2)
    assert case.broken == ["not read"]


async def test_a_failing_send_is_a_broken_socket(case: Case) -> None:
    case.wire.error = ConnectionError("gone")
    case.phone.play("AAAA")
    case.phone.play("AAAA")
    assert case.broken == ["send failed"]


async def test_nothing_is_sent_after_stop(case: Case) -> None:
    case.wire.open.clear()
    case.phone.play("AAA0")
    case.phone.play("AAA1")
    case.phone.stop()
    case.wire.open.set()
    await settle()
    case.phone.play("AAA2")
    assert case.wire.sent == []
    assert case.broken == []
