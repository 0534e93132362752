"""What the resources do: versions, routing, control, provisioning, read-only fields."""

import uuid
from typing import Any
from unittest.mock import patch

import pytest

from crm.models import Lead
from tenex.events.models import Event
from tenex.webhooks.models import WebhookSubscription
from tenex.workspaces.models import AuditEntry
from tests import rows
from tests.api.world import Tenant, live_call
from voice.models import AgentVersion, Call, EndReason, VoiceProfile
from voice.services import control
from voice.services.agents import TOOL_NAMES
from voice.tools import catalog

V = "/api/v1/voice"


def test_a_change_of_the_prompt_is_a_new_version_and_calls_keep_theirs(alice: Tenant) -> None:
    path = f"{V}/agents/{alice.agent.id}"
    changed = alice.api.patch(path, {"system_prompt": "Be brief.", "note": "shorter"}).json()
    assert (changed["version"], changed["system_prompt"]) == (2, "Be brief.")
    assert changed["objective"] == "Book a demo", "the rest is carried over"
    assert alice.api.get(f"{V}/calls/{alice.call.id}").json()["agent_version"] == 1
    assert alice.api.get(f"{path}/versions/1").json()["system_prompt"] == "You qualify leads."
    assert [one["number"] for one in alice.api.get(f"{path}/versions").json()["items"]] == [2, 1]


def test_a_change_of_nothing_said_is_no_version(alice: Tenant) -> None:
    path = f"{V}/agents/{alice.agent.id}"
    assert (
        alice.api.patch(path, {"name": "Eva", "system_prompt": "You qualify leads."}).json()["version"] == 1
    )
    assert alice.api.get(path).json()["name"] == "Eva"


def test_an_old_version_is_restored_as_a_new_one(alice: Tenant) -> None:
    path = f"{V}/agents/{alice.agent.id}"
    alice.api.patch(path, {"system_prompt": "Be brief."})
    restored = alice.api.post(f"{path}/versions/1/restore").json()
    assert (restored["version"], restored["system_prompt"]) == (3, "You qualify leads.")


def test_an_archived_agent_leaves_lists_and_its_calls_stay(alice: Tenant) -> None:
    path = f"{V}/agents/{alice.agent.id}"
    used = alice.api.delete(path)
    assert (used.status_code, used.json()["code"]) == (409, "agent_in_use")
    assert (used.json()["numbers"], used.json()["batches"], used.json()["calls"]) == (1, 1, 0)
    alice.api.patch(f"{V}/numbers/{alice.number.id}", {"agent_id": None})
    alice.api.post(f"{V}/batches/{alice.batch.id}/cancel")
    assert alice.api.delete(path).status_code == 204
    assert alice.api.get(f"{V}/agents").json()["items"] == []
    (gone,) = alice.api.get(f"{V}/agents?archived=true").json()["items"]
    assert gone["archived_at"]
    assert alice.api.get(f"{V}/calls/{alice.call.id}").json()["agent_id"] == str(alice.agent.id)


def test_the_tools_that_an_agent_may_have_are_those_that_exist() -> None:
    assert set(TOOL_NAMES) == set(catalog.TOOLS)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("voice", "robot"),
        ("speed", 1.6),
        ("speed", 0.2),
        ("language", "english"),
        ("turn_detection", "none"),
        ("vad_threshold", 1.1),
        ("silence_duration_ms", 50),
        ("eagerness", "very"),
        ("noise_reduction", "full"),
        ("max_duration_s", 7201),
        ("model", "gpt realtime"),
        ("keywords", "Acme"),
    ],
)
def test_a_profile_takes_only_what_the_model_takes(alice: Tenant, field: str, value: object) -> None:
    answer = alice.api.patch(f"{V}/profiles/{alice.profile.id}", {field: value})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", field]


