"""The model connection: first one, reconnect, rotation (rules 4 and 7)."""

from typing import Final

from voice.session import commands as cmd
from voice.session import ending, opening, speech, texts
from voice.session.events import ModelLost, ModelReady
from voice.session.phases import Phase
from voice.session.responses import Intent
from voice.session.state import Live
from voice.session.timers import Timer

_BACKOFF_S: Final = (0.0, 0.3, 0.8)
_ROTATE_POLL_S: Final = 1.0
_ROTATE_MARGIN_S: Final = 60.0
"""So long before the provider's own end a rotation is forced, quiet or not."""


def open_first(live: Live, now: float) -> None:
    live.timers.set(Timer.MODEL_READY, now + live.limits.model_ready_s)
    _open(live, after_s=0.0)


def _open(live: Live, *, after_s: float, standby: bool = False) -> None:
    live.link.attempt += 1
    history = [*live.history, *live.transcript.history()]
    if live.opening is not None:
        live.opening.in_history = live.opening.began_at is not None
    live.out.append(cmd.OpenModel(live.link.attempt, history, after_s, standby))


# --- ready ----------------------------------------------------------------------------------------


def on_ready(live: Live, event: ModelReady, now: float) -> None:
    link = live.link
    attempt = event.attempt or link.attempt
    if link.standby and attempt == link.standby:
        _on_standby_ready(live, event, now)
        return
    if link.ready or attempt != link.attempt:
        live.count("stale_model_ready")
        return
    back_after = None if link.lost_at is None else now - link.lost_at
    _use(live, attempt, event, now)
    live.timers.cancel(Timer.MODEL_READY)
    live.timers.cancel(Timer.RECONNECT)
    link.lost_at, link.tries = None, 0
    data = {"attempt": attempt, "session_id": event.session_id}
    if back_after is None or live.phase is Phase.OPENING:
        live.journal("call.model_ready", **data)
        if live.listens:
            flush_early(live)
        open_gate(live, now)
        return
    live.journal("call.model_back", after_ms=round(back_after * 1000), **data)
    live.responses.forget("tool", "resume")
    _flush_notes(live)
    flush_early(live)
    live.attention_at = now
    speech.arm_silence(live, now)
    if live.greeted:
        live.insert(texts.RESUME)
        live.ask(Intent("resume"))
    else:
        greet(live)


def _use(live: Live, attempt: int, event: ModelReady, now: float) -> None:
    link, limits = live.link, live.limits
    link.current, link.ready_at = attempt, now
    life = event.expires_in_s if event.expires_in_s and event.expires_in_s > 0 else 3600.0
    link.rotate_at = now + min(limits.rotate_after_s, max(life - 300.0, life / 2))
    link.force_rotate_at = now + max(life - _ROTATE_MARGIN_S, life * 0.75)
    live.timers.set(Timer.ROTATE, link.rotate_at)
    live.input_base_ms = live.media_ms


def open_gate(live: Live, now: float) -> None:
    """The one condition of the greeting: stream AND model AND a person (rule 4)."""
    if live.phase is not Phase.OPENING or not live.link.ready or not live.person:
        return
    live.move(Phase.TALKING)
    live.timers.cancel(Timer.ANSWER)
    live.attention_at = now
    if live.opening is None:
        live.first_audio_from = now
    elif not live.opening.in_history:
        live.insert(live.opening.text, role="assistant")
    _flush_notes(live)
    if live.resumed:
        live.insert(texts.RESUME)
        live.ask(Intent("resume"))
    else:
        greet(live)
    flush_early(live)
    speech.arm_silence(live, now)


def greet(live: Live) -> None:
    if not live.limits.greeting_first:
        return
    if live.script is not None:
        opening.greet(live)
    else:
        live.ask(Intent("greeting", text=texts.greet(live.greeting)))


def _flush_notes(live: Live) -> None:
    notes, live.notes = live.notes, []
    for role, text in notes:
        live.insert(text, role=role)


def flush_early(live: Live) -> None:
    """What the caller said while there was no session to hear it (bounded)."""
    live.input_base_ms = live.media_ms - live.early_ms
    live.out.extend(cmd.AppendAudio(payload) for payload, _ in live.early)
    live.early.clear()
    live.early_ms = 0


# --- lost -----------------------------------------------------------------------------------------


