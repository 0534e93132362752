"""Who picked up: a person, a machine, a fax, a service that screens calls; and what each of them gets.

Four sources, none of which is waited for: our own ear on the first seconds of sound, the transcript, the
carrier's verdict (twilio.md 12), and the clock. The opening begins as soon as a person is likely: at the
first pause of whoever speaks, or after a moment of silence. Whatever says "machine" later still counts.
"""

from typing import Final

from voice.session import commands as cmd
from voice.session import connection, ending, opening, speech, wordings
from voice.session.ear import Ear
from voice.session.items import SCREENING, VOICEMAIL
from voice.session.phases import Phase
from voice.session.reasons import EndReason
from voice.session.state import Live
from voice.session.timers import Timer

FIRST_WAIT_S: Final = 0.5
"""Nobody has said anything: people wait for the caller to speak (B7: within 1 s of the answer)."""
_PAUSE_MS: Final = 440
"""The end of a "hello"."""
_LONG_MS: Final = 2500
"""Who speaks for longer than this without a pause may be a machine: its pauses are longer, too."""
_LONG_PAUSE_MS: Final = 760
_MOST_WAIT_S: Final = 12.0
"""Somebody speaks without a pause: after this long they are spoken to all the same."""
_EAR_S: Final = 6.0
"""So long the first seconds are listened to for tones when nobody else knows who is on the line."""
_WORDS_S: Final = 45.0
"""Later than this the other side's words do not make it a machine any more."""
_WORDS_CHARS: Final = 600
_SCREENED_WAIT_S: Final = 25.0
"""After our answer to a screening service, for a person."""
_MESSAGE_WAIT_S: Final = 30.0
"""For a machine's beep."""
_MESSAGE_PAUSE_MS: Final = 2200
"""A machine that has been silent for this long has no beep."""


def begin(live: Live, now: float) -> None:
    """The stream has started. A call with a script is listened to, any other waits for the verdict."""
    script = live.script
    if script is not None and not script.opened and live.opening is None:
        live.opening = opening.Opening(script.opening)
        if live.direction == "inbound":  # whoever calls us is a person, and waits for us to speak
            live.who = "person"
            live.timers.set(Timer.ANSWER, now)
            return
        live.ear = Ear()
        live.timers.set(Timer.ANSWER, now + FIRST_WAIT_S)
    elif not live.answered:
        live.timers.set(Timer.ANSWER, now + live.limits.answer_wait_s)


def on_frame(live: Live, payload: str, ms: int, now: float) -> None:
    """Hot, but only while there is an ear: one frame of the other side."""
    ear = live.ear
    if ear is None:
        return
    if live.phase is Phase.VOICEMAIL:
        pause_ms = _MESSAGE_PAUSE_MS
    else:
        pause_ms = _PAUSE_MS if ear.speech_ms <= _LONG_MS else _LONG_PAUSE_MS
    news = ear.hear(payload, ms, pause_ms=pause_ms)
    if news:
        live.words_news = news
        live.timers.set(Timer.ANSWER, now)
    elif ear.heard_ms > _EAR_S * 1000 and live.phase is not Phase.VOICEMAIL and _begun(live):
        live.ear = None


def _begun(live: Live) -> bool:
    return live.opening is None or live.opening.began_at is not None


def on_timer(live: Live, now: float) -> None:
    """The ear has news, or a wait is over."""
    news, live.words_news = live.words_news, ""
    if news == "fax":
        fax(live, now, by="tone")
    elif live.phase is Phase.VOICEMAIL:
        _message_due(live, now, news)
    elif live.opening is None:
        _assume(live, now)
    elif news == "beep" and live.who != "person" and live.ear is not None and live.ear.speech_ms > 600:
        machine(live, now, by="beep", ended=True)
    elif not _begun(live):
        _person_likely(live, now, news)


def _assume(live: Live, now: float) -> None:
    """No verdict in time: a person is assumed, who must not wait for us."""
    live.answered = True
    live.journal("call.answered_by", answered_by="assumed", took_ms=None)
    connection.open_gate(live, now)


def _person_likely(live: Live, now: float, news: str) -> None:
    ear = live.ear
    if live.who == "screening":
        if news != "speech":
            live.timers.set(Timer.ANSWER, max(now + 0.1, live.screened_until))
        if now < live.screened_until:
            return
    elif ear is not None and ear.speaking:
        live.timers.set(Timer.ANSWER, max(now + 0.1, live.started_at + _MOST_WAIT_S))
        if now < live.started_at + _MOST_WAIT_S:
            return
    start(live, now)


def start(live: Live, now: float) -> None:
    """Speak: the opening, and the model as soon as it is there."""
    live.timers.cancel(Timer.ANSWER)
    opening.begin(live, now)
    connection.open_gate(live, now)


