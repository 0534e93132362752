"""Each limit of tenex.lib.limits, tried at the place where strangers meet it (promises.md R13)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from tenex.lib import limits
from tenex.rest import throttling
from tenex.rest.errors import RateLimited
from tests.api.conftest import alice, files, fresh_limits
from tests.api.world import Api, Tenant

__all__ = ["alice", "files", "fresh_limits"]

LEADS = "/api/v1/crm/leads"
NOWHERE = "01900000-0000-7000-8000-000000000000"


def requests(tenant: Tenant) -> None:
    assert settings.RATE_LIMIT_PER_MINUTE == limits.REQUESTS_PER_MINUTE
    for _ in range(limits.REQUESTS_PER_MINUTE):
        throttling.admit("test:limit")
    with pytest.raises(RateLimited):
        throttling.admit("test:limit")


def wrong_secrets(tenant: Tenant) -> None:
    from tenex.workspaces.services import keys

    guess = Api(keys.text_of(tenant.key_prefix, "a" * 43))
    answers = [guess.get(LEADS).status_code for _ in range(limits.WRONG_SECRETS_PER_MINUTE + 1)]
    assert answers == [401] * limits.WRONG_SECRETS_PER_MINUTE + [429]


def sign_ins(tenant: Tenant) -> None:
    for _ in range(limits.SIGN_INS_PER_MINUTE):
        throttling.admit("login:nobody@example.com", limit=limits.SIGN_INS_PER_MINUTE)
    body = {"email": "nobody@example.com", "password": "x"}
    assert Api().post("/api/v1/users/login", body).status_code == 429


def shared_opens(tenant: Tenant) -> None:
    for _ in range(limits.SHARED_OPENS_PER_MINUTE):
        throttling.admit("shared:ip:127.0.0.1", limit=limits.SHARED_OPENS_PER_MINUTE)
    assert Client().get("/console/shared/guess").status_code == 429


def body_bytes(tenant: Tenant) -> None:
    fits = b'{"first_name": "A"' + b" " * (limits.BODY_BYTES - 19) + b"}"
    assert len(fits) == limits.BODY_BYTES
    assert tenant.api.post(LEADS, fits).status_code == 201
    assert tenant.api.post(LEADS, fits + b" ").status_code == 413


def upload_bytes(tenant: Tenant) -> None:
    """tests/rest/test_body_limit.py sends too much; here: that a file of 25 MiB fits, in a form."""
    from crm.services import imports

    assert imports.MAX_BYTES < limits.UPLOAD_BODY_BYTES


def json_depth(tenant: Tenant) -> None:
    def nested(levels: int) -> bytes:
        return b'{"custom": {"a": ' + b"[" * (levels - 2) + b"]" * (levels - 2) + b"}}"

    assert tenant.api.post(LEADS, nested(limits.JSON_DEPTH)).status_code == 201
    assert tenant.api.post(LEADS, nested(limits.JSON_DEPTH + 1)).status_code == 400


def free_object(tenant: Tenant) -> None:
    assert tenant.api.post(LEADS, {"custom": {"a": "x" * (limits.FREE_OBJECT_BYTES + 1)}}).status_code == 422


def bulk(tenant: Tenant) -> None:
    body = {"lead_ids": [NOWHERE] * (limits.BULK_ITEMS + 1), "objective": "o"}
    answer = tenant.api.post("/api/v1/voice/batches", body)
    assert answer.json()["detail"][0]["loc"] == ["body", "lead_ids"]


def pages(tenant: Tenant) -> None:
    from crm.models import Lead

    rows = [Lead(workspace=tenant.workspace, first_name=str(n)) for n in range(limits.PAGE_ITEMS_MOST + 1)]
    Lead.objects.bulk_create(rows)
    assert len(tenant.api.get(LEADS).json()["items"]) == limits.PAGE_ITEMS
    assert len(tenant.api.get(f"{LEADS}?limit=100000").json()["items"]) == limits.PAGE_ITEMS_MOST


def idempotency_key(tenant: Tenant) -> None:
    for length, status in ((limits.IDEMPOTENCY_KEY_CHARS, 201), (limits.IDEMPOTENCY_KEY_CHARS + 1, 422)):
        answer = tenant.api.post(LEADS, {"first_name": "A"}, Idempotency_Key="k" * length)
        assert answer.status_code == status


def answers_kept(tenant: Tenant) -> None:
    from tenex.workspaces.models import IdempotentRequest
    from tenex.workspaces.services import housekeeping

    for age_h, forgotten in ((limits.ANSWERS_KEPT_H - 1, 0), (limits.ANSWERS_KEPT_H + 1, 1)):
        tenant.api.post(LEADS, {"first_name": "A"}, Idempotency_Key="k")
        IdempotentRequest.objects.update(created_at=timezone.now() - timedelta(hours=age_h))
        assert housekeeping.forget_answers() == forgotten


def frames(tenant: Tenant) -> None:
    """tests/server/test_serve.py sends one that is too large; here: that the server is told."""
    import uvicorn

    from tenex.server import serve

    told: dict[str, Any] = {}

    class Config(uvicorn.Config):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            told.update(kwargs)
            raise InterruptedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uvicorn, "Config", Config)
        with pytest.raises(InterruptedError):
            serve.serve(lambda *_: None, None, serve.ServeOptions(drain_timeout_s=1))  # type: ignore[arg-type]
    assert (told["ws_max_size"], told["ws_max_queue"]) == (limits.FRAME_BYTES, limits.FRAME_QUEUE)


def live_call(tenant: Tenant) -> None:
    """tests/session and tests/tools try them on a call; here: that the call gets these and no others."""
    from voice.session.limits import Limits
    from voice.tools import registry

    session = Limits()
    assert session.max_duration_s == limits.CALL_S
    assert session.tool_deadline_s == limits.TOOL_DEADLINE_S
    assert session.tool_output_bytes == registry.OUTPUT_BYTES == limits.TOOL_OUTPUT_BYTES


TRIED: dict[str, Callable[[Tenant], None]] = {
    "REQUESTS_PER_MINUTE": requests,
    "WRONG_SECRETS_PER_MINUTE": wrong_secrets,
    "SIGN_INS_PER_MINUTE": sign_ins,
    "BODY_BYTES": body_bytes,
    "UPLOAD_BODY_BYTES": upload_bytes,
    "SHARED_OPENS_PER_MINUTE": shared_opens,
    "JSON_DEPTH": json_depth,
    "FREE_OBJECT_BYTES": free_object,
    "BULK_ITEMS": bulk,
    "PAGE_ITEMS": pages,
    "PAGE_ITEMS_MOST": pages,
    "IDEMPOTENCY_KEY_CHARS": idempotency_key,
    "ANSWERS_KEPT_H": answers_kept,
    "FRAME_BYTES": frames,
    "FRAME_QUEUE": frames,
    "CALL_S": live_call,
    "TOOL_OUTPUT_BYTES": live_call,
    "TOOL_DEADLINE_S": live_call,
}


@pytest.mark.parametrize("name", [name for name in vars(limits) if name.isupper()])
def test_a_limit_is_enforced(alice: Tenant, name: str) -> None:
    TRIED[name](alice)
