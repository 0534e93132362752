"""What operators and this process itself ask of a live call."""

from voice.session import commands as cmd
from voice.session import desk, ending, listening, speech, texts, tooling
from voice.session.events import (
    CallerTyped,
    Drain,
    OperatorHangUp,
    OperatorSay,
    OperatorTransfer,
    OperatorWhisper,
    TransferFailed,
    WrapUp,
)
from voice.session.phases import Phase
from voice.session.reasons import EndReason
from voice.session.responses import Intent
from voice.session.state import Live
from voice.session.timers import Timer


def on_say(live: Live, event: OperatorSay, now: float) -> None:
    if live.desk.holds:
        desk.refuse(live, "say", event.by, "agent_held")
        return
    live.journal("operator.said", by=event.by, audible=True, **_stored(live, event.text))
    live.ask(Intent("say", instructions=texts.say(event.text), tool_choice="none"))


def on_whisper(live: Live, event: OperatorWhisper, now: float) -> None:
    live.journal("operator.whispered", by=event.by, audible=False, **_stored(live, event.text))
    live.insert(texts.whisper(event.text))
    live.ask(Intent("whisper"))


def _stored(live: Live, text: str) -> dict[str, str]:
    """What was said or written, unless no more words of this call are kept."""
    return {} if live.off_record else {"text": text}


def on_typed(live: Live, event: CallerTyped, now: float) -> None:
    """Words of the other side that were written: a turn and an interruption like any other."""
    live.typed += 1
    item, at_ms = f"typed_{live.typed}", live.clock_ms(now)
    live.last_speech_at = live.attention_at = now
    live.reprompts = 0
    if not ending.caller_spoke(live, now):
        return
    speech.interrupt(live, now, "caller", cancel=True)
    live.transcript.committed(item, None, at_ms)
    live.tell(item, "caller", live.transcript.caller_done(item, event.text, at_ms))
    live.insert(event.text, role="user")
    live.latency_from = now
    live.ask(Intent("answer"))
    listening.on_words(live, event.text, now)


def on_hang_up(live: Live, event: OperatorHangUp, now: float) -> None:
    if event.by:
        live.journal("operator.hung_up", by=event.by, audible=True)
    ending.hang_up(live, _reason(event.reason), now)


def _reason(text: str) -> EndReason:
    try:
        return EndReason(text)
    except ValueError:
        return EndReason.OPERATOR_HANGUP


def on_hang_up_before_start(live: Live, event: OperatorHangUp, now: float) -> None:
    live.end_reason = _reason(event.reason)
    live.out.append(cmd.HangUp(live.end_reason.value))
    ending.finish(live)


def on_transfer(live: Live, event: OperatorTransfer, now: float) -> None:
    """After a word of the agent; at once if an operator has the caller, who knows then."""
    if live.closing is not None:
        return
    at_once = live.desk.holds
    live.journal("operator.transferred", by=event.by, audible=True)
    farewell = None if at_once else Intent("goodbye", text=texts.OPERATOR_TRANSFER, tool_choice="none")
    reason = EndReason.TRANSFERRED
    ending.begin_closing(live, now, kind="transfer", reason=reason, target=event.target, farewell=farewell)
    if at_once:
        ending.await_playback(live, now)


def on_wrap_up(live: Live, event: WrapUp, now: float) -> None:
    """Come to an end: the agent is told, and the longest duration comes nearer."""
    seconds = min(max(event.seconds, 1.0), live.limits.max_duration_s)
    ends_at = min(now + seconds, live.started_at + live.limits.max_duration_s)
    live.timers.cancel(Timer.WRAP_UP)
    live.timers.set(Timer.MAX_DURATION, max(now, ends_at))
    if live.phase is Phase.TALKING:
        speech.wrap_up(live, max(1.0, ends_at - now), reason=event.reason)


def on_transfer_failed(live: Live, event: TransferFailed, now: float) -> None:
    """The carrier refused: the call is still with us, if there is a model to talk to."""
    if live.end_reason is not EndReason.TRANSFERRED:
        live.count("unexpected_TransferFailed")
        return
    live.journal("call.transfer_failed", code=event.code[:40])
    if not live.link.ready:
        live.end_reason = EndReason.MODEL_UNAVAILABLE
        live.out.append(cmd.HangUp(live.end_reason.value))
        return
    live.end_reason = None
    live.move(Phase.TALKING)
    limits = live.limits
    live.timers.clear()
    live.timers.set(Timer.MAX_DURATION, live.started_at + limits.max_duration_s)
    live.timers.set(Timer.MEDIA, live.last_media_at + limits.no_media_s)
    live.timers.set(Timer.ROTATE, max(now, live.link.rotate_at))
    live.timers.set(Timer.WRAP_UP, max(now, live.started_at + limits.max_duration_s - limits.wrap_up_s))
    tooling.arm(live, now)
    live.attention_at = now
    live.timers.set(Timer.SILENCE, now + limits.silence_reprompt_s)
    live.insert(texts.TRANSFER_FAILED)
    live.ask(Intent("whisper"))


def on_drain(live: Live, event: Drain, now: float) -> None:
    """A call that is ending anyway ends here; any other is handed over."""
    if live.phase is Phase.CLOSING and live.closing is not None and live.closing.kind == "hangup":
        ending.hang_up(live, live.closing.reason, now)
    elif live.phase is Phase.FAILING:
        ending.hang_up(live, EndReason.MODEL_UNAVAILABLE, now)
    elif live.phase is not Phase.HANGING_UP:
        ending.drain(live, now)
