"""Websockets of pages: the browser's session is the credential, asked for again while the socket lives."""

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from typing import Any, Final

from django.conf import settings
from django.contrib import auth
from django.http import HttpRequest

from tenex.errors import Forbidden, TenexError, Unauthorized
from tenex.pages.views import membership_of
from tenex.rest import origins
from tenex.rest.off_loop import off_loop
from tenex.workspaces.models import User
from tenex.workspaces.principal import Principal
from tenex.workspaces.services import people

CHECK_S: Final = 10.0
"""How often a socket asks whether its session still counts."""
POLICY_VIOLATION: Final = 1008
SESSION_OVER: Final = 4401
"""Close code: sign in again. A page does not try again by itself."""


@dataclass(frozen=True, slots=True)
class Door:
    """What a socket brought: enough to ask again later."""

    session_key: str

    def principal(self) -> Principal:
        """Who that is now. In a thread.

        Raises:
            Unauthorized: nobody, any more. Forbidden: a member of no workspace.
        """
        engine = import_module(settings.SESSION_ENGINE)
        request = HttpRequest()
        request.session = engine.SessionStore(self.session_key)
        user = auth.get_user(request)
        if not isinstance(user, User) or not user.is_active:
            raise Unauthorized("the session is over")
        return people.principal(membership_of(request, user))


def door_of(scope: Mapping[str, Any]) -> Door:
    """
    Raises:
        Unauthorized: there is no session.
        Forbidden: a page of another site asks. A browser sends the cookie all the same.
    """
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    origin = headers.get(b"origin", "")
    if origin != settings.OWN_ORIGIN and not origins.is_same_host(origin, headers.get(b"host", "")):
        raise Forbidden("not a page of ours")
    try:
        cookies = SimpleCookie(headers.get(b"cookie", ""))
    except CookieError:
        cookies = SimpleCookie()
    found = cookies.get(settings.SESSION_COOKIE_NAME)
    if found is None or not found.value:
        raise Unauthorized("there is no session")
    return Door(found.value)


@off_loop
def admit(door: Door, scope_name: str) -> Principal:
    """Who is at the door, if they hold this scope.

    Raises:
        TenexError: nobody, or not for this.
    """
    principal = door.principal()
    if not principal.allows(scope_name):
        raise Forbidden(f"your role does not allow this ({scope_name})")
    return principal


async def may_go_on(door: Door, principal: Principal, *scopes: str) -> bool:
    """Whether it is still the same person, in the same workspace, who may do the same."""
    try:
        now = await admit(door, scopes[0])
    except TenexError:
        return False
    same = now.workspace.pk == principal.workspace.pk and now.user_id == principal.user_id
    return same and all(now.allows(scope) for scope in scopes)


async def until_first(*works: Coroutine[Any, Any, int | None]) -> int | None:
    """Run what a socket does until one part of it ends; the close code, if a part gave one."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        codes = await asyncio.gather(*tasks, return_exceptions=True)
    return next((one for one in codes if isinstance(one, int)), None)


async def refuse(send: Any) -> None:
    """Before it is accepted: HTTP 403."""
    await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": None})


async def close(send: Any, code: int | None) -> None:
    """With this code, if there is one and anybody is there."""
    if code is not None:
        with contextlib.suppress(Exception):  # the peer may be gone
            await send({"type": "websocket.close", "code": code, "reason": None})