# --- what the carrier and the transcript say ------------------------------------------------------


def on_verdict(live: Live, value: str, now: float) -> bool:
    """The carrier's word; whether to go on talking."""
    live.journal("call.answered_by", answered_by=value[:40], took_ms=None)
    if value.startswith("machine"):
        machine(live, now, by="", ended=value.startswith("machine_end"))
        return False
    if value == "fax":
        fax(live, now, by="")
        return False
    if value == "human" and live.who != "screening":
        live.who = "person"
        if _begun(live):
            live.ear = None
    if live.opening is None:
        live.answered = True
    elif not _begun(live) and live.who != "screening" and (live.ear is None or not live.ear.speaking):
        opening.begin(live, now)
    return True


def on_words(live: Live, text: str, now: float) -> None:
    """The other side said this: a machine's greeting?"""
    if live.script is None or live.who in {"person", "machine"} or now > live.started_at + _WORDS_S:
        return
    if live.phase not in {Phase.OPENING, Phase.TALKING}:
        return
    live.words = f"{live.words} {text}"[-_WORDS_CHARS:]
    match wordings.answered_by(live.words):
        case "machine":
            machine(live, now, by="words", ended=live.ear is not None and live.ear.beeped)
        case "screening":
            if live.who != "screening":
                _screened(live, now)
        case _:
            if live.who == "screening" and not _begun(live) and not wordings.is_holding(text):
                start(live, now)


def _screened(live: Live, now: float) -> None:
    """A service asks who calls and why: it is told once; then a person is waited for."""
    line = live.script.screening if live.script is not None else None
    if line is None or live.opening is None:
        return
    speech.interrupt(live, now, "screening", cancel=True)
    live.who, live.words = "screening", ""
    live.journal("call.answered_by", answered_by="screening", took_ms=None)
    live.responses.forget("answer", "greeting")
    live.opening = opening.Opening(live.opening.lines, turns=live.opening.turns)
    live.ear = Ear()
    live.answered = True
    opening.say_line(live, SCREENING, 0, line, now)
    live.screened_until = now + _SCREENED_WAIT_S
    live.timers.set(Timer.ANSWER, live.screened_until)


# --- machines -------------------------------------------------------------------------------------


def fax(live: Live, now: float, *, by: str) -> None:
    if by:
        live.journal("call.answered_by", answered_by="fax", took_ms=None)
    speech.interrupt(live, now, "machine", cancel=True)
    ending.hang_up(live, EndReason.FAX, now)


def machine(live: Live, now: float, *, by: str, ended: bool) -> None:
    """A machine: hang up, or wait for its beep and leave the message. `ended`: it has said everything."""
    if live.who == "machine":
        if ended and live.phase is Phase.VOICEMAIL:
            _leave_message(live, now)
        return
    live.who = "machine"
    if by:
        live.journal("call.answered_by", answered_by=f"machine_by_{by}", took_ms=None)
    speech.interrupt(live, now, "machine", cancel=True)
    line = live.script.voicemail if live.script is not None else None
    if line is None or live.phase not in {Phase.OPENING, Phase.TALKING} or not live.move(Phase.VOICEMAIL):
        ending.hang_up(live, EndReason.MACHINE, now)
        return
    live.out.append(cmd.CloseModel("machine"))
    ending.forget_model(live)
    live.opening = None
    live.ear = Ear()
    live.timers.clear()
    live.timers.set(Timer.MAX_DURATION, live.started_at + live.limits.max_duration_s)
    live.timers.set(Timer.MEDIA, live.last_media_at + live.limits.no_media_s)
    live.timers.set(Timer.ANSWER, now + _MESSAGE_WAIT_S)
    if ended:
        _leave_message(live, now)


def _message_due(live: Live, now: float, news: str) -> None:
    """The beep, a long silence after the greeting, or the longest wait: whichever is first."""
    if news == "speech":
        live.timers.set(Timer.ANSWER, now + _MESSAGE_WAIT_S)
    else:
        _leave_message(live, now)


def _leave_message(live: Live, now: float) -> None:
    line = live.script.voicemail if live.script is not None else None
    if line is None or live.ear is None:
        return
    live.ear = None
    live.timers.cancel(Timer.ANSWER)
    opening.say_line(live, VOICEMAIL, 0, line, now)


def voicemail_progress(live: Live, now: float) -> None:
    """After every event: the message has been left."""
    if live.phase is Phase.VOICEMAIL and live.ear is None and not live.playback.busy:
        live.journal("call.voicemail", message_left=True)
        ending.hang_up(live, EndReason.MACHINE, now)


def voicemail_over(live: Live) -> None:
    """The machine hung up on us."""
    live.end_reason = EndReason.MACHINE
    live.journal("call.voicemail", message_left=False)