def test_a_profile_takes_what_the_model_takes(alice: Tenant) -> None:
    wanted = {
        "voice": "voice_abc123",
        "speed": 1.25,
        "turn_detection": "semantic_vad",
        "eagerness": "low",
        "noise_reduction": "near_field",
        "keywords": ["Acme"],
    }
    shown = alice.api.patch(f"{V}/profiles/{alice.profile.id}", wanted).json()
    assert {name: shown[name] for name in wanted} == wanted
    assert alice.api.patch(f"{V}/profiles/{alice.profile.id}", {"noise_reduction": None}).status_code == 200
    assert VoiceProfile.objects.get().noise_reduction == ""


def test_numbers_are_normalized_routed_and_announced(alice: Tenant) -> None:
    body = {
        "e164": "(415) 555-0133",
        "configure": False,
        "agent_id": str(alice.agent.id),
        "fallback_number": "+1 415 555 0134",
    }
    made = alice.api.post(f"{V}/numbers", body).json()
    assert (made["e164"], made["fallback_number"]) == ("+14155550133", "+14155550134")
    assert alice.api.post(f"{V}/numbers", body).json()["code"] == "number_taken"
    alice.api.patch(f"{V}/numbers/{made['id']}", {"agent_id": None})
    told = (
        Event.objects.filter(type="number.updated").order_by("seq").values_list("data__agent_id", flat=True)
    )
    assert list(told) == [str(alice.agent.id), None]


def test_an_outbound_session_is_a_queued_call(alice: Tenant) -> None:
    body = {"agent_id": str(alice.agent.id), "lead_id": str(alice.lead.id), "objective": "Say hello"}
    made = alice.api.post(f"{V}/sessions", body)
    assert made.status_code == 201
    assert (made.json()["status"], made.json()["direction"]) == ("queued", "outbound")
    call = Call.objects.get(pk=made.json()["call_id"])
    assert (call.status, call.to_number, call.lead_id) == ("queued", alice.lead.phone, alice.lead.id)


@pytest.mark.parametrize("who", [{}, {"lead_id": "l", "phone": "+14155550101"}])
def test_an_outbound_session_is_to_a_lead_or_a_number(alice: Tenant, who: dict[str, str]) -> None:
    who = {name: str(alice.lead.id) if value == "l" else value for name, value in who.items()}
    answer = alice.api.post(f"{V}/sessions", {"agent_id": str(alice.agent.id), **who})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["type"] == "one_of"


def test_a_suppressed_number_is_not_called(alice: Tenant) -> None:
    answer = alice.api.post(f"{V}/sessions", {"agent_id": str(alice.agent.id), "phone": "+14155550199"})
    assert (answer.status_code, answer.json()["code"]) == (409, "suppressed")


def test_a_browser_session_waits_for_its_socket(alice: Tenant) -> None:
    made = alice.api.post(f"{V}/sessions", {"agent_id": str(alice.agent.id), "direction": "browser"}).json()
    assert made["direction"] == "browser"
    assert "/sessions/media/t1." in made["stream_url"]
    shown = alice.api.get(f"{V}/sessions/{made['id']}").json()
    assert (shown["status"], shown["call_status"]) == ("provisioned", "ringing")
    assert shown["stream_url"] is None, "shown once"
    again = alice.api.post(f"{V}/sessions/{made['id']}/stream-url")
    assert again.status_code == 201
    assert again.json()["stream_url"] not in (None, made["stream_url"])
    assert AuditEntry.objects.filter(action="session.readmitted", object_id=made["id"]).exists()
    hung_up = alice.api.post(f"{V}/calls/{made['call_id']}/hangup")
    assert hung_up.status_code == 202
    assert Call.objects.get(pk=made["call_id"]).end_reason == EndReason.CANCELED
    over = alice.api.post(f"{V}/sessions/{made['id']}/stream-url")
    assert (over.status_code, over.json()["code"]) == (409, "call_over")


def test_a_session_of_the_carrier_has_no_socket_of_its_own(alice: Tenant) -> None:
    refused = alice.api.post(f"{V}/sessions/{alice.session.id}/stream-url")
    assert (refused.status_code, refused.json()["code"]) == (409, "carrier_call")


