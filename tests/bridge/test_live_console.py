"""The sockets of the console over a real server: who gets in, what they see, hear, say, and the end."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

import pytest
from django.conf import settings as configured
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.db import OperationalError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tenex.pages import sockets
from tenex.workspaces.models import AuditEntry, Membership, Role, User, Workspace
from tests.bridge.conftest import SILENCE, Talk, World, make_call
from voice.bridge import tap as taps
from voice.console import board
from voice.models import CallEvent
from voice.selectors import live
from voice.services import journal
from voice.wire import g711

pytestmark = pytest.mark.django_db(transaction=True)

LOUD = base64.b64encode(bytes([0x00, 0x80] * 80)).decode()
"""20 ms at full scale."""


def session_of(space: Workspace, role: Role) -> str:
    """The cookie of a browser in which such a person has signed in."""
    user = User.objects.create_user(f"{role}@example.com")
    Membership.objects.create(user=user, workspace=space, role=role)
    store = import_module(configured.SESSION_ENGINE).SessionStore()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.save()
    return str(store.session_key)


class Browser:
    """A page's socket; messages are kept by type, sound apart."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws
        self.sound: list[bytes] = []

    async def of(self, kind: str, timeout_s: float = 8.0) -> dict[str, Any]:
        """The next message of that type."""
        async with asyncio.timeout(timeout_s):
            while True:
                received = await self.ws.recv()
                if isinstance(received, bytes):
                    self.sound.append(received)
                    if kind == "sound":
                        return {}
                    continue
                message: dict[str, Any] = json.loads(received)
                if message["type"] == kind:
                    return message

    async def do(self, wish: str, **more: str) -> None:
        await self.ws.send(json.dumps({"do": wish, **more}))

    async def closed(self, timeout_s: float = 8.0) -> int | None:
        async with asyncio.timeout(timeout_s):
            try:
                while True:
                    await self.ws.recv()
            except ConnectionClosed:
                return self.ws.close_code


@asynccontextmanager
async def page(
    world: World, path: str, cookie: str | None, *, origin: str | None = None
) -> AsyncIterator[Browser]:
    headers = {} if cookie is None else {"Cookie": f"{configured.SESSION_COOKIE_NAME}={cookie}"}
    headers["Origin"] = origin or world.url.replace("ws", "http", 1)
    async with connect(f"{world.url}{path}", compression=None, additional_headers=headers) as ws:
        yield Browser(ws)


async def refused(world: World, path: str, cookie: str | None, **more: Any) -> None:
    with pytest.raises(InvalidStatus) as told:
        async with page(world, path, cookie, **more):
            pass
    assert told.value.response.status_code == 403


async def cookie_of(world: World, talk: Talk, role: Role = Role.OPERATOR) -> str:
    made: str = await world.orm(lambda: session_of(talk.call.workspace, role))
    return made


# --- who gets in -----------------------------------------------------------------------------------


async def test_only_a_session_of_ours_from_a_page_of_ours_gets_in(world: World) -> None:
    async with world.talking() as talk:
        cookie = await cookie_of(world, talk, Role.VIEWER)
        await refused(world, "/console/ws", None)
        await refused(world, "/console/ws", "nonsense")
        for origin in ("https://evil.example.com", "null", configured.OWN_ORIGIN + ".evil.example.com"):
            await refused(world, "/console/ws", cookie, origin=origin)
        async with page(world, "/console/ws", cookie) as browser:
            assert [one["id"] for one in (await browser.of("snapshot"))["calls"]] == [str(talk.call.pk)]
        async with page(world, "/console/ws", cookie, origin=configured.OWN_ORIGIN):
            pass
        await talk.phone.stop()
        await talk.over()


async def test_calls_of_others_are_neither_shown_nor_opened_nor_heard(world: World) -> None:
    async with world.talking() as talk:
        other = await world.orm(lambda: session_of(make_call().workspace, Role.OWNER))
        for path in ("/console/ws?call={}", "/console/live/{}/audio"):
            await refused(world, path.format(talk.call.pk), other)
        await refused(world, "/console/ws?call=x", other)
        async with page(world, "/console/ws", other) as browser:
            shown = [one["id"] for one in (await browser.of("snapshot"))["calls"]]
            assert str(talk.call.pk) not in shown
            await browser.of("alive")
        await talk.phone.stop()
        await talk.over()


