"""Steering a live call: errors, repeats, and what is noted."""

from datetime import timedelta
from unittest.mock import patch

from django.utils import timezone

from tenex.errors import Unavailable
from tenex.workspaces.models import AuditEntry
from tests.api.world import Tenant, live_call
from voice.models import Call, Recording
from voice.services import control

C = "/api/v1/voice/calls"


def test_a_line_is_said_once_for_one_key(alice: Tenant) -> None:
    call = live_call(alice.workspace, alice.agent, alice.number)
    with patch.object(control, "send") as send:
        for _ in range(2):
            answer = alice.api.post(f"{C}/{call.id}/say", {"text": "One moment"}, Idempotency_Key="k")
            assert answer.status_code == 202
    assert send.call_count == 1
    assert AuditEntry.objects.filter(action="call.say").count() == 1


def test_the_agent_is_told_muted_and_unmuted(alice: Tenant) -> None:
    call = live_call(alice.workspace, alice.agent, alice.number)
    with patch.object(control, "send") as send:
        for command, body in (("whisper", {"text": "Offer ten per cent"}), ("mute", {}), ("unmute", {})):
            answer = alice.api.post(f"{C}/{call.id}/{command}", body)
            assert (answer.status_code, answer.json()["accepted"]) == (202, True)
    assert [given.args[1] for given in send.call_args_list] == ["whisper", "mute", "unmute"]
    assert send.call_args_list[0].kwargs["text"] == "Offer ten per cent"
    actions = ["call.whisper", "call.mute", "call.unmute"]
    assert AuditEntry.objects.filter(action__in=actions).count() == 3


def test_what_could_not_be_told_is_503_and_not_noted(alice: Tenant) -> None:
    call = live_call(alice.workspace, alice.agent, alice.number)
    with patch.object(control, "send", side_effect=Unavailable("away")):
        answer = alice.api.post(f"{C}/{call.id}/say", {"text": "One moment"}, Idempotency_Key="k")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert not AuditEntry.objects.filter(action="call.say").exists()
    with patch.object(control, "send") as send:
        assert (
            alice.api.post(f"{C}/{call.id}/say", {"text": "One moment"}, Idempotency_Key="k").status_code
            == 202
        )
    assert send.call_count == 1, "the key is not burnt by a failure of ours"


def test_nobody_is_told_while_the_media_are_being_resumed(alice: Tenant) -> None:
    call = live_call(alice.workspace, alice.agent, alice.number)
    Call.objects.filter(pk=call.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    for command, body in (
        ("say", {"text": "Hi"}),
        ("whisper", {"text": "Hi"}),
        ("mute", {}),
        ("unmute", {}),
        ("transfer", {"to": "+14155550166"}),
    ):
        answer = alice.api.post(f"{C}/{call.id}/{command}", body)
        assert (answer.status_code, answer.json()["code"]) == (409, "call_not_connected")


def test_hanging_up_twice_is_one_hang_up(alice: Tenant) -> None:
    call = live_call(alice.workspace, alice.agent, alice.number)
    with patch.object(control, "send"):
        assert [alice.api.post(f"{C}/{call.id}/hangup").status_code for _ in range(2)] == [202, 202]
    call.refresh_from_db()
    assert call.end_hint == "operator-hangup"


def test_wrong_commands_say_what_is_wrong(alice: Tenant) -> None:
    call = live_call(alice.workspace, alice.agent, alice.number)
    for command, body, loc in (
        ("say", {}, "text"),
        ("whisper", {"text": ""}, "text"),
        ("say", {"text": ""}, "text"),
        ("say", {"text": "x" * 1001}, "text"),
        ("transfer", {"to": "12"}, "to"),
        ("transfer", {"number": "+14155550166"}, "number"),
    ):
        answer = alice.api.post(f"{C}/{call.id}/{command}", body)
        assert answer.json()["detail"][0]["loc"] == ["body", loc]


def test_a_recording_past_its_retention_is_gone_before_it_is_deleted(alice: Tenant) -> None:
    path = f"{C}/{alice.call.id}/recording"
    assert alice.api.get(path).json()["url"]
    Recording.objects.filter(call=alice.call).update(purge_after=timezone.now() - timedelta(seconds=1))
    gone = alice.api.get(path)
    assert (gone.status_code, gone.json()["code"]) == (410, "recording_expired")


def test_settings_are_kept_and_noted_with_what_they_were(alice: Tenant) -> None:
    path = "/api/v1/voice/settings"
    wanted = {"calling_days": [5, 1, 1], "max_calls_per_lead_a_day": 2}
    shown = alice.api.patch(path, wanted).json()
    assert (shown["calling_days"], shown["max_calls_per_lead_a_day"]) == ([1, 5], 2)
    noted = AuditEntry.objects.filter(action="workspace.updated").latest("created_at").data
    assert noted["before"]["max_calls_per_lead_a_day"] == 3
    assert noted["after"]["calling_days"] == [1, 5]
    loosened = {"calling_rules": "legal"}
    refused = alice.api.patch(path, loosened)
    assert refused.json()["detail"][0]["loc"] == ["body", "calling_rules_reason"]
    who = {"legal_name": " Acme  Robots, Inc. ", "calling_countries": ["germany", "US", "us"]}
    how = {
        "default_purpose": "informational",
        "max_calls_per_lead_a_week": 5,
        "min_gap_between_calls_s": 3600,
    }
    shown = alice.api.patch(path, {**loosened, **who, **how, "calling_rules_reason": "counsel agrees"}).json()
    assert (shown["legal_name"], shown["calling_countries"]) == ("Acme Robots, Inc.", ["DE", "US"])
    assert (shown["calling_rules"], shown["default_purpose"]) == ("legal", "informational")
    noted = AuditEntry.objects.filter(action="workspace.updated").latest("created_at").data
    assert (noted["reason"], noted["before"]["calling_rules"]) == ("counsel agrees", "strict")
    wrongs: tuple[dict[str, object], ...] = (
        {"calling_countries": ["Narnia"]},
        {"default_purpose": "fun"},
        {"min_gap_between_calls_s": 59},
        {"default_region": "XX"},
        {"calling_days": []},
        {"calling_days": [0]},
        {"calling_days": [1] * 8},
        {"max_calls_per_lead_a_day": 0},
    )
    for wrong in wrongs:
        assert alice.api.patch(path, wrong).status_code == 422
