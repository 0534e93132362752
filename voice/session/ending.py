"""How a live call ends: after the farewell, at once, or because the caller is gone (rules 6 and 8)."""

from typing import Any, Literal

from voice.session import commands as cmd
from voice.session import opening, speech, texts
from voice.session.phases import Phase
from voice.session.playback import LOST_MARK_GRACE_S
from voice.session.reasons import EndReason
from voice.session.responses import Intent
from voice.session.state import Clip, Closing, Live
from voice.session.timers import Timer

COMMIT_WAIT_S = 2.5
"""Longest wait for a wish to be written down before it is confirmed. The end of the call waits on."""
LAST_CLIP_S = 3.5
"""Longest time from a hard limit to the hang-up."""

# --- closing: an end after the farewell -----------------------------------------------------------


def begin_closing(
    live: Live,
    now: float,
    *,
    kind: Literal["hangup", "transfer"],
    reason: EndReason,
    target: dict[str, Any] | None = None,
    cancelable: bool = True,
    confirmations: int = 0,
    farewell: Intent | None = None,
    clip: Clip = "goodbye",
    commit: str = "",
) -> None:
    """End the call when the agent has said farewell.

    The farewell is the next response, whoever asks for it (`farewell` asks for one here). Without a model
    it is a clip. With `commit` it is a clip that waits for that tool run, and the model is silent.
    """
    if live.closing is not None:  # ending already: only an opt-out changes anything about it
        if reason is EndReason.OPTED_OUT and not live.closing.silent:
            live.closing.kind, live.closing.reason, live.closing.clip = kind, reason, clip
            live.closing.cancelable, live.closing.confirmations = False, confirmations
        return
    if not live.move(Phase.CLOSING):
        return
    live.let_go("closing", now)
    live.closing = Closing(
        kind=kind,
        reason=reason,
        target=target or {},
        cancelable=cancelable,
        confirmations=confirmations,
        since=live.responses.next_number,
        clip=clip,
        commit=commit,
        commit_until=now + COMMIT_WAIT_S,
        silent=bool(commit),
    )
    live.journal("call.closing", kind=kind, reason=reason.value)
    live.timers.cancel(Timer.SILENCE)
    live.timers.cancel(Timer.RECONNECT)
    if not live.link.ready:
        close_with_clip(live, now)
        return
    live.responses.forget("reprompt", "resume", "whisper")
    if farewell is not None:
        live.ask(farewell)
    live.timers.set(Timer.CLOSING, now + live.limits.end_playback_s)


def close_with_clip(live: Live, now: float) -> None:
    """Say farewell with one of our own lines and end after it."""
    closing = live.closing
    if closing is None or closing.stage == "playback":
        return
    if closing.commit in live.tools.running and now < closing.commit_until:
        live.timers.set(Timer.CLOSING, closing.commit_until)
        return
    if closing.kind == "hangup":
        live.play_clip(closing.clip, now)
        closing.spoken = True
    await_playback(live, now)


def await_playback(live: Live, now: float) -> None:
    """The farewell is generated: end when it has been played, at the latest by the clock."""
    closing = live.closing
    if closing is None or closing.stage == "playback":
        return
    closing.stage = "playback"
    by_clock = live.playback.ends_at() + LOST_MARK_GRACE_S
    live.timers.set(Timer.CLOSING, max(now, min(by_clock, now + live.limits.end_playback_s)))


def closing_progress(live: Live, now: float) -> None:
    """After every event: is the farewell over?"""
    closing = live.closing
    if live.phase is not Phase.CLOSING or closing is None or closing.stage != "playback":
        return
    if not live.playback.busy and closing.commit not in live.tools.running:
        end_now(live, now)


def on_closing_timer(live: Live, now: float) -> None:
    closing = live.closing
    if closing is None:
        return
    if closing.stage == "playback":
        if closing.commit in live.tools.running:  # bounded by the deadline of the run
            live.timers.set(Timer.CLOSING, now + 0.5)
            return
        live.count("closing_by_clock")
        end_now(live, now)
    elif closing.silent:
        close_with_clip(live, now)
    elif closing.spoken or live.responses.active is not None:
        await_playback(live, now)
    else:  # the model never said farewell: we do
        live.count("farewell_by_clip")
        live.responses.forget("goodbye", "tool")
        close_with_clip(live, now)
    closing_progress(live, now)


def response_began(live: Live, response_id: str, number: int | None) -> None:
    """A response began while the call is closing: is it the farewell? `number`: of our request, if ours."""
    closing = live.closing
    if closing is None or closing.response_id is not None or closing.stage == "playback":
        return
    if number is None and any(intent.purpose == "goodbye" for intent in live.responses.queue):
        return  # the server's own word; ours is still to come
    if number is None or number >= closing.since:
        closing.response_id = response_id


