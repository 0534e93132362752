"""The official Python client, against the servers that we say this runs on, in both eras of the protocol."""

import uuid
from typing import Any

import orjson
import pytest
from mcp.client import Client

from tenex.events.models import Event
from tenex.workspaces.models import ApiKey
from tests.api.world import Tenant
from tests.mcp.servers import MODES, call, post, talk
from voice.models import Batch, Recipient

pytestmark = pytest.mark.django_db(transaction=True)

TOOLS = [
    "run_voice_qualifier", "get_call_results", "list_agents", "get_call", "get_transcript", "list_leads",
    "search_knowledge", "list_calendars", "whoami", "list_api_keys", "mint_api_key", "revoke_api_key",
]  # fmt: skip
PROMPTS = ["run_voice_qualifier", "get_call_results"]


@pytest.fixture(params=["uvicorn", "daphne"])
def base(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def answer_of(result: Any) -> dict[str, Any]:
    assert not result.is_error, result.content
    return dict(result.structured_content)


def error_of(result: Any) -> dict[str, Any]:
    assert result.is_error
    assert result.structured_content is None
    return dict(orjson.loads(result.content[0].text))


def test_it_says_what_it_is_and_has(alice: Tenant, base: str, mode: str) -> None:
    async def look(client: Client) -> None:
        assert client.protocol_version == ("2025-11-25" if mode == "legacy" else "2026-07-28")
        assert client.server_info is not None
        assert client.server_info.name == "tenex-voice"
        assert client.server_capabilities.tools is not None
        assert client.server_capabilities.prompts is not None
        assert client.server_capabilities.resources is None
        tools = (await client.list_tools()).tools
        assert [tool.name for tool in tools] == TOOLS
        prompts = (await client.list_prompts()).prompts
        assert [prompt.name for prompt in prompts] == PROMPTS
        text = (await client.get_prompt("get_call_results", {"call_batch_id": "7"})).messages[0].content
        assert '{"call_batch_id": "7"}' in getattr(text, "text", "")

    talk(base, alice.api.token, look, mode=mode)


def test_a_batch_from_dry_run_to_results(alice: Tenant, base: str, mode: str) -> None:
    before = Batch.objects.count(), Recipient.objects.count(), Event.objects.count()
    asked = {"lead_ids": [str(alice.lead.id), str(alice.lead.id)], "objective": "Book a demo"}

    async def dry(client: Client) -> dict[str, Any]:
        return answer_of(await client.call_tool("run_voice_qualifier", {**asked, "dry_run": True}))

    foreseen = talk(base, alice.api.token, dry, mode=mode)
    duplicate = {
        "lead_id": str(alice.lead.id),
        "code": "duplicate",
        "detail": "The lead is in the batch already.",
    }
    assert foreseen["would_call"][0]["lead_id"] == str(alice.lead.id)
    assert {k: v for k, v in foreseen.items() if k != "would_call"} == {
        "call_batch_id": None, "status": "dry_run", "accepted": 1, "rejected": [duplicate],
    }  # fmt: skip
    assert (Batch.objects.count(), Recipient.objects.count(), Event.objects.count()) == before

    async def real(client: Client) -> list[dict[str, Any]]:
        asked_again = asked | {"client_reference": "again"}
        return [answer_of(await client.call_tool("run_voice_qualifier", asked_again)) for _ in range(2)]

    made, again = talk(base, alice.api.token, real, mode=mode)
    assert set(made) == {"call_batch_id", "status", "accepted", "rejected"}
    assert (made["status"], made["accepted"], made["rejected"]) == ("queued", 1, [duplicate])
    assert again["call_batch_id"] == made["call_batch_id"]
    assert Batch.objects.count() == before[0] + 1

    async def results(client: Client) -> dict[str, Any]:
        return answer_of(await client.call_tool("get_call_results", {"call_batch_id": made["call_batch_id"]}))

    found = talk(base, alice.api.token, results, mode=mode)
    rest = alice.api.get(f"/api/v1/voice/batches/{made['call_batch_id']}/results").json()
    assert found["results"] == rest["items"]
    assert found["totals"]["pending"] == 1
    assert (found["status"], found["next_cursor"]) == ("queued", None)


def test_keys_are_minted_and_revoked_when_it_is_confirmed(alice: Tenant, base: str, mode: str) -> None:
    async def mint(client: Client) -> dict[str, Any]:
        return answer_of(await client.call_tool("mint_api_key", {"name": "n", "scopes": ["calls:read"]}))

    key = talk(base, alice.api.token, mint, mode=mode)

    async def try_out(client: Client) -> None:
        who = answer_of(await client.call_tool("whoami", {}))
        assert who["actor"] == f"key:{key['prefix']}"
        assert who["scopes"] == ["calls:read"]
        refused = error_of(await client.call_tool("list_api_keys", {}))
        assert refused == {
            "detail": "this credential lacks the scope keys:admin",
            "code": "forbidden_scope",
        }

    talk(base, key["secret"], try_out, mode=mode)

    async def revoke(client: Client) -> list[dict[str, Any]]:
        asked = {"prefix": key["prefix"]}
        return [
            answer_of(await client.call_tool("revoke_api_key", arguments))
            for arguments in (asked, {**asked, "confirm": True})
        ]

    asked, done = talk(base, alice.api.token, revoke, mode=mode)
    assert (asked["revoked"], asked["key"]["revoked_at"]) == (False, None)
    assert "confirm" in asked["detail"]
    assert done["revoked"]
    assert ApiKey.objects.get(prefix=key["prefix"]).revoked_at is not None
    assert post(base, key["secret"], call("whoami")).status_code == 401


def test_what_is_wrong_is_said_in_the_words_of_rest(alice: Tenant, base: str, mode: str) -> None:
    async def err(client: Client) -> None:
        nothing = error_of(await client.call_tool("get_call", {"call_id": str(uuid.uuid4())}))
        assert nothing == {"detail": "there is no such thing here", "code": "not_found"}
        wrong = error_of(await client.call_tool("get_call", {"call_id": "7", "also": 1}))
        assert wrong["code"] == "invalid_input"
        assert wrong["detail"][0]["loc"] == ["body", "also"]

    talk(base, alice.api.token, err, mode=mode)


def test_many_at_a_time_keep_apart(alice: Tenant, charlie: Tenant, base: str, mode: str) -> None:
    async def each(client: Client) -> set[str]:
        import asyncio

        found = await asyncio.gather(*(client.call_tool("whoami", {}) for _ in range(20)))
        return {answer_of(one)["company_id"] for one in found}

    for tenant in (alice, charlie):
        assert talk(base, tenant.api.token, each, mode=mode) == {str(tenant.workspace.id)}
