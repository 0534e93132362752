"""Every setting of a voice profile reaches the model, and the model takes it.

Saved over the API, read as a live call reads it, sent to the offline model, which refuses what the real one
would refuse; what counts is the configuration that the model then says it has.
"""

import asyncio
from typing import Any

import pytest
from pytest_django import Settings

from tests.api.world import Tenant, live_call
from tests.rehearsal.offline_model import KEY, serving
from voice.bridge.assembly import limits_of, session_config
from voice.models import VoiceProfile
from voice.realtime.openai import Endpoint, OpenAIRealtime
from voice.services import live
from voice.session.limits import Limits
from voice.wire.openai_commands import SessionConfig

P = "/api/v1/voice/profiles"
EVERYTHING: dict[str, Any] = {
    "voice": "voice_abc123",
    "model": "gpt-realtime-2.1-mini",
    "speed": 1.25,
    "language": "de",
    "turn_detection": "server_vad",
    "vad_threshold": 0.7,
    "prefix_padding_ms": 200,
    "silence_duration_ms": 650,
    "idle_timeout_ms": 9000,
    "noise_reduction": "far_field",
    "noise_reduction_strength": 0.4,
    "transcription_model": "gpt-live-transcribe",
    "transcription_prompt": "A call about robots.",
    "keywords": ["Northwind"],
    "reasoning_effort": "high",
    "max_output_tokens": 900,
    "retention_ratio": 0.6,
    "greeting": "Hello {{lead.first_name}}, it is {{agent.name}}.",
    "speaks_first": False,
    "silence_reprompt_s": 9,
    "silence_reprompts": 1,
    "max_duration_s": 600,
    "eagerness": "low",
}
_NOT_THE_MODELS = {
    "id", "company_id", "created_at", "name", "greeting", "speaks_first", "silence_reprompt_s",
    "silence_reprompts", "max_duration_s",
}  # fmt: skip


def context_of(tenant: Tenant) -> live.CallContext:
    call = live_call(tenant.workspace, tenant.agent, tenant.number, tenant.lead)
    return live.open_stream(live.issue_token(call), call.provider_sid or "", "MZ1", "test")


def effective(config: SessionConfig) -> dict[str, Any]:
    """The configuration that the strict model has after our `session.update`."""

    async def ask() -> dict[str, Any]:
        async with serving() as server:
            provider = OpenAIRealtime(Endpoint(server.base_url, KEY), config)
            connection = provider.connection(1, lambda _connection, _event: None)
            await connection.open([])
            (session,) = server.state.sessions.values()
            connection.close("done")
            return dict(session.config.value)

    return asyncio.run(ask())


def test_every_setting_is_told_to_the_model(alice: Tenant) -> None:
    shown = alice.api.patch(f"{P}/{alice.profile.id}", EVERYTHING)
    assert shown.status_code == 200, shown.content
    assert set(shown.json()) - _NOT_THE_MODELS <= set(EVERYTHING), "a setting that this test does not try"
    context = context_of(alice)
    has = effective(session_config(context, []))
    audio_in, audio_out = has["audio"]["input"], has["audio"]["output"]
    assert (has["model"], has["max_output_tokens"]) == ("gpt-realtime-2.1-mini", 900)
    assert has["reasoning"] == {"effort": "high"}
    assert has["truncation"] == {"type": "retention_ratio", "retention_ratio": 0.6}
    assert (audio_out["voice"], audio_out["speed"]) == ({"id": "voice_abc123"}, 1.25)
    assert audio_in["noise_reduction"] == {"type": "far_field", "strength": 0.4}
    assert audio_in["transcription"] == {
        "model": "gpt-live-transcribe",
        "language": "de",
        "keywords": ["Northwind"],
        "prompt": "A call about robots.",
    }
    assert audio_in["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.7,
        "prefix_padding_ms": 200,
        "silence_duration_ms": 650,
        "idle_timeout_ms": 9000,
        "create_response": True,
        "interrupt_response": True,
    }
    assert context.greeting == "Hello Maria, it is Ava."
    assert "Speak de " in has["instructions"]


