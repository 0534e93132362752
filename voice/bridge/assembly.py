"""Puts a live call together: limits and session configuration out of its context, then all its parts."""

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

from django.conf import settings

from crm.services import calendar_ports
from tenex.lib.clock import Clock
from voice.bridge import clips, threads
from voice.bridge.effects import CallControl, RegistryTools, SocketControl, ToolBox, TwilioControl
from voice.bridge.operator_words import Connect
from voice.bridge.phone import Phone
from voice.bridge.runner import Runner
from voice.bridge.writer import CallWriter
from voice.realtime.openai import Endpoint, OpenAIRealtime
from voice.realtime.port import ModelProvider
from voice.realtime.transcription import OpenAITranscription
from voice.services import model_access
from voice.services.live import CallContext
from voice.session.limits import Limits
from voice.session.machine import CallSession
from voice.wire import g711, realtime_models
from voice.wire.openai_commands import Effort, SessionConfig

_SCRIPTED_EARLY_MS: Final = 6000
"""What they say to the opening while the model is still coming up is heard, too."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What a call of this process is connected to. Tests and benches put others in their place."""

    tools: ToolBox = field(default_factory=RegistryTools)
    control: CallControl = field(default_factory=TwilioControl)
    provider: Callable[[CallContext, SessionConfig], ModelProvider] | None = None
    words: Callable[[CallContext, SessionConfig], Connect] | None = None
    """Writes down what operators say; none beside a provider that is another's."""


ports = Ports()


def warm_up() -> None:
    """Do now what the first call would otherwise pay for: files, and imports that take a second."""
    import twilio.request_validator
    import twilio.rest
    import twilio.twiml.voice_response  # noqa: F401

    import voice.tools.registry  # noqa: F401

    calendar_ports.warm_up()
    clips.load()


async def build(
    context: CallContext,
    clock: Clock,
    *,
    phone: Phone,
    writer: CallWriter,
    close_stream: Callable[[str], None],
    hang_up: Callable[[str], None],
) -> Runner:
    """A runner for this call, not started yet. `hang_up` ends a call that no carrier has."""
    chosen = ports
    schemas = await asyncio.get_running_loop().run_in_executor(
        threads.openers(), lambda: threads.with_connection(lambda: chosen.tools.definitions(context.tools))
    )
    config = session_config(context, schemas)
    provider: ModelProvider = (chosen.provider or openai)(context, config)
    words = chosen.words or (operator_words if chosen.provider is None else None)
    limits = limits_of(context, provider)
    transfer = {"number": context.transfer_number} if context.transfer_number else None
    machine = CallSession(
        limits,
        clock.now(),
        direction=context.direction,
        amd_expected=context.amd_expected,
        greeting=context.greeting,
        history=list(context.history),
        fallback_transfer=transfer,
        clip_ms={
            **{name: float(clip.ms) for name, clip in clips.load().items()},
            **{name: g711.base64_ms(sound) for name, sound in context.sounds.items()},
        },
        script=context.script,
        off_record=context.off_record,
    )
    return Runner(
        machine,
        context,
        clock,
        phone=phone,
        provider=provider,
        writer=writer,
        tools=chosen.tools,
        control=chosen.control if context.by_carrier else SocketControl(asyncio.get_running_loop(), hang_up),
        close_stream=close_stream,
        words=words(context, config) if words is not None else None,
    )


def limits_of(context: CallContext, provider: ModelProvider) -> Limits:
    """The profile's limits. A resumed call goes on with the time that is left of it."""
    able, voice = provider.capabilities, context.voice
    spent_s = context.spent_s * settings.TIME_SCALE if context.resumed else 0.0
    standard = Limits()
    rotate_s = able.max_session_s - 300 if able.max_session_s else 1e9
    return Limits(
        greeting_first=voice.speaks_first,
        silence_reprompt_s=float(voice.silence_reprompt_s),
        silence_reprompts=voice.silence_reprompts,
        silence_hangup_s=float(voice.silence_reprompt_s),
        max_duration_s=max(standard.wrap_up_s + 5, voice.max_duration_s - spent_s),
        rotate_after_s=min(standard.rotate_after_s, rotate_s),
        server_interrupts=able.interrupts,
        # With a script the machine alone says when the model may speak: never before the opening.
        server_responds=able.responds and context.script is None,
        early_audio_ms=standard.early_audio_ms if context.script is None else _SCRIPTED_EARLY_MS,
    )


def session_config(context: CallContext, schemas: list[dict[str, Any]]) -> SessionConfig:
    """What the model is told about itself, its voice and its tools."""
    voice = context.voice
    return SessionConfig(
        model=voice.model or settings.REALTIME_MODEL,
        instructions=context.instructions,
        audio_format="audio/pcm" if settings.REALTIME_AUDIO == "pcm24k" else "audio/pcmu",
        voice=voice.voice,
        speed=voice.speed,
        transcription_model=realtime_models.transcriber(
            voice.transcription_model, settings.TRANSCRIPTION_MODEL
        ),
        transcription_prompt=voice.transcription_prompt,
        language=voice.language,
        keywords=voice.keywords,
        turn_detection=cast(Literal["server_vad", "semantic_vad"], voice.turn_detection),
        vad_threshold=voice.vad_threshold,
        prefix_padding_ms=voice.prefix_padding_ms,
        silence_duration_ms=voice.silence_duration_ms,
        idle_timeout_ms=voice.idle_timeout_ms if context.script is None else None,
        create_response=context.script is None,
        eagerness=cast(Literal["low", "medium", "high", "auto"], voice.eagerness),
        noise_reduction=cast(Literal["", "near_field", "far_field"], voice.noise_reduction),
        noise_reduction_strength=voice.noise_reduction_strength,
        max_output_tokens=voice.max_output_tokens or "inf",
        reasoning_effort=cast(Effort, voice.reasoning_effort or "low"),
        retention_ratio=voice.retention_ratio,
        tools=tuple(schemas),
    )


def openai(context: CallContext, config: SessionConfig) -> OpenAIRealtime:
    """The configured server with the workspace's key, or that of the settings."""
    return OpenAIRealtime(_endpoint(context), config)


def operator_words(context: CallContext, config: SessionConfig) -> Connect:
    """The same server, for what an operator says in this call."""
    return lambda on_event: OpenAITranscription(_endpoint(context), config, on_event)


def _endpoint(context: CallContext) -> Endpoint:
    """With an identifier of the other party that tells nothing about them."""
    digest = hmac.new(settings.PHONE_HASH_KEY, f"safety:{context.remote_number}".encode(), hashlib.sha256)
    access = context.model_access or model_access.of_settings()
    return Endpoint(
        base_url=access.base_url,
        api_key=access.api_key,
        organization=access.organization,
        project=access.project,
        connect_timeout_s=settings.REALTIME_CONNECT_TIMEOUT_S,
        safety_identifier=digest.hexdigest()[:64],
    )
