"""The websocket of the live pages, `/console/ws` and `/console/ws?call=…`: a snapshot, then what changes.

Server to page only, JSON in text frames: `snapshot` (all cards, or one call with its transcript), `change`,
`lines` (of the one call), `levels`, and `alive` every few seconds. A page that gets nothing for longer than
that is not connected, whatever its browser thinks.
"""

import asyncio
import contextlib
import uuid
from typing import Any, Final
from urllib.parse import parse_qs

import structlog
from channels.consumer import AsyncConsumer
from django.db import Error as DatabaseFault

from tenex.errors import NotFound, TenexError
from tenex.pages import sockets
from tenex.pages.sockets import Door
from tenex.rest.off_loop import off_loop
from tenex.workspaces.principal import Principal
from voice.console import callview
from voice.console.board import Board, Page, board_of

log = structlog.get_logger(__name__)

ALIVE_S: Final = 3.0
_READY_WAIT_S: Final = 5.0
TRY_AGAIN: Final = 1013


class LiveSocket(AsyncConsumer):  # type: ignore[misc]  # channels is not typed
    """One page."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        try:
            door = sockets.door_of(scope)
            call_id = _call_asked_for(scope)
            principal = await sockets.admit(door, "calls:read")
            if call_id is not None:
                await off_loop(callview.must_exist)(principal.workspace, call_id)
        except (TenexError, DatabaseFault) as exc:
            log.info("live page refused", error=type(exc).__name__)
            await sockets.refuse(send)
            return
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        page = Page(call_id)
        board = board_of(principal.workspace.pk)
        with board.watch(page):
            code = await sockets.until_first(
                _until_left(receive), _write(send, page, board, principal), _check(door, principal)
            )
        await sockets.close(send, code)


def _call_asked_for(scope: Any) -> uuid.UUID | None:
    """
    Raises:
        NotFound: what is asked for is no call's id.
    """
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("call")
    try:
        return uuid.UUID(asked[0]) if asked else None
    except ValueError as exc:
        raise NotFound("there is no such thing here") from exc


async def _until_left(receive: Any) -> None:
    """The page has nothing to say."""
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def _check(door: Door, principal: Principal) -> int:
    """Until the session, the membership or the right ends; the close code."""
    while True:
        await asyncio.sleep(sockets.CHECK_S)
        try:
            if not await sockets.may_go_on(door, principal, "calls:read"):
                return sockets.SESSION_OVER
        except DatabaseFault:
            return TRY_AGAIN


async def _write(send: Any, page: Page, board: Board, principal: Principal) -> int | None:
    loop = asyncio.get_running_loop()
    sent_at = loop.time()
    while True:
        if not board.is_fresh:
            # The rows cannot be read: what the page shows may be old, and it must know.
            if not page.behind:
                return TRY_AGAIN
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_READY_WAIT_S):
                    await board.ready.wait()
            if not board.is_fresh:
                return TRY_AGAIN
        if page.behind:
            if page.call_id is None:
                page.behind = False  # no wait between these two: nothing is missed or told twice
                await send(_text(board.snapshot()))
            else:
                page.behind = False  # lines that come meanwhile are passed over by their numbers
                await send(_text(await callview.snapshot(principal.workspace, page.call_id)))
            sent_at = loop.time()
        for message in page.take():
            await send(_text(message))
            sent_at = loop.time()
        await page.news(max(0.05, sent_at + ALIVE_S - loop.time()))
        if loop.time() - sent_at >= ALIVE_S and board.is_fresh:
            await send(_text('{"type":"alive"}'))
            sent_at = loop.time()


def _text(message: str) -> dict[str, Any]:
    return {"type": "websocket.send", "text": message}
