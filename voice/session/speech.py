"""Speaking and being interrupted: barge-in, what was heard, fillers, silence, the pump of responses."""

from voice.session import commands as cmd
from voice.session import opening, texts
from voice.session.phases import Phase
from voice.session.playback import LOST_MARK_GRACE_S, Part
from voice.session.responses import Intent
from voice.session.state import Live
from voice.session.timers import Timer

_ROUNDING_MS = 1e-6
WORDS_S = 0.25
"""How often the live stream is told what was said meanwhile: about a word at a time."""


def settle_parts(live: Live, parts: list[Part], now: float) -> None:
    """These were heard to their end."""
    for part in parts:
        # what was dropped because of the backlog was received and never heard
        _sound_over(live, part, part.settled_ms, now, interrupted=False)


def _sound_over(live: Live, part: Part, heard_ms: float, now: float, *, interrupted: bool) -> None:
    rest = live.transcript.agent_heard(
        part.item_id,
        part.content_index,
        heard_ms=heard_ms,
        received_ms=part.received_ms,
        end_ms=live.clock_ms(now),
        interrupted=interrupted,
    )
    live.tell(part.item_id, "agent", rest)


def interrupt(live: Live, now: float, reason: str, *, cancel: bool) -> None:
    """Stop speaking at once (rule 2). `cancel`: the server does not do it by itself."""
    playback, active = live.playback, live.responses.active
    if active is not None:
        live.mute(active)
    settle_parts(live, playback.take_heard(now), now)
    if not playback.busy and not playback.parts:
        if cancel and active is not None:
            live.out.append(cmd.CancelResponse(active, live.event_id("cancel")))
        return
    sounding = playback.busy
    cuts = playback.clear(now)
    live.timers.cancel(Timer.PLAYED)
    if sounding:
        live.out.append(cmd.ClearPlayback())
    if cancel and active is not None:
        live.out.append(cmd.CancelResponse(active, live.event_id("cancel")))
    for cut in cuts:
        part = cut.part
        if opening.is_ours(part):
            if not opening.cut(live, cut, now, reason):
                _record_cut(live, part, cut.heard_ms, now, reason)
            continue
        live.mute(part.response_id, part.item_id)
        heard_ms = int(min(cut.heard_ms + _ROUNDING_MS, part.received_ms))
        if live.link.ready and part.attempt == live.link.current:
            live.out.append(
                cmd.TruncateItem(part.item_id, part.content_index, heard_ms, live.event_id("trunc"))
            )
        _record_cut(live, part, cut.heard_ms, now, reason)
    opening.silenced(live)


def stop_sound(live: Live, now: float, reason: str) -> None:
    """The line is gone: note what was heard; nobody is told to stop."""
    settle_parts(live, live.playback.take_heard(now), now)
    for cut in live.playback.clear(now):
        live.mute(cut.part.response_id, cut.part.item_id)
        _record_cut(live, cut.part, cut.heard_ms, now, reason)


def _record_cut(live: Live, part: Part, heard_ms: float, now: float, reason: str) -> None:
    _sound_over(live, part, heard_ms, now, interrupted=True)
    live.journal(
        "turn.interrupted",
        item_id=part.item_id,
        reason=reason,
        heard_ms=int(heard_ms + _ROUNDING_MS),
        received_ms=int(part.received_ms),
    )


def watch_playback(live: Live, now: float) -> None:
    """Arm the timer that makes up for a lost last mark."""
    if live.playback.busy and not live.timers.is_set(Timer.PLAYED):
        live.timers.set(Timer.PLAYED, live.playback.ends_at() + LOST_MARK_GRACE_S)


def watch_words(live: Live, now: float) -> None:
    """Arm the timer that tells the live stream what is being said, as long as somebody says something."""
    if (live.playback.parts or live.transcript.has_partial_words) and not live.timers.is_set(Timer.WORDS):
        live.timers.set(Timer.WORDS, now + WORDS_S)


