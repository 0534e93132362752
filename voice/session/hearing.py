"""What comes from the model: speech of the caller, responses, audio, words, errors."""

from typing import Final

from voice.session import commands as cmd
from voice.session import connection, ending, listening, opening, speech, tooling
from voice.session import events as ev
from voice.session.items import OUR_TURNS
from voice.session.phases import Phase
from voice.session.reasons import EndReason
from voice.session.responses import Intent
from voice.session.spend import cost_microusd
from voice.session.state import Live
from voice.session.texts import LIMIT_GOODBYE, REPROMPT, SILENCE_GOODBYE
from voice.session.timers import Timer

_SERVER_ANSWER_S: Final = 2.0
"""After the caller's turn the server begins a response within this, or not at all."""

FATAL_CODES: Final = frozenset(
    {
        "insufficient_quota",
        "invalid_api_key",
        "account_deactivated",
        "billing_hard_limit_reached",
        "model_not_found",
        "beta_api_shape_disabled",
    }
)
"""Another try would fail in the same way."""
_BENIGN_CODES: Final = frozenset({"response_cancel_not_active", "input_audio_buffer_commit_empty"})
_CONFIG_CODES: Final = frozenset(
    {"unknown_parameter", "invalid_value", "missing_required_parameter", "invalid_event"}
)

# --- the caller's speech --------------------------------------------------------------------------


def on_speech_started(live: Live, event: ev.SpeechStarted, now: float) -> None:
    live.caller_speaking = True
    live.last_speech_at = live.attention_at = now
    live.latency_from = None
    live.reprompts = 0
    speech.paid(live)
    start_ms = min(live.input_base_ms + event.audio_start_ms, live.clock_ms(now))
    live.transcript.speech_started(event.item_id, start_ms)
    live.journal("turn.speech_started", item_id=event.item_id, at_ms=start_ms)
    if live.desk.talker:
        return  # two people talk: what one of them says is not cut off by the other
    if ending.caller_spoke(live, now) and not opening.was_before(live, start_ms):
        speech.interrupt(live, now, "caller", cancel=not live.limits.server_interrupts)


def on_speech_stopped(live: Live, event: ev.SpeechStopped, now: float) -> None:
    live.caller_speaking = False
    live.last_speech_at = live.attention_at = live.latency_from = now
    end_ms = min(live.input_base_ms + event.audio_end_ms, live.clock_ms(now))
    live.transcript.speech_stopped(end_ms)
    live.journal("turn.speech_stopped", item_id=event.item_id, at_ms=end_ms)
    _server_answers(live, now, late_s=_lateness_s(live, event))


def _lateness_s(live: Live, event: ev.SpeechStopped) -> float:
    """How much audio the model has been sent since the end of the speech that it tells of now.

    More than a moment means that its messages crawl: the caller has been waiting for that long. Bounded, so
    that a connection that hiccuped once still has time to answer. Some servers do not say where speech ended.
    """
    if not event.audio_end_ms:
        return 0.0
    sent_ms = live.media_ms - live.input_base_ms
    most_s = live.limits.stall_lost_s - live.limits.stall_grace_s
    return max(0.0, min((sent_ms - event.audio_end_ms) / 1000.0, most_s))


def _server_answers(live: Live, now: float, *, late_s: float = 0.0) -> None:
    if live.limits.server_responds and live.responses.active is None:
        live.responses.server_expected_until = now + _SERVER_ANSWER_S
        speech.owe(live, now, since=now - late_s)


def on_committed(live: Live, event: ev.InputCommitted, now: float) -> None:
    live.uncommitted = live.caller_speaking = False
    live.transcript.committed(event.item_id, event.previous_item_id, live.clock_ms(now))
    if not live.limits.server_responds and live.phase in {Phase.OPENING, Phase.TALKING, Phase.CLOSING}:
        live.responses.forget("greeting")
        live.ask(Intent("answer"))


def on_idle_timeout(live: Live, event: ev.IdleTimeout, now: float) -> None:
    """The server prompts by itself; too many of those in a row end the call."""
    live.transcript.hide(event.item_id)
    live.attention_at = now
    if live.phase is Phase.TALKING and not live.desk.holds:
        _server_answers(live, now)
        if not _stream_stands_still(live, now):
            reprompt_or_end(live, now, by_server=True)


def reprompt_or_end(live: Live, now: float, *, by_server: bool = False) -> None:
    """The caller was silent for too long."""
    live.reprompts += 1
    if live.reprompts > live.limits.silence_reprompts:
        ending.say_goodbye(live, now, EndReason.SILENCE, SILENCE_GOODBYE, cancelable=True)
        return
    live.journal("call.reprompt", number=live.reprompts)
    if not by_server:
        live.ask(Intent("reprompt", text=REPROMPT))


def _stream_stands_still(live: Live, now: float) -> bool:
    """A silent caller still sends frames. Without any nobody is silent: the stream is as good as lost."""
    return now - live.last_media_at > live.limits.still_s


