"""Who may speak: at most one response of the conversation at a time, any number beside it out of band."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from tenex.lib.clock import Clock
from voice.rehearsal.model import session_shapes
from voice.rehearsal.model.config import SessionConfig
from voice.rehearsal.model.items import Conversation, Item, count_text
from voice.rehearsal.model.options import Options
from voice.rehearsal.model.outbox import Outbox
from voice.rehearsal.model.reply import Plan, Reply
from voice.rehearsal.model.shapes import Json, Refusal
from voice.rehearsal.model.steps import Cue, Mind, Voice
from voice.rehearsal.model.truth import SessionFaults, Truth
from voice.rehearsal.model.usage import Meter


class Responder:
    def __init__(
        self,
        *,
        config: SessionConfig,
        conversation: Conversation,
        outbox: Outbox,
        mind: Mind,
        voice: Voice,
        clock: Clock,
        options: Options,
        truth: Truth,
        faults: SessionFaults,
    ) -> None:
        self.active: Reply | None = None
        self.voice_used = False
        self.on_conversation_done: Callable[[float], None] = lambda _playback_left_s: None
        self.on_break: Callable[[str], None] = lambda _kind: None
        """A fault of the script: the connection fails as `kind` says."""
        self._beside: dict[str, Reply] = {}
        self._config = config
        self._conversation = conversation
        self._outbox = outbox
        self._mind = mind
        self._voice = voice
        self._clock = clock
        self._options = options
        self._truth = truth
        self._faults = faults
        self._meter = Meter()

    def create(
        self, wanted: dict[str, Json], cue: Cue | None = None, *, settled: asyncio.Future[None] | None = None
    ) -> None:
        """Start a response with the overrides of a `response.create`.

        `settled`: set when it is clear that the caller is done, and what they said is known.

        Raises:
            Refusal: another one is active, or an override is wrong.
        """
        beside = wanted.get("conversation") == "none"
        if not beside and self.active is not None:
            raise Refusal(
                "Conversation already has an active response in progress: "
                f"{self.active.id}. Wait until the response is finished before creating a new one.",
                code="conversation_already_has_active_response",
            )
        plan = self._plan(wanted, beside=beside)
        cue = self._cue(wanted, cue or Cue(), beside=beside)
        reply = Reply(
            plan,
            self._outbox,
            self._clock,
            self._voice,
            self._options,
            self._mind.answer(cue),
            self._done,
            self._break,
        )
        if beside:
            self._beside[reply.id] = reply
        else:
            self.active = reply

        async def ready() -> None:
            await self._ready(reply, settled)

        reply.start(ready)

    def cancel(self, response_id: str | None) -> None:
        """`response.cancel`: the conversation's response, or the named one.

        Raises:
            Refusal: `response_cancel_not_active`.
        """
        found = self._beside.get(response_id) if response_id else None
        if found is None and self.active is not None and response_id in (None, self.active.id):
            found = self.active
        if found is None:
            raise Refusal("Cancellation failed: no active response found", code="response_cancel_not_active")
        found.stop("client_cancelled")

    def interrupt(self, reason: str) -> None:
        """The caller speaks: the conversation's response ends, others go on."""
        if self.active is not None:
            self.active.stop(reason)

    def abandon(self) -> None:
        """The socket is gone."""
        for reply in [*self._beside.values(), *([self.active] if self.active else [])]:
            reply.stop("client_cancelled")

    def _break(self, kind: str) -> None:
        self.on_break(kind)

    def _done(self, reply: Reply) -> None:
        self._truth.note(
            "responses",
            {
                "id": reply.id,
                "status": reply.status,
                "reason": reply.reason,
                "metadata": dict(reply.plan.metadata or {}),
                "said": " ".join(reply.said),
                "audio_ms": round(reply.spoken_ms),
            },
        )
        self._truth.scenario = self._mind.scenario
        self._truth.lists["problems"] = [*self._mind.problems]
        self._beside.pop(reply.id, None)
        if reply is not self.active:
            return
        self.active = None
        self.voice_used = self.voice_used or reply.spoken_ms > 0
        began = reply.first_audio_at
        elapsed = 0.0 if began is None else self._clock.now() - began
        self.on_conversation_done(max(0.0, reply.spoken_ms / 1000 - elapsed))

    # --- what and how -------------------------------------------------------------------------------

    def _plan(self, wanted: dict[str, Json], *, beside: bool) -> Plan:
        session_shapes.check_model_options(wanted, self._config.model, "response")
        modalities = cast(list[Json], wanted.get("output_modalities", self._config.output_modalities))
        output = cast(dict[str, dict[str, Json]], wanted.get("audio", {})).get("output", {})
        voice = output.get("voice", self._config.voice)
        if self.voice_used and voice != self._config.voice and not beside:
            raise Refusal(
                "Cannot update a conversation's voice if assistant audio is present.",
                code="cannot_update_voice",
                param="response.audio.output.voice",
            )
        audio_format = cast(dict[str, str], output.get("format", {})).get("type", self._config.output_format)
        limit = wanted.get("max_output_tokens", self._config.value["max_output_tokens"])
        instructions = cast(str, wanted.get("instructions", self._config.instructions))
        metadata = wanted.get("metadata")
        return Plan(
            spoken=modalities == ["audio"],
            output_format=audio_format,
            voice=voice,
            max_output_tokens=None if limit == "inf" else cast(int, limit),
            metadata=cast("dict[str, str] | None", metadata),
            conversation=None if beside else self._conversation,
            reading=self._meter.read(
                instructions, wanted.get("tools", self._config.value["tools"]), self._context(wanted)
            ),
        )

    def _context(self, wanted: dict[str, Json]) -> list[Item]:
        """The items that the response reads: the conversation, or the given `input` instead of it."""
        given = cast("list[dict[str, Json]] | None", wanted.get("input"))
        if given is None:
            return self._conversation.items
        context = []
        for index, wire in enumerate(given):
            if wire["type"] != "item_reference":
                context.append(Item(wire, text_tokens=count_text(wire)))
                continue
            item = self._conversation.find(cast(str, wire["id"]))
            if item is None:
                raise Refusal(f"Item with id '{wire['id']}' not found.", param=f"response.input[{index}].id")
            context.append(item)
        return context

    def _cue(self, wanted: dict[str, Json], cue: Cue, *, beside: bool) -> Cue:
        metadata = cast("dict[str, str] | None", wanted.get("metadata")) or {}
        tools = wanted.get("tools", self._config.value["tools"])
        names = {str(tool.get("name")) for tool in cast("list[dict[str, Json]]", tools)}
        if wanted.get("tool_choice", self._config.value["tool_choice"]) == "none":
            names = set()
        return replace(
            cue,
            purpose=metadata.get("purpose"),
            instructions=cast("str | None", wanted.get("instructions")),
            metadata=metadata,
            out_of_band=beside,
            tools=frozenset(names),
        )

    async def _ready(self, reply: Reply, settled: asyncio.Future[None] | None) -> None:
        """The pause before the first step; a fault that was armed strikes at its end."""
        await self._clock.sleep(self._options.first_audio_s)
        if settled is not None:
            await asyncio.shield(settled)
        if self._faults.response_error is not None:
            error, self._faults.response_error = self._faults.response_error, None
            reply.fail(error)