def test_the_other_turn_detection_and_the_other_model(alice: Tenant) -> None:
    body = {
        "model": "gpt-realtime-1.5",
        "turn_detection": "semantic_vad",
        "eagerness": "low",
        "transcription_model": "off",
        "language": "",
    }
    assert alice.api.patch(f"{P}/{alice.profile.id}", body).status_code == 200
    has = effective(session_config(context_of(alice), []))
    assert has["audio"]["input"]["turn_detection"]["type"] == "semantic_vad"
    assert has["audio"]["input"]["turn_detection"]["eagerness"] == "low"
    assert has["audio"]["input"]["transcription"] is None
    assert has["max_output_tokens"] == "inf"
    assert "reasoning" not in has
    assert "Speak the language of the other person." in has["instructions"]


def test_the_limits_of_a_call_are_the_profiles(alice: Tenant) -> None:
    alice.api.patch(f"{P}/{alice.profile.id}", EVERYTHING)
    context = context_of(alice)
    limits: Limits = limits_of(context, OpenAIRealtime(Endpoint("", ""), session_config(context, [])))
    assert (limits.greeting_first, limits.silence_reprompt_s, limits.silence_reprompts) == (False, 9.0, 1)
    assert limits.max_duration_s == 600


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"model": "gpt-realtime-1.5", "reasoning_effort": "low"}, "reasoning_effort"),
        ({"model": "gpt-realtime-2025-08-28", "reasoning_effort": "low"}, "reasoning_effort"),
        ({"model": "gpt-4o-realtime-preview-2024-12-17"}, "model"),
        ({"turn_detection": "semantic_vad", "idle_timeout_ms": 6000}, "idle_timeout_ms"),
        ({"noise_reduction_strength": 0.5}, "noise_reduction_strength"),
        ({"transcription_model": "whisper-1", "keywords": ["Acme"]}, "keywords"),
        (
            {"transcription_model": "gpt-realtime-whisper", "transcription_prompt": "x"},
            "transcription_prompt",
        ),
        ({"idle_timeout_ms": 4999}, "idle_timeout_ms"),
        ({"max_output_tokens": 4097}, "max_output_tokens"),
        ({"retention_ratio": 1.1}, "retention_ratio"),
        ({"greeting": "Hi {{lead.frist_name}}"}, "greeting"),
    ],
)
def test_what_does_not_go_together_is_refused_whole(alice: Tenant, body: Any, field: str) -> None:
    before = VoiceProfile.objects.filter(pk=alice.profile.id).values().get()
    answer = alice.api.patch(f"{P}/{alice.profile.id}", body)
    assert answer.status_code == 422, answer.content
    assert answer.json()["detail"][0]["loc"] == ["body", field]
    assert VoiceProfile.objects.filter(pk=alice.profile.id).values().get() == before


def test_the_conflict_names_the_field_that_was_sent(alice: Tenant, settings: Settings) -> None:
    alice.api.patch(f"{P}/{alice.profile.id}", {"idle_timeout_ms": 6000, "reasoning_effort": "low"})
    refused = alice.api.patch(f"{P}/{alice.profile.id}", {"turn_detection": "semantic_vad"})
    assert refused.json()["detail"][0]["loc"] == ["body", "turn_detection"]
    refused = alice.api.patch(f"{P}/{alice.profile.id}", {"model": "gpt-realtime-1.5"})
    assert refused.json()["detail"][0]["loc"] == ["body", "model"]


def test_the_models_and_what_they_take_are_listed(alice: Tenant, settings: Settings) -> None:
    told = alice.api.get(f"{P}/options").json()
    assert told["default_model"] == settings.REALTIME_MODEL
    efforts = {one["name"]: one["reasoning_efforts"] for one in told["models"]}
    assert efforts["gpt-realtime-1.5"] == []
    assert "xhigh" in efforts["gpt-realtime-2.1"]
    assert {"name": "whisper-1", "prompt": True, "keywords": False} in told["transcription_models"]