def test_sessions_count_as_lines(alice: Tenant) -> None:
    alice.api.patch(f"{V}/settings", {"max_concurrent_calls": 1})
    body = {"agent_id": str(alice.agent.id), "direction": "browser"}
    assert alice.api.post(f"{V}/sessions", body).status_code == 201
    full = alice.api.post(f"{V}/sessions", body)
    assert (full.status_code, full.json()["code"]) == (409, "no_capacity")


@pytest.mark.parametrize(
    ("command", "body"), [("hangup", None), ("say", {"text": "One moment"}), ("transfer", {})]
)
def test_a_live_call_is_told(
    alice: Tenant, command: str, body: Any, django_capture_on_commit_callbacks: Any
) -> None:
    alice.api.patch(f"{V}/settings", {"transfer_number": "+1 415 555 0166"})
    call = live_call(alice.workspace, alice.agent, alice.number)
    with patch.object(control, "send") as send, django_capture_on_commit_callbacks(execute=True):
        answer = alice.api.post(f"{V}/calls/{call.id}/{command}", body)
    assert answer.status_code == 202
    (told,) = send.call_args_list
    assert told.args == (call.id, command)
    match command:
        case "say":
            assert told.kwargs["text"] == "One moment"
            assert told.kwargs["by"].startswith("key:")
        case "transfer":
            assert told.kwargs["number"] == answer.json()["to"] == "+14155550166"
        case _:
            call.refresh_from_db()
            assert call.end_hint == EndReason.OPERATOR_HANGUP
    assert AuditEntry.objects.filter(action=f"call.{command}", object_id=str(call.id)).exists()


def test_a_queued_call_is_canceled_at_once(alice: Tenant) -> None:
    body = {"agent_id": str(alice.agent.id), "lead_id": str(alice.lead.id)}
    call_id = alice.api.post(f"{V}/sessions", body).json()["call_id"]
    assert alice.api.post(f"{V}/calls/{call_id}/hangup").status_code == 202
    shown = alice.api.get(f"{V}/calls/{call_id}").json()
    assert (shown["status"], shown["end_reason"]) == ("ended", "canceled")


def test_a_batch_is_created_appended_paused_resumed_canceled(alice: Tenant) -> None:
    more = alice.api.post("/api/v1/crm/leads", {"phone": "+14155550155"}).json()["id"]
    rows.agree(Lead.objects.get(pk=more))
    silent = alice.api.post("/api/v1/crm/leads", {"first_name": "No phone"}).json()["id"]
    body = {"lead_ids": [str(alice.lead.id), silent], "objective": "Book", "client_reference": "may"}
    made = alice.api.post(f"{V}/batches", body).json()
    assert (made["accepted"], [one["code"] for one in made["rejected"]]) == (1, ["no_phone"])
    assert made["call_batch_id"] == made["id"]
    assert alice.api.post(f"{V}/batches", body).json()["id"] == made["id"], "the reference protects"
    path = f"{V}/batches/{made['id']}"
    assert alice.api.post(f"{path}/leads", {"lead_ids": [more]}).json()["accepted"] == 1
    assert alice.api.get(path).json()["totals"]["pending"] == 2
    assert alice.api.post(f"{path}/pause").json()["status"] == "paused"
    assert alice.api.post(f"{path}/resume").json()["status"] == "running"
    assert alice.api.post(f"{path}/cancel").json()["status"] == "canceled"
    late = alice.api.post(f"{path}/leads", {"lead_ids": [more]})
    assert (late.status_code, late.json()["code"]) == (409, "batch_over")


def test_a_webhooks_secret_is_shown_once(alice: Tenant) -> None:
    made = alice.api.post(f"{V}/webhooks", {"url": "http://127.0.0.1:9/x", "events": ["call.ended"]}).json()
    assert made["secret"].startswith("whsec_")
    path = f"{V}/webhooks/{made['id']}"
    assert "secret" not in alice.api.get(path).json()
    assert alice.api.patch(path, {"status": "paused"}).json()["status"] == "paused"
    assert alice.api.delete(path).status_code == 204
    assert not WebhookSubscription.objects.filter(pk=made["id"]).exists()
    refused = alice.api.post(f"{V}/webhooks", {"url": "http://10.0.0.1/x"})
    assert refused.json()["detail"][0]["loc"] == ["body", "url"]


