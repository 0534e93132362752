"""A browser's session is not in the database in a form that opens it."""

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from tenex.pages.session_store import SessionStore, stored
from tenex.workspaces.models import User

pytestmark = pytest.mark.django_db


def test_the_cookie_is_not_the_key_of_the_row() -> None:
    user = User.objects.create_user("ana@acme.example", "correct horse battery")
    browser = Client()
    browser.force_login(user)
    cookie = browser.cookies["sessionid"].value
    [row] = Session.objects.all()
    assert row.session_key == stored(cookie) != cookie
    assert SessionStore(cookie).load()["_auth_user_id"] == str(user.pk)
    assert SessionStore(row.session_key).load() == {}, "the row's key is no cookie"
    assert SessionStore().exists(cookie)
    browser.post("/console/logout")
    assert not Session.objects.exists()


def test_a_session_is_changed_cycled_and_flushed() -> None:
    session = SessionStore()
    session["a"] = 1
    session.save()
    first = session.session_key
    session["a"] = 2
    session.save()
    assert SessionStore(first)["a"] == 2
    session.cycle_key()
    session.save()
    assert session.session_key != first
    assert SessionStore(first).load() == {}
    assert Session.objects.count() == 1
    session.flush()
    assert not Session.objects.exists()


async def test_the_same_without_threads(transactional_db: None) -> None:
    session = SessionStore()
    await session.aset("a", 1)
    await session.asave()
    again = SessionStore(session.session_key)
    assert await again.aget("a") == 1
    assert await again.aexists(str(session.session_key))
    await again.adelete()
    assert not await Session.objects.aexists()
