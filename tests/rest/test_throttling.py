"""Requests a minute, shared by all processes through Redis."""

import uuid

import pytest
from pytest_django import Settings

from tenex.rest import throttling
from tenex.rest.errors import RateLimited
from tenex.workspaces.services import keys
from tests.api.world import PASSWORD, Api, Tenant

CALLS = "/api/v1/voice/calls"


def test_a_key_has_its_own_minute(alice: Tenant, settings: Settings) -> None:
    settings.RATE_LIMIT_PER_MINUTE = 3
    _, other = keys.create(alice.workspace, "other", ["*"], "system:test")
    for left in (2, 1, 0):
        answer = alice.api.get(CALLS)
        assert answer.status_code == 200
        assert answer["RateLimit-Remaining"] == str(left)
        assert answer["RateLimit-Limit"] == "3"
    refused = alice.api.get(CALLS)
    assert refused.status_code == 429
    assert set(refused.json()) == {"error", "message"}
    assert refused.json()["error"] == "rate_limited"
    assert 1 <= int(refused["Retry-After"]) <= 60
    assert Api(other).get(CALLS).status_code == 200


def test_without_a_good_credential_the_address_counts(alice: Tenant, settings: Settings) -> None:
    settings.RATE_LIMIT_PER_MINUTE = 2
    assert alice.api.get(CALLS).status_code == 200
    assert [Api().get(CALLS).status_code for _ in range(3)] == [401, 401, 429]
    assert Api("tnx_wrong").get(CALLS).status_code == 429
    assert alice.api.get(CALLS).status_code == 200


def test_a_refused_request_does_not_count() -> None:
    key = f"test:{uuid.uuid4()}"
    throttling.admit(key, limit=1)
    for _ in range(5):
        with pytest.raises(RateLimited):
            throttling.admit(key, limit=1)
    assert throttling.admit(key, limit=2).remaining == 0


def test_guessing_a_password_is_slow(alice: Tenant) -> None:
    for _ in range(20):
        throttling.admit("login:owner@alice.example", limit=20)
    guess = {"email": "Owner@alice.example", "password": PASSWORD}
    assert Api().post("/api/v1/users/login", guess).status_code == 429


def test_without_redis_requests_pass(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    throttling._script.cache_clear()
    throttling._valkey.cache_clear()
    monkeypatch.setattr(throttling, "_silent_until", 0.0)
    try:
        for _ in range(3):
            throttling.admit("test:any", limit=1)
    finally:
        throttling._script.cache_clear()
        throttling._valkey.cache_clear()
        throttling._silent_until = 0.0