def response_ended(live: Live, response_id: str, now: float, *, failed: bool) -> None:
    """A response is over. One without a word that failed, or only called tools, was no farewell."""
    closing = live.closing
    if closing is None or closing.response_id != response_id:
        return
    if not closing.spoken and (failed or live.tools.running):
        closing.response_id = None
        return
    await_playback(live, now)


def caller_spoke(live: Live, now: float) -> bool:
    """The caller speaks while the call is closing. False: they do not interrupt."""
    closing = live.closing
    if closing is None:
        return True
    if closing.kind == "transfer":
        return True
    if closing.cancelable:
        cancel_closing(live)
        return True
    if closing.confirmations > 0:
        closing.confirmations -= 1
        closing.response_id = None
        closing.stage = "response"
        closing.spoken = False
        closing.since = live.responses.next_number
        live.timers.set(Timer.CLOSING, now + live.limits.end_playback_s)
        live.insert(texts.OPT_OUT_AGAIN)
        return True
    return False


def cancel_closing(live: Live, fact: str = texts.END_CANCELED) -> None:
    live.closing = None
    live.timers.cancel(Timer.CLOSING)
    live.responses.forget("goodbye")
    live.move(Phase.TALKING)
    live.journal("call.end_canceled")
    live.timers.set(Timer.SILENCE, live.attention_at + speech.silence_wait_s(live))
    live.insert(fact)


def end_now(live: Live, now: float) -> None:
    """What the closing was for."""
    closing, live.closing = live.closing, None
    if closing is None:
        return
    if closing.kind == "hangup":
        hang_up(live, closing.reason, now)
        return
    live.end_reason = EndReason.TRANSFERRED
    if _leave(live, now):
        live.journal("call.transferring")
        live.out.append(cmd.TransferCall(closing.target))


def say_goodbye(live: Live, now: float, reason: EndReason, fact: str, *, cancelable: bool) -> None:
    """The model says goodbye, then the call ends."""
    farewell = Intent("goodbye", text=fact, tool_choice="none")
    begin_closing(live, now, kind="hangup", reason=reason, cancelable=cancelable, farewell=farewell)


# --- at once --------------------------------------------------------------------------------------


def hang_up(live: Live, reason: EndReason, now: float) -> None:
    live.end_reason = reason
    if _leave(live, now):
        live.journal("call.hanging_up", reason=reason.value)
        live.out.append(cmd.HangUp(reason.value))


def _leave(live: Live, now: float) -> bool:
    """We are done talking: only the end of the stream and the last words are awaited."""
    if not live.move(Phase.HANGING_UP):
        return False
    speech.stop_sound(live, now, "end")
    live.let_go("ended", now)
    live.closing = None
    live.timers.clear()
    live.timers.set(Timer.HANGUP, now + live.limits.hangup_wait_s)
    return True


def on_hangup_timer(live: Live, now: float) -> None:
    """The carrier did not end the stream: close the socket ourselves."""
    live.count("hangup_timeout")
    live.out.append(cmd.CloseStream("hangup-timeout"))
    stream_over(live, now)


# --- the model is gone for good -------------------------------------------------------------------


def model_gone(live: Live, code: str, now: float) -> None:
    """Apologize, then hand over to a person or hang up; never silence (rule 7)."""
    live.out.append(cmd.CloseModel(code))
    forget_model(live)
    live.journal("call.model_failed", code=code)
    if live.phase is Phase.CLOSING:
        close_with_clip(live, now)
        closing_progress(live, now)
        return
    if live.desk.talker:  # a person talks: that goes on without the model
        live.desk.model_gone = code
        return
    if not live.answered and live.script is not None:  # whoever picked up is told who called
        opening.begin(live, now)
    if not live.answered:  # nobody is known to listen
        hang_up(live, EndReason.MODEL_UNAVAILABLE, now)
        return
    if not live.move(Phase.FAILING):
        return
    live.timers.clear()
    live.timers.set(Timer.MAX_DURATION, live.started_at + live.limits.max_duration_s)
    live.apology_mark = live.play_clip("apology", now)
    by_clock = live.playback.ends_at() + LOST_MARK_GRACE_S
    if opening.pending(live):
        live.timers.set(Timer.APOLOGY, by_clock)
    else:
        live.timers.set(Timer.APOLOGY, min(by_clock, now + live.limits.apology_s))