def on_words(live: Live, now: float) -> None:
    """Timer: the agent's words as far as they have been heard, the caller's as far as they are known."""
    playback = live.playback
    for (item_id, index), part in playback.parts.items():
        heard_ms = playback.heard_ms(part, now)
        words = live.transcript.agent_words(
            item_id, index, heard_ms=heard_ms, received_ms=part.received_ms, complete=part.complete
        )
        live.tell(item_id, "agent", words)
    for item_id, text in live.transcript.caller_words():
        live.tell(item_id, "caller", text)


def on_played(live: Live, now: float) -> None:
    """Timer: by the clock everything was played a while ago."""
    if not live.playback.busy:
        return
    if now < live.playback.ends_at() + LOST_MARK_GRACE_S:
        watch_playback(live, now)
        return
    live.count("mark_lost")
    settle_parts(live, live.playback.assume_played(now), now)


# --- what the model owes --------------------------------------------------------------------------


def owe(live: Live, now: float, *, since: float | None = None) -> None:
    """The model is due to speak, since `since` or now. Its other messages pay nothing: nobody hears them."""
    if live.owed_at is None and not live.desk.holds:
        live.owed_at = now if since is None else since
        live.stall_filler = False
        live.timers.set(Timer.STALL, max(now, live.owed_at + live.limits.stall_filler_s))


def watch_response(live: Live, now: float) -> None:
    """A response that stopped in the middle: all its sound has been played and its end has not come."""
    if (
        live.owed_at is None
        and live.responses.active is not None
        and live.link.ready
        and live.phase in {Phase.TALKING, Phase.CLOSING}
        and not live.playback.busy
        and not live.caller_speaking
        and not live.tools.running
    ):
        owe(live, now)


def paid(live: Live) -> None:
    if live.owed_at is not None:
        live.owed_at = None
        live.timers.cancel(Timer.STALL)


# --- silence --------------------------------------------------------------------------------------


def is_quiet(live: Live, now: float) -> bool:
    """Nobody speaks, nothing is under way."""
    return (
        live.link.ready
        and not live.caller_speaking
        and live.responses.idle
        and not live.tools.running
        and not live.playback.busy
        and not live.digits
        and not opening.pending(live)
        and now >= live.responses.server_expected_until
    )


def silence_wait_s(live: Live) -> float:
    if live.reprompts >= live.limits.silence_reprompts:
        return live.limits.silence_hangup_s
    return live.limits.silence_reprompt_s


def arm_silence(live: Live, now: float) -> None:
    since = max(live.attention_at, live.playback.ends_at())
    live.timers.set(Timer.SILENCE, max(now, since) + silence_wait_s(live))


def silent_for_s(live: Live, now: float) -> float:
    """How long it has been quiet; negative if it is not."""
    if not is_quiet(live, now):
        return -1.0
    return now - max(live.attention_at, live.playback.ends_at())


# --- the pump -------------------------------------------------------------------------------------


def pump(live: Live, now: float) -> None:
    """Send the next `response.create` if one may be sent."""
    responses = live.responses
    if live.phase not in {Phase.TALKING, Phase.CLOSING} or not live.link.ready or live.caller_speaking:
        return
    if live.desk.holds:
        return
    if responses.queue and opening.holds(live, now):
        return
    if not responses.may_send(now):
        if responses.queue and responses.active is None and responses.pending is None:
            live.timers.set(Timer.PUMP, responses.server_expected_until)
        return
    intent, command = responses.send()
    if intent.text is not None:
        live.insert(intent.text)
        intent.text = None  # once, however often the response is asked for
    live.out.append(command)
    live.timers.set(Timer.RESPONSE, now + live.limits.response_wait_s)
    owe(live, now)


def wrap_up(live: Live, seconds: float, *, reason: str = "") -> None:
    told = {"reason": reason[:40]} if reason else {}
    live.journal("call.wrap_up", seconds_left=round(seconds), **told)
    live.insert(texts.wrap_up(seconds))
    live.ask(Intent("whisper"))
