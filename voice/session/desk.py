"""A person who steps in: mutes the agent, talks in its place, gives the call back.

While the desk holds the agent back, responses of the model are canceled as they begin and none is asked for.
The caller is still heard, so that the transcript goes on and a wish not to be called or recorded counts.
Whoever talks must be heard of all the time (silence is sound, too): a browser that vanished gives the call
back.
"""

from typing import Final

from voice.session import commands as cmd
from voice.session import ending, opening, speech, texts
from voice.session import events as ev
from voice.session.phases import Phase
from voice.session.responses import Intent
from voice.session.state import Live
from voice.session.timers import Timer

_MOST_AHEAD_S: Final = 1.0
"""The person's voice that waits at the carrier: what would make it more is dropped, so it never lags."""

Refusable = ev.OperatorSay | ev.OperatorWhisper | ev.OperatorMute | ev.OperatorTakeOver | ev.OperatorTransfer
_NAMES: Final[dict[type, str]] = {
    ev.OperatorSay: "say",
    ev.OperatorWhisper: "whisper",
    ev.OperatorMute: "mute",
    ev.OperatorTakeOver: "take_over",
    ev.OperatorTransfer: "transfer",
}


def refuse(live: Live, command: str, by: str, code: str) -> None:
    live.journal("operator.refused", by=by, command=command, code=code)


def not_now(live: Live, event: Refusable, now: float) -> None:
    """The call is not at a point at which this means anything."""
    code = "call_ending" if live.phase in {Phase.CLOSING, Phase.FAILING} else "not_talking"
    refuse(live, _NAMES[type(event)], event.by, code)


# --- hold back, let go -----------------------------------------------------------------------------


def _call_off_end(live: Live) -> bool:
    """The agent was about to end the call; False if that is final."""
    closing = live.closing
    if closing is None:
        return True
    if closing.kind != "hangup" or not closing.cancelable:
        return False
    ending.cancel_closing(live, texts.STEPPED_IN)
    return True


def _hold(live: Live, now: float) -> None:
    """The agent falls silent. Its opening is said to the end: the law asks for that."""
    if not opening.pending(live):
        speech.interrupt(live, now, "operator", cancel=True)
    speech.paid(live)
    live.latency_from = None  # how long they are held back is no time that the agent takes to answer


def _release(live: Live, now: float, fact: str) -> None:
    """Nobody holds the agent back any more."""
    if live.desk.holds or live.phase is not Phase.TALKING:
        return
    live.attention_at = now
    live.reprompts = 0
    live.responses.forget("greeting", "tool", "reprompt", "whisper", "resume", "dtmf", "answer")
    speech.arm_silence(live, now)
    live.insert(fact)
    if live.link.ready:  # else the new session begins with it
        live.ask(Intent("resume"))


def on_mute(live: Live, event: ev.OperatorMute, now: float) -> None:
    if live.desk.muted:
        return
    if not _call_off_end(live):
        not_now(live, event, now)
        return
    _hold(live, now)
    live.desk.muted = True
    live.journal("operator.muted", by=event.by, audible=False)


def on_unmute(live: Live, event: ev.OperatorUnmute, now: float) -> None:
    if not live.desk.muted:
        return
    live.desk.muted = False
    live.journal("operator.unmuted", by=event.by, audible=False)
    _release(live, now, texts.UNMUTED)


# --- talk in the agent's place -----------------------------------------------------------------------


def on_take_over(live: Live, event: ev.OperatorTakeOver, now: float) -> None:
    desk = live.desk
    if desk.talker == event.desk:
        return
    if desk.talker:
        refuse(live, "take_over", event.by, "taken")
        return
    if not _call_off_end(live):
        not_now(live, event, now)
        return
    _hold(live, now)
    desk.talker, desk.by, desk.since, desk.voice_at = event.desk, event.by, now, now
    live.timers.set(Timer.DESK, now + live.limits.operator_gone_s)
    live.journal("operator.took_over", by=event.by, desk=event.desk, audible=True)


def on_voice(live: Live, event: ev.OperatorVoice, now: float) -> None:
    """Hot: ten pieces a second. What comes too fast or too early is dropped, never kept."""
    desk = live.desk
    if not desk.talker or event.desk != desk.talker:
        live.counters["operator_voice_stray"] += 1
        return
    desk.voice_at = now
    if opening.pending(live):
        live.counters["operator_voice_early"] += 1
        return
    playback = live.playback
    if playback.full or playback.ends_at() - now > _MOST_AHEAD_S:
        live.counters["operator_voice_late"] += 1
        return
    live.attention_at = now
    mark = playback.play_clip(event.ms, now)
    live.out.append(cmd.PlayAudio(event.payload))
    live.out.append(cmd.SendMark(mark))


def on_words(live: Live, event: ev.OperatorWords, now: float) -> None:
    """What the person said is part of the transcript, and the agent should know of it when it goes on."""
    text = " ".join(event.text.split())
    if not text or live.off_record:
        return
    start_ms, end_ms = live.clock_ms(event.began_at), live.clock_ms(event.ended_at)
    if live.transcript.person_said(event.item_id, text, start_ms, end_ms):
        live.insert(texts.colleague_said(text))


def on_give_back(live: Live, event: ev.OperatorGiveBack, now: float) -> None:
    if event.desk and event.desk != live.desk.talker:
        return
    _give_back(live, now, "operator-lost" if event.lost else "asked", by=event.by, note=event.note)


def on_timer(live: Live, now: float) -> None:
    """The microphone must be heard of."""
    if not live.desk.talker:
        return
    due = live.desk.voice_at + live.limits.operator_gone_s
    if now < due:
        live.timers.set(Timer.DESK, due)
        return
    _give_back(live, now, "operator-lost")


def _give_back(live: Live, now: float, why: str, *, by: str = "", note: str = "") -> None:
    desk = live.desk
    if not desk.talker:
        return
    live.timers.cancel(Timer.DESK)
    seconds = now - desk.since
    live.journal("operator.gave_back", by=by or desk.by, why=why, seconds=round(seconds, 1), audible=False)
    gone, desk.talker, desk.by, desk.model_gone = desk.model_gone, "", "", ""
    if gone:
        desk.muted = False
        ending.model_gone(live, gone, now)
        return
    fact = texts.gave_back(seconds, note)
    if desk.muted:
        live.insert(fact)
    _release(live, now, fact)