def test_settings_are_checked_and_noted(alice: Tenant) -> None:
    path = f"{V}/settings"
    changed = alice.api.patch(path, {"calling_paused": True, "calling_window_start": "10:00"}).json()
    assert changed["calling_paused_at"]
    assert changed["calling_window_start"] == "10:00"
    assert alice.api.patch(path, {"calling_paused": False}).json()["calling_paused_at"] is None
    for wrong in ({"time_zone": "Mars"}, {"calling_window_end": "09:00"}, {"recording_retention_days": 0}):
        assert alice.api.patch(path, wrong).status_code == 422
    assert AuditEntry.objects.filter(action="workspace.updated").count() == 2


def test_places_where_another_mode_of_recording_holds(alice: Tenant) -> None:
    path = f"{V}/settings"
    given = {"germany": "explicit", "us-California": "off"}
    changed = alice.api.patch(path, {"recording_consent_places": given}).json()
    assert changed["recording_consent_places"] == {"DE": "explicit", "US-CA": "off"}
    wrong: tuple[dict[str, Any], ...] = ({"Atlantis": "off"}, {"DE": "maybe"}, {"DE-BY": "off"}, {"DE": None})
    for one in wrong:
        answer = alice.api.patch(path, {"recording_consent_places": one})
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"][:2] == ["body", "recording_consent_places"]
    assert alice.api.patch(path, {"recording_consent_places": {}}).json()["recording_consent_places"] == {}


def test_leads_are_written_shown_and_archived(alice: Tenant) -> None:
    path = "/api/v1/crm/leads"
    made = alice.api.post(
        path, {"first_name": "Ana", "email": "ANA@x.example", "organization": "Acme"}
    ).json()
    assert (made["email"], made["organization"]) == ("ana@x.example", "Acme")
    changed = alice.api.patch(f"{path}/{made['id']}", {"stage": "contacted"}).json()
    assert changed["stage"] == "contacted"
    assert [one["id"] for one in alice.api.get(f"{path}?q=acme+ana").json()["items"]] == [made["id"]]
    assert alice.api.delete(f"{path}/{made['id']}").status_code == 204
    assert made["id"] not in alice.api.get(path).content.decode()
    assert [one["id"] for one in alice.api.get(f"{path}?archived=true").json()["items"]] == [made["id"]]
    assert alice.api.get(f"{path}/{made['id']}").json()["archived_at"]


READ_ONLY: dict[str, list[str]] = {
    f"{V}/agents": ["id", "company_id", "version", "created_at", "archived_at", "current_version"],
    f"{V}/profiles": ["id", "company_id", "workspace", "created_at"],
    f"{V}/numbers": ["id", "company_id", "released_at", "created_at"],
    f"{V}/webhooks": ["id", "secret", "failing_since", "disabled_reason", "previous_secret"],
    f"{V}/batches": ["id", "status", "completed_at", "company_id", "totals"],
    f"{V}/sessions": ["id", "call_id", "status", "provider_sid"],
    "/api/v1/crm/leads": ["id", "opted_out_at", "last_outcome", "qualification", "archived_at", "company_id"],
    "/api/v1/admin/api-keys": ["prefix", "secret", "digest", "workspace", "revoked_at"],
}


@pytest.mark.parametrize(("path", "fields"), READ_ONLY.items(), ids=list(READ_ONLY))
def test_what_is_read_only_cannot_be_written(alice: Tenant, path: str, fields: list[str]) -> None:
    for field in fields:
        detail = alice.api.post(path, {field: str(uuid.uuid4())}).json()["detail"]
        assert {"loc": ["body", field], "msg": "unknown field", "type": "extra_forbidden"} in detail


def test_a_settings_change_cannot_touch_what_is_not_a_setting(alice: Tenant) -> None:
    for field in ("slug", "company_id", "webhook_secret", "event_seq", "calling_paused_at"):
        assert alice.api.patch(f"{V}/settings", {field: "x"}).status_code == 422
    assert AgentVersion.objects.count() == 1