@pytest.mark.parametrize("end", ["session", "membership"])
async def test_a_socket_ends_with_what_let_it_in(
    world: World, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(sockets, "CHECK_S", 0.1)
    async with world.talking() as talk:
        cookie = await cookie_of(world, talk)
        async with (
            page(world, "/console/ws", cookie) as watching,
            page(world, f"/console/live/{talk.call.pk}/audio", cookie) as talking,
        ):
            await watching.of("snapshot")
            await talking.do("take_over")
            await talking.of("talking")
            if end == "session":
                store = import_module(configured.SESSION_ENGINE).SessionStore(cookie)
                await world.orm(store.delete)
            else:
                await world.orm(lambda: Membership.objects.all().delete())
            assert await watching.closed() == sockets.SESSION_OVER
            assert await talking.closed() == sockets.SESSION_OVER
        await talk.phone.stop()
        await talk.over()
        types = await world.orm(
            lambda: list(CallEvent.objects.filter(call=talk.call).values_list("type", flat=True))
        )
        assert "operator.gave_back" in types


# --- what they see ---------------------------------------------------------------------------------


async def test_a_snapshot_comes_first_and_then_what_changes(world: World) -> None:
    async with world.talking() as talk:
        cookie = await cookie_of(world, talk, Role.VIEWER)
        async with page(world, "/console/ws", cookie) as browser:
            (card,) = (await browser.of("snapshot"))["calls"]
            assert (card["state"], card["agent"], card["lead"]["name"]) == ("talking", "Ava", "Maria")
            await talk.agent_says()
            await talk.heard()
            while not (change := await browser.of("change"))["calls"][0].get("turns"):
                pass
            assert change["calls"][0]["turns"][0]["speaker"] == "agent"
            line = journal.Line(
                "tool.started", {"tool_call_id": "t1", "name": "lookup_lead", "arguments": {}}
            )
            await world.orm(lambda: journal.append(talk.call.pk, [line]))
            while "state" not in (changed := (await browser.of("change"))["calls"][0]):
                pass
            assert (changed["state"], changed["tool"]) == ("tool", "lookup_lead")
        await talk.phone.stop()
        await talk.over()


async def test_a_page_of_one_call_has_its_lines_each_once(world: World) -> None:
    async with world.talking() as talk:
        cookie = await cookie_of(world, talk, Role.VIEWER)
        async with page(world, f"/console/ws?call={talk.call.pk}", cookie) as browser:
            snapshot = await browser.of("snapshot")
            seen = [line["seq"] for line in snapshot["lines"]]
            upto = snapshot["seq"]
            lines = [journal.Line("call.dtmf", {"digits": str(n)}) for n in range(5)]
            await world.orm(lambda: journal.append(talk.call.pk, lines))
            digits: list[str] = []
            while len(digits) < 5:
                for line in (await browser.of("lines"))["lines"]:
                    if line["seq"] > upto:
                        assert line["seq"] not in seen
                        seen.append(line["seq"])
                        digits += [line["data"]["digits"]] if line["type"] == "call.dtmf" else []
            assert digits == ["0", "1", "2", "3", "4"]
        await talk.phone.stop()
        await talk.over()


async def test_a_page_is_not_kept_when_the_rows_cannot_be_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.talking() as talk:
        cookie = await cookie_of(world, talk, Role.VIEWER)
        async with page(world, "/console/ws", cookie) as browser:
            await browser.of("snapshot")

            def away(workspace_id: object) -> None:
                raise OperationalError("gone")

            monkeypatch.setattr(live, "rows", away)
            assert await browser.closed() == 1013
        await talk.phone.stop()
        await talk.over()


async def test_a_page_that_does_not_keep_up_begins_anew() -> None:
    slow = board.Page()
    slow.behind = False
    for n in range(board._MOST_WAITING):
        slow.offer(str(n))
    assert len(slow.take()) == board._MOST_WAITING
    for n in range(board._MOST_WAITING + 1):
        slow.offer(str(n))
    assert slow.behind, "one too many"
    assert slow.take() == []


# --- levels: only while somebody watches ------------------------------------------------------------


async def test_levels_are_measured_only_while_somebody_watches(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "LEASE_S", 0.6)
    async with world.talking() as talk:
        here = taps.taps_of(asyncio.get_running_loop())
        cookie = await cookie_of(world, talk, Role.VIEWER)
        await talk.phone.speak(5, LOUD)
        assert not here._taps
        async with page(world, "/console/ws", cookie) as browser:
            await browser.of("snapshot")
            loudest = 0
            while loudest < 90:
                await talk.phone.speak(10, LOUD)
                caller, agent = (await browser.of("levels"))["levels"][str(talk.call.pk)]
                loudest = max(loudest, caller)
            assert agent == 0
        async with asyncio.timeout(5):
            while here._taps:
                await asyncio.sleep(0.05)
        assert here._timer is None or here._timer.cancelled() or not here._taps
        await talk.phone.stop()
        await talk.over()


# --- listen, talk ----------------------------------------------------------------------------------


async def test_who_listens_hears_both_sides_in_step(world: World) -> None:
    async with world.talking() as talk:
        cookie = await cookie_of(world, talk)
        async with page(world, f"/console/live/{talk.call.pk}/audio", cookie) as browser:
            await browser.do("listen")
            await browser.of("listening")
            await asyncio.sleep(0.3)  # the wish reaches the live call
            await talk.agent_says(400)
            await talk.phone.wait_for("media")
            heard = b""
            while len(heard) < 2 * 3200:
                await talk.phone.speak(10, LOUD)
                await browser.of("sound")
                heard = b"".join(browser.sound)
            caller = b"".join(piece[: len(piece) // 2] for piece in browser.sound)
            ours = b"".join(piece[len(piece) // 2 :] for piece in browser.sound)
            assert len(caller) == len(ours)
            assert set(caller) == {0x00, 0x80}
            assert ours.count(0x55) == 3200, "what the agent said, once and whole"
            assert set(ours) <= {0x55, g711.MULAW_SILENCE}
        line = await world.orm(lambda: CallEvent.objects.get(call=talk.call, type="operator.listened"))
        assert line.data == {"by": "user:operator@example.com", "audible": False}
        assert await world.orm(lambda: AuditEntry.objects.filter(action="call.listen").count()) == 1
        await talk.phone.stop()
        await talk.over()


async def test_an_operator_is_heard_and_gives_the_call_back_by_leaving(world: World) -> None:
    async with world.talking() as talk:
        cookie = await cookie_of(world, talk)
        asked = len(talk.session.of("response.create"))
        async with page(world, f"/console/live/{talk.call.pk}/audio", cookie) as browser:
            await browser.ws.send(b"\x11" * 800)
            await browser.do("take_over")
            await browser.of("talking")
            await asyncio.sleep(0.3)
            for _ in range(3):
                await browser.ws.send(b"\x22" * 800)
            media = await talk.phone.wait_for("media", 3)
            assert base64.b64decode(media["media"]["payload"]) == b"\x22" * 800
        await talk.session.wait_for("response.create", asked + 1)
        await talk.phone.stop()
        await talk.over()
        lines = await world.orm(
            lambda: dict(CallEvent.objects.filter(call=talk.call).values_list("type", "data"))
        )
        assert lines["operator.took_over"]["by"] == "user:operator@example.com"
        assert lines["operator.gave_back"]["why"] == "operator-lost"


async def test_a_viewer_neither_listens_nor_talks(world: World) -> None:
    async with world.talking() as talk:
        cookie = await cookie_of(world, talk, Role.VIEWER)
        async with page(world, f"/console/live/{talk.call.pk}/audio", cookie) as browser:
            for wish in ("listen", "take_over"):
                await browser.do(wish)
                assert (await browser.of("refused"))["code"] == "forbidden"
            await browser.ws.send(b"\x22" * 800)
            await browser.ws.send("not json")
            assert (await browser.of("refused"))["detail"] == "not understood"
            await talk.phone.speak(2, SILENCE)
        assert not talk.phone.of("media")
        await talk.phone.stop()
        await talk.over()
