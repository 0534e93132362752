"""Two workspaces with accounts and keys of their own: each call goes over its own, and no other would do.

The doubles are strict: an account knows its numbers, calls and recordings only, takes its own token only and
signs with it; the model lets in the keys that it was told of, and counts which was used for what.
"""

from collections.abc import Iterator

import httpx2
import pytest

from tests.flows import tenants
from tests.flows.tenants import OwnTenant, answered
from tests.flows.world import CRM, V, World

RESPONSES, REALTIME = "/v1/responses", "/v1/realtime"


@pytest.fixture(scope="module")
def pair(world: World) -> Iterator[tuple[OwnTenant, OwnTenant]]:
    anna = tenants.make(world.system, "anna", "+14155550122")
    boris = tenants.make(world.system, "boris", "+14155550133")
    yield anna, boris
    anna.api.close()
    boris.api.close()


def settings_key(world: World) -> dict[str, int]:
    return tenants.uses(world.system, world.system.env["OPENAI_API_KEY"])


def test_the_account_of_another_is_refused(pair: tuple[OwnTenant, OwnTenant]) -> None:
    anna, boris = pair
    mixed = {"account_sid": anna.account_sid, "auth_token": boris.auth_token}
    refused = answered(anna.put("twilio", mixed), 422).json()["detail"][0]
    assert (refused["loc"], refused["type"]) == (["body", "auth_token"], "credential_refused")
    answered(anna.put("openai", {"api_key": "sk-" + "x" * 40}), 422)
    for one in pair:
        one.credentials()
        one.import_number()
    taken = anna.api._http.post(f"{V}/numbers", json={"e164": boris.number})
    assert taken.status_code in {409, 422}, "her account has no such number"


def test_an_incoming_call_goes_over_the_account_and_the_key_of_its_workspace(
    world: World, pair: tuple[OwnTenant, OwnTenant]
) -> None:
    before = settings_key(world)
    for one, other in (pair, pair[::-1]):
        said = {"scenario": "inbound-qualified", "to": one.number}
        others = tenants.uses(world.system, other.openai_key)
        sid = world.carrier("POST", f"calls?account={one.account_sid}", said)["sid"]
        call = _finished(world, one)
        assert call["outcome"] == "qualified", call
        mine = tenants.uses(world.system, one.openai_key)
        assert mine[REALTIME] >= 1
        assert mine[RESPONSES] >= 1
        assert tenants.uses(world.system, other.openai_key) == others
        _recording_is_ours_alone(world, one, call["id"], sid)
    assert settings_key(world) == before


def test_an_outgoing_call_too(world: World, pair: tuple[OwnTenant, OwnTenant]) -> None:
    anna, boris = pair
    phone = world.number("0149")
    scenario = {
        "name": "short",
        "call": {"direction": "outbound", "to": phone, "answer": "person", "ring_s": 1},
        "script": [{"caller": "Hello?"}, {"caller": "No, thank you. Goodbye."}],
    }
    before = settings_key(world)
    for one in (anna, boris):
        world.answers(phone, scenario)
        lead = one.api.post(f"{CRM}/leads", {"first_name": "Test", "phone": phone})["id"]
        agreed = {"purpose": "marketing", "source": "form", "given_at": "2026-01-01T00:00:00Z"}
        one.api.post(f"{CRM}/leads/{lead}/consents", agreed)
        made = one.api.post(f"{V}/batches", {"lead_ids": [lead], "objective": "Qualify them"})

        def over(one: OwnTenant = one, batch_id: str = made["id"]) -> bool | None:
            return one.api.get(f"{V}/batches/{batch_id}")["status"] == "completed" or None

        world.until(over, "the batch was not completed", 120)
        listed = world.carrier("GET", f"calls?account={one.account_sid}&number=%2B{phone[1:]}")["calls"]
        assert [call["direction"] for call in listed] == ["outbound-api"], "it is her number"
    assert settings_key(world) == before


def test_credentials_that_were_taken_away_end_it(world: World, pair: tuple[OwnTenant, OwnTenant]) -> None:
    anna, _ = pair
    refused = answered(anna.api._http.delete(f"{V}/credentials/twilio"), 409).json()
    assert (refused["code"], refused["numbers"]) == ("account_in_use", 1)
    answered(anna.api._http.delete(f"{V}/credentials/twilio?force=true"), 204)
    known = len(anna.api.get(f"{V}/calls")["items"])
    sid = world.carrier(
        "POST", f"calls?account={anna.account_sid}", {"scenario": "inbound-qualified", "to": anna.number}
    )["sid"]

    def over() -> bool | None:
        told = world.carrier("GET", f"calls/{sid}?account={anna.account_sid}")
        return told["status"] in {"completed", "failed", "busy", "no-answer"} or None

    world.until(over, "the carrier's call did not end")
    assert len(anna.api.get(f"{V}/calls")["items"]) == known, "nobody's signature is believed"


def _finished(world: World, one: OwnTenant) -> dict[str, object]:
    def over() -> dict[str, object] | None:
        calls = one.api.get(f"{V}/calls", direction="inbound")["items"]
        return next((dict(call) for call in calls if call["status"] == "finalized"), None)

    return world.until(over, "the call was not finalized", 90)


def _recording_is_ours_alone(world: World, one: OwnTenant, call_id: object, sid: str) -> None:
    """Fetched and deleted with the account's own token: the carrier takes no other for it."""
    mine = (one.account_sid, one.auth_token)
    base = f"{world.system.carrier_url}/2010-04-01/Accounts/{one.account_sid}"

    def kept() -> bool | None:
        listed = httpx2.get(f"{base}/Recordings.json", auth=mine, trust_env=False).json()["recordings"]
        stored = one.api._http.get(f"{V}/calls/{call_id}/recording").status_code == 200
        return (stored and not [item for item in listed if item["call_sid"] == sid]) or None

    world.until(kept, "the recording was not fetched, or is still at the carrier", 60)
    shared = (world.system.env["TWILIO_ACCOUNT_SID"], world.system.env["TWILIO_AUTH_TOKEN"])
    assert httpx2.get(f"{base}/Recordings.json", auth=shared, trust_env=False).status_code == 401
