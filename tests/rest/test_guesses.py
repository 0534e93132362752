"""Guessing the secret of a key whose prefix is known (promises.md D6)."""

import secrets
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tenex.lib import limits
from tenex.rest import gate, guesses
from tenex.workspaces.services import keys
from tests.api.world import Api, Tenant

ME = "/api/v1/users/me"


def wrong(prefix: str) -> Api:
    return Api(keys.text_of(prefix, "".join(secrets.choice("abcXYZ123") for _ in range(43))))


def exhaust(prefix: str) -> None:
    for _ in range(limits.WRONG_SECRETS_PER_MINUTE):
        assert wrong(prefix).get(ME).status_code == 401


def test_after_ten_wrong_secrets_no_more_are_looked_at(alice: Tenant) -> None:
    exhaust(alice.key_prefix)
    for _ in range(3):
        with CaptureQueriesContext(connection) as queries:
            refused = wrong(alice.key_prefix).get(ME)
        assert (refused.status_code, len(queries)) == (429, 0)
        assert set(refused.json()) == {"error", "message"}
        assert 1 <= int(refused["Retry-After"]) <= 60


def test_a_key_in_use_is_not_held_up_by_guesses(alice: Tenant) -> None:
    assert alice.api.get(ME).status_code == 200
    exhaust(alice.key_prefix)
    assert wrong(alice.key_prefix).get(ME).status_code == 429
    assert alice.api.get(ME).status_code == 200
    guesses.forget()  # as another process, which has seen nothing
    assert wrong(alice.key_prefix).get(ME).status_code == 429
    assert alice.api.get(ME).status_code == 200


def test_nor_does_anybody_else_feel_them(alice: Tenant, charlie: Tenant) -> None:
    exhaust(alice.key_prefix)
    assert charlie.api.get(ME).status_code == 200
    assert wrong(charlie.key_prefix).get(ME).status_code == 401


def test_a_revoked_key_that_is_used_on_is_no_guess(alice: Tenant) -> None:
    key, text = keys.create(alice.workspace, "old", ["*"], "system:test")
    assert Api(text).get(ME).status_code == 200
    keys.revoke(key, "system:test")
    assert {Api(text).get(ME).status_code for _ in range(12)} == {401}


async def test_the_gate_answers_for_django(settings: Any) -> None:
    """What this process has closed does not get as far as the application."""
    reached: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["path"])

    async def ask(text: str) -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        headers = [(b"host", b"x"), (b"authorization", f"Bearer {text}".encode())]
        scope: Any = {"type": "http", "path": "/x", "headers": headers}
        nothing: Any = None
        await gate.guarded(application)(scope, nothing, send)  # type: ignore[arg-type]
        return sent

    good, bad = keys.text_of("abcdefgh", "a" * 43), keys.text_of("abcdefgh", "b" * 43)
    assert await ask(bad) == []
    mark = guesses._mark(keys.digest("a" * 43))
    guesses._closed["abcdefgh"] = guesses._Closed(1e12, 1e12, mark)
    answer = await ask(bad)
    assert answer[0]["status"] == 429
    assert dict(answer[0]["headers"])[b"retry-after"]
    assert await ask(good) == []
    assert await ask("no key at all") == []
    assert reached == ["/x"] * 3
    guesses.forget()


@pytest.mark.parametrize("header", ["bearer", "BEARER", "Bearer "])
def test_the_scheme_is_taken_in_any_case(alice: Tenant, header: str) -> None:
    assert Api().get(ME, Authorization=f"{header} {alice.api.token}").status_code == 200