def on_silence_timer(live: Live, now: float) -> None:
    if live.phase is not Phase.TALKING:
        return
    silent_for_s = speech.silent_for_s(live, now)
    if silent_for_s < 0 or live.desk.holds or _stream_stands_still(live, now):
        live.timers.set(Timer.SILENCE, now + 1.0)
        return
    left_s = speech.silence_wait_s(live) - silent_for_s
    if left_s > 1e-6:
        live.timers.set(Timer.SILENCE, now + left_s)
        return
    live.attention_at = now
    reprompt_or_end(live, now)
    if live.phase is Phase.TALKING:
        speech.arm_silence(live, now)


# --- items and the caller's words -----------------------------------------------------------------


def on_item_added(live: Live, event: ev.ItemAdded, now: float) -> None:
    is_turn = event.kind == "message" and event.role in {"user", "assistant"}
    live.transcript.item_added(event.item_id, event.previous_item_id, is_turn=is_turn)


def on_caller_delta(live: Live, event: ev.CallerTextDelta, now: float) -> None:
    live.transcript.caller_delta(event.item_id, event.text)


def on_caller_done(live: Live, event: ev.CallerTextDone, now: float) -> None:
    rest = live.transcript.caller_done(event.item_id, event.text, live.clock_ms(now))
    live.tell(event.item_id, "caller", rest)
    listening.on_words(live, event.text, now)


def on_caller_failed(live: Live, event: ev.CallerTextFailed, now: float) -> None:
    live.count("transcription_failed")
    live.transcript.caller_failed(event.item_id)


# --- the agent's audio and words ------------------------------------------------------------------


def on_audio_delta(live: Live, event: ev.AudioDelta, now: float) -> None:
    """Hot: send it on with a mark behind it."""
    if event.response_id in live.muted or event.item_id in live.muted:
        live.counters["late_audio"] += 1
        return
    first = (event.item_id, event.content_index) not in live.playback.parts
    if first and event.item_id.startswith(OUR_TURNS):
        live.counters["item_of_ours"] += 1
        return
    starts_at = live.playback.ends_at() if first else now
    mark = live.playback.play(
        event.response_id, event.item_id, event.content_index, event.ms, now, live.link.current
    )
    if mark is None:
        live.counters["backlog_dropped"] += 1
        return
    live.out.append(cmd.PlayAudio(event.payload))
    live.out.append(cmd.SendMark(mark))
    if live.owed_at is not None:
        speech.paid(live)
    if first:
        _first_audio(live, event, max(now, starts_at), now)


def _first_audio(live: Live, event: ev.AudioDelta, starts_at: float, now: float) -> None:
    """The first audio of an item: latency, and the turn's place in time."""
    live.greeted = True
    live.transcript.agent_sound(event.item_id, event.response_id, live.clock_ms(starts_at))
    speech.watch_words(live, now)
    if live.closing is not None and live.closing.response_id == event.response_id:
        live.closing.spoken = True
    if live.latency_from is not None:
        latency_ms, live.latency_from = round((now - live.latency_from) * 1000), None
        live.journal("turn.latency", item_id=event.item_id, ms=latency_ms)
    if live.first_audio_from is not None:
        first_ms, live.first_audio_from = round((now - live.first_audio_from) * 1000), None
        live.journal("call.first_audio", ms=first_ms)


def on_audio_done(live: Live, event: ev.AudioDone, now: float) -> None:
    speech.settle_parts(live, live.playback.complete(event.item_id, event.content_index), now)


def on_agent_delta(live: Live, event: ev.AgentTextDelta, now: float) -> None:
    if event.item_id in live.muted or event.item_id.startswith(OUR_TURNS):
        return
    text = live.transcript.agent_delta(
        event.item_id, event.response_id, event.content_index, event.text, live.clock_ms(now)
    )
    live.tell(event.item_id, "agent", text)


def on_agent_text(live: Live, event: ev.AgentTextDone, now: float) -> None:
    if event.item_id.startswith(OUR_TURNS):
        return
    text = live.transcript.agent_text(
        event.item_id, event.response_id, event.content_index, event.text, live.clock_ms(now)
    )
    live.tell(event.item_id, "agent", text)


# --- responses ------------------------------------------------------------------------------------


def on_response_created(live: Live, event: ev.ResponseCreated, now: float) -> None:
    ours = live.responses.created(event, now, unheard=opening.pending(live) or live.desk.holds)
    if ours is not None:
        live.timers.cancel(Timer.RESPONSE)
    if live.caller_speaking and (ours is not None or "event_id" in event.metadata):
        # asked for in the same instant in which the caller began to speak, or so long ago that we had given
        # it up: the server lets it run
        live.mute(event.response_id)
        live.out.append(cmd.CancelResponse(event.response_id, live.event_id("cancel")))
        if ours is not None:
            live.responses.retry(ours)
        return
    unasked = ours is None and opening.pending(live)
    if unasked or live.desk.holds or (live.closing is not None and live.closing.silent):
        live.mute(event.response_id)
        live.out.append(cmd.CancelResponse(event.response_id, live.event_id("cancel")))
        return
    live.caller_speaking = False  # the server answers: to its ears the caller has finished
    speech.owe(live, now)
    ending.response_began(live, event.response_id, None if ours is None else ours.number)