def forget_model(live: Live) -> None:
    """No connection is in use any more."""
    link = live.link
    link.current = link.standby = 0
    live.forwarding = False
    live.caller_speaking = False
    live.early.clear()
    live.early_ms = 0
    live.transcript.give_up_texts()
    live.tools.connection_lost()
    live.responses.connection_lost()
    live.playback.complete_response(None)
    speech.paid(live)
    live.timers.cancel(Timer.RESPONSE)
    live.timers.cancel(Timer.PUMP)
    live.timers.cancel(Timer.ROTATE)
    live.timers.cancel(Timer.RECONNECT)
    live.timers.cancel(Timer.MODEL_READY)


def stop_failing(live: Live, now: float, *, written: bool) -> None:
    """They want no more calls while we apologize: that is what is confirmed instead."""
    if not written:
        speech.interrupt(live, now, "key", cancel=False)
        live.apology_mark = ""
        live.timers.set(Timer.APOLOGY, now + COMMIT_WAIT_S)
    elif not live.apology_mark:
        live.apology_mark = live.play_clip("opted_out", now)
        live.timers.set(Timer.APOLOGY, live.playback.ends_at() + LOST_MARK_GRACE_S)


def apology_over(live: Live, now: float) -> None:
    if live.phase is not Phase.FAILING:
        return
    if live.opted_out and not live.apology_mark:  # it could not be written down in time
        stop_failing(live, now, written=True)
        return
    if live.opted_out or live.fallback_transfer is None:
        hang_up(live, EndReason.OPTED_OUT if live.opted_out else EndReason.MODEL_UNAVAILABLE, now)
        return
    live.end_reason = EndReason.TRANSFERRED
    if _leave(live, now):
        live.journal("call.transferring")
        live.out.append(cmd.TransferCall(live.fallback_transfer))


# --- the stream is over ---------------------------------------------------------------------------


def stream_over(live: Live, now: float) -> None:
    """Nobody listens any more: wait a bounded time for the last words, then finish."""
    if not live.move(Phase.STOPPED):
        return
    speech.stop_sound(live, now, "end")
    live.let_go("ended", now)
    live.closing = None
    live.forwarding = False
    live.timers.clear()
    live.timers.set(Timer.LAST_TRANSCRIPT, now + live.limits.last_transcript_s)
    if live.link.ready:
        active = live.responses.active
        if active is not None:
            live.out.append(cmd.CancelResponse(active, live.event_id("cancel")))
        if live.caller_speaking:
            live.uncommitted = True
            live.out.append(cmd.CommitAudio(live.event_id("commit")))
    finish_if_done(live)


def finish_if_done(live: Live) -> None:
    """In STOPPED: everything that was worth waiting for is here."""
    if live.phase is not Phase.STOPPED:
        return
    awaited = live.link.ready and (live.uncommitted or live.transcript.awaits_text)
    if not awaited and all(run.group for run in live.tools.running.values()):
        finish(live)


def finish(live: Live) -> None:
    """The last commands of the call."""
    if not live.move(Phase.CLOSED):
        return
    live.timers.clear()
    live.transcript.give_up_texts()
    turns = live.transcript.take_dirty()
    if not live.off_record:
        live.out.extend(turns)
    for run in live.tools.running.values():
        live.journal("tool.abandoned", call_id=run.call_id, name=run.name)
    live.tools.running.clear()
    reason = live.end_reason or EndReason.MEDIA_LOST
    live.journal(
        "call.live_ended",
        reason=reason.value,
        counters=dict(live.counters),
        spend_microusd=live.spend_microusd,
        caller_audio_ms=live.media_ms,
    )
    live.out.append(cmd.CloseModel("finished"))
    live.out.append(cmd.Finish(reason.value))


def limit_reached(live: Live, now: float) -> None:
    """The longest duration is over: our own goodbye, bounded by a few seconds, whatever the model does."""
    if live.phase is Phase.FAILING:
        apology_over(live, now)
        return
    if live.phase is Phase.VOICEMAIL:
        hang_up(live, EndReason.MACHINE, now)
        return
    if live.phase in {Phase.OPENING, Phase.TALKING}:
        speech.interrupt(live, now, "limit", cancel=True)
        begin_closing(live, now, kind="hangup", reason=EndReason.MAX_DURATION, cancelable=False)
    if live.closing is not None:
        live.closing.cancelable, live.closing.confirmations = False, 0
        close_with_clip(live, now)
        live.timers.set(Timer.CLOSING, now + LAST_CLIP_S)


def drain(live: Live, now: float) -> None:
    """Give the call back: the carrier goes on with the TwiML behind the stream, on another process."""
    speech.stop_sound(live, now, "drain")
    live.let_go("handed-over", now)
    live.end_reason = EndReason.HANDED_OVER
    live.out.append(cmd.CloseStream("drain"))
    finish(live)
