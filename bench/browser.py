"""Chromium with an owner's session, for what is measured in pages."""

import os
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

SIZE: Final = {"width": 1440, "height": 900}


def owner_session(workspace_id: uuid.UUID) -> str:
    """The cookie of somebody new who owns the workspace and has signed in."""
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

    from tenex.workspaces.models import Membership, User

    user = User.objects.create_user(f"{secrets.token_hex(4)}@example.com")
    Membership.objects.create(user=user, workspace_id=workspace_id, role="owner")
    store = import_module(settings.SESSION_ENGINE).SessionStore()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.save()
    return str(store.session_key)


@contextmanager
def chromium(port: int, cookie: str) -> Iterator[Any]:
    """A browser's context with the cookie for the server at `port`."""
    from django.conf import settings
    from playwright.sync_api import sync_playwright

    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # Playwright's loop runs in this thread
    binary = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    with sync_playwright() as play:
        opened = play.chromium.launch(
            executable_path=binary, args=["--no-sandbox", "--disable-gpu", "--no-first-run"]
        )
        context = opened.new_context(viewport=SIZE)  # type: ignore[arg-type]
        address = f"http://127.0.0.1:{port}"
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": address}])
        yield context
        opened.close()