def on_response_done(live: Live, event: ev.ResponseDone, now: float) -> None:
    _account(live, event)
    speech.settle_parts(live, live.playback.complete_response(event.response_id), now)
    live.transcript.response_done(event.response_id)
    if live.phase in {Phase.TALKING, Phase.CLOSING}:
        for call in event.tool_calls:
            if event.status == "completed" and not live.tools.knows(call.call_id):
                tooling.on_called(live, call, now)
    live.tools.response_done(event.response_id)
    was_active = live.responses.active == event.response_id
    ours = live.responses.done(event.response_id)
    if was_active:
        speech.paid(live)
        live.attention_at = now
    failed = event.status == "failed"
    if event.status == "completed":
        live.failures = 0
    if failed:
        _failed(live, event, ours, now)
    tooling.group_answered(live, now)
    ending.response_ended(live, event.response_id, now, failed=failed)


def on_response_over(live: Live, event: ev.ResponseDone, now: float) -> None:
    """A response ended when nobody listened any more: its cost and its words still count."""
    _account(live, event)
    live.transcript.response_done(event.response_id)
    live.responses.done(event.response_id)


def _account(live: Live, event: ev.ResponseDone) -> None:
    if event.usage is None:
        return
    before, limit = live.spend_microusd, live.limits.max_spend_microusd
    live.spend_microusd += cost_microusd(event.usage, live.limits.prices)
    live.journal("model.usage", response_id=event.response_id, usage=event.usage)
    if before < limit <= live.spend_microusd:
        live.spend_reached = True


def _failed(live: Live, event: ev.ResponseDone, ours: Intent | None, now: float) -> None:
    """A response failed as a whole: tell nobody twice, ask once more, or give up."""
    code = event.error_code or "failed"
    live.count("response_failed")
    live.journal("model.error", code=code[:80], what="response")
    if code in FATAL_CODES:
        ending.model_gone(live, code, now)
        return
    live.failures += 1
    if live.failures > 2:
        ending.model_gone(live, code, now)
        return
    if code == "rate_limit_exceeded" and not live.playback.busy:
        live.play_clip("one_moment", now)
    retry = ours or Intent("resume")
    live.responses.retry(retry)


# --- errors ---------------------------------------------------------------------------------------


def on_error(live: Live, event: ev.ModelError, now: float) -> None:
    """The policy for `error` events: most leave the session as it is."""
    code, cause = event.code, event.client_event_id or ""
    if code == "session_expired":
        live.out.append(cmd.CloseModel(code, live.link.current or live.link.attempt))
        connection.lose(live, code, retryable=True, now=now)
        return
    if code in FATAL_CODES:
        ending.model_gone(live, code, now)
        return
    if cause.startswith("cfg") or (not live.link.ready and code in _CONFIG_CODES and not cause):
        # a refused configuration means a stranger's persona and the wrong audio format
        ending.model_gone(live, "config-rejected", now)
        return
    if code == "conversation_already_has_active_response":
        live.count("response_collision")
        intent = live.responses.collided(event.client_event_id)
        if intent is not None:
            _retry(live, intent, now)
        return
    if code in _BENIGN_CODES or cause.startswith(("trunc", "cancel")):
        live.count("model_error_benign")
        return
    live.count("model_error")
    live.journal(
        "model.error", code=(code or event.type)[:80], param=(event.param or "")[:80], what=cause[:40]
    )
    if live.responses.is_pending(cause) or (event.type == "server_error" and live.responses.pending):
        _ask_again(live, now)


def _ask_again(live: Live, now: float) -> None:
    """Our `response.create` was refused: once more when the active response is over, or a little later."""
    intent, live.responses.pending = live.responses.pending, None
    if intent is not None:
        _retry(live, intent, now)


def _retry(live: Live, intent: Intent, now: float) -> None:
    live.timers.cancel(Timer.RESPONSE)
    if live.responses.retry(intent) is None:
        live.count("intent_dropped")
    if live.responses.active is None:
        live.responses.server_expected_until = now + 1.0


def on_response_timer(live: Live, now: float) -> None:
    """No `response.created` after our `response.create`."""
    live.count("response_not_created")
    _ask_again(live, now)


def on_stall_timer(live: Live, now: float) -> None:
    """The model owes speech: a filler first, then the connection counts as lost, whatever trickles in."""
    if live.owed_at is None or not live.link.ready:
        return
    if not live.stall_filler:
        live.stall_filler = True
        if live.phase is Phase.TALKING and not live.playback.busy and not live.caller_speaking:
            live.play_clip("one_moment", now)
    lost_at = live.owed_at + live.limits.stall_lost_s
    if now < lost_at:
        live.timers.set(Timer.STALL, lost_at)
        return
    live.out.append(cmd.CloseModel("stalled", live.link.current))
    connection.lose(live, "stalled", retryable=True, now=now)


def spend_check(live: Live, now: float) -> None:
    """The call has cost what it may: goodbye."""
    if live.spend_reached and live.phase is Phase.TALKING:
        live.spend_reached = False
        ending.say_goodbye(live, now, EndReason.MAX_DURATION, LIMIT_GOODBYE, cancelable=False)