def on_lost(live: Live, event: ModelLost, now: float) -> None:
    link = live.link
    if event.attempt and link.standby and event.attempt == link.standby:
        link.standby = 0
        live.count("standby_lost")
        live.timers.set(Timer.ROTATE, now + 10 * _ROTATE_POLL_S)
        return
    if event.attempt and event.attempt != (link.current or link.attempt):
        live.count("stale_model_lost")
        return
    lose(live, event.code, retryable=event.retryable, now=now)


def lose(live: Live, code: str, *, retryable: bool, now: float) -> None:
    """The connection in use, or the one being opened, is gone."""
    link, limits = live.link, live.limits
    live.journal("call.model_lost", code=code, retryable=retryable)
    if live.phase is Phase.CLOSING or not retryable:
        ending.model_gone(live, code, now)
        return
    if link.ready:
        link.losses += 1
        standby = link.standby
        _note_loss(live, now, filler=code != "stalled" or not live.stall_filler)
        if link.losses > limits.reconnects_per_call:
            ending.model_gone(live, "too-many-losses", now)
            return
        live.timers.set(Timer.RECONNECT, now + limits.reconnect_window_s)
        if standby:  # a rotation was under way: its session takes over
            link.standby = 0
            live.out.append(cmd.UseModel(standby))
            return
    elif link.lost_at is None:
        link.lost_at = now  # the very first connection failed; MODEL_READY bounds the whole start
        if live.answered:
            live.play_clip("one_moment", now)
    link.tries += 1
    if link.tries > limits.reconnect_tries:
        ending.model_gone(live, code, now)
        return
    _open(live, after_s=_BACKOFF_S[min(link.tries, len(_BACKOFF_S)) - 1])


def _note_loss(live: Live, now: float, *, filler: bool) -> None:
    """Filler at once, unless the caller has just heard it; what was being said counts as said as far as it
    was received."""
    link = live.link
    if live.responses.active is not None:
        live.mute(live.responses.active)
    ending.forget_model(live)
    link.lost_at, link.tries = now, 0
    live.timers.cancel(Timer.SILENCE)
    if filler and not live.desk.holds:
        live.play_clip("one_moment", now)


def on_window_over(live: Live, now: float) -> None:
    """Timer: no session within the window."""
    if not live.link.ready:
        code = "start-timeout" if live.phase is Phase.OPENING else "reconnect-timeout"
        ending.model_gone(live, code, now)


# --- rotation -------------------------------------------------------------------------------------


def _may_rotate(live: Live, now: float) -> bool:
    return (
        live.phase is Phase.TALKING and speech.is_quiet(live, now) and not live.transcript.awaits_text
    ) or now >= live.link.force_rotate_at


def on_rotate_timer(live: Live, now: float) -> None:
    """Open the next session beside this one at a quiet moment; look again soon if it is none."""
    link = live.link
    if not link.ready:
        return
    if live.phase is Phase.TALKING and not link.standby and _may_rotate(live, now):
        _open(live, after_s=0.0, standby=True)
        link.standby = link.attempt
        live.timers.set(Timer.ROTATE, now + live.limits.model_ready_s)
        return
    if link.standby:  # it did not come up in time
        live.out.append(cmd.CloseModel("rotation-missed", link.standby))
        link.standby = 0
        live.count("rotation_missed")
    live.timers.set(Timer.ROTATE, now + _ROTATE_POLL_S)


def _on_standby_ready(live: Live, event: ModelReady, now: float) -> None:
    """Swap if it is still quiet: its history is complete then. Otherwise later."""
    link = live.link
    if live.phase is not Phase.TALKING or not _may_rotate(live, now):
        live.out.append(cmd.CloseModel("rotation-missed", link.standby))
        link.standby = 0
        live.count("rotation_missed")
        live.timers.set(Timer.ROTATE, now + _ROTATE_POLL_S)
        return
    old, new = link.current, link.standby
    quiet = speech.is_quiet(live, now)
    if not quiet:  # forced: what the old session was doing ends here
        speech.interrupt(live, now, "rotation", cancel=False)
        ending.forget_model(live)
    link.standby = 0
    live.out.append(cmd.UseModel(new))
    live.out.append(cmd.CloseModel("rotated", old))
    _use(live, new, event, now)
    live.journal("call.model_rotated", attempt=new, session_id=event.session_id)
    if not quiet:
        live.insert(texts.RESUME)
        live.ask(Intent("resume"))
