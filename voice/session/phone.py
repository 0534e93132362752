"""What comes from the carrier: audio, marks, digits, the answering-machine verdict, the end of the stream."""

from voice.session import answering, connection, ending, speech, texts, tooling
from voice.session import commands as cmd
from voice.session.events import (
    AnsweredBy,
    CallerAudio,
    DtmfPressed,
    MarkReturned,
    StreamStarted,
    StreamStopped,
)
from voice.session.phases import Phase
from voice.session.reasons import EndReason
from voice.session.responses import Intent
from voice.session.state import FLOOD_MS, Live
from voice.session.timers import Timer

_MAX_DIGITS = 32


def on_stream_started(live: Live, event: StreamStarted, now: float) -> None:
    if live.off_record:  # said in an earlier stream, whose process may have died before it told the carrier
        live.out.append(cmd.StopRecording())
    limits = live.limits
    live.move(Phase.OPENING)
    live.started_at = live.last_media_at = now
    live.journal("call.stream_started", direction=live.direction)
    live.timers.set(Timer.MAX_DURATION, now + limits.max_duration_s)
    live.timers.set(Timer.WRAP_UP, now + max(0.0, limits.max_duration_s - limits.wrap_up_s))
    live.timers.set(Timer.MEDIA, now + limits.no_media_s)
    answering.begin(live, now)
    if live.answered_by and not answering.on_verdict(live, live.answered_by, now):
        return
    connection.open_first(live, now)


# --- audio ----------------------------------------------------------------------------------------


def on_caller_audio(live: Live, event: CallerAudio, now: float) -> None:
    """Hot: one frame every 20 ms."""
    live.last_media_at = now
    live.media_ms += event.ms
    if live.ear is not None:
        answering.on_frame(live, event.payload, event.ms, now)
    if live.media_ms > (now - live.started_at) * 1000.0 + FLOOD_MS:
        live.media_ms -= event.ms
        live.counters["caller_flood"] += 1
    elif live.forwarding:
        live.out.append(cmd.AppendAudio(event.payload))
    else:
        _keep_early(live, event)


def _keep_early(live: Live, event: CallerAudio) -> None:
    live.early.append((event.payload, event.ms))
    live.early_ms += event.ms
    while live.early_ms > live.limits.early_audio_ms and live.early:
        live.early_ms -= live.early.popleft()[1]
        live.counters["early_audio_dropped"] += 1


def on_audio_to_machine(live: Live, event: CallerAudio, now: float) -> None:
    """A machine talks: only its beep is of interest."""
    live.last_media_at = now
    live.media_ms += event.ms
    answering.on_frame(live, event.payload, event.ms, now)


def on_audio_only(live: Live, event: CallerAudio, now: float) -> None:
    """Nobody listens to it any more; the stream is alive."""
    live.last_media_at = now
    live.media_ms += event.ms


def on_media_timer(live: Live, now: float) -> None:
    """Twenty frames a second come from a live stream, silence included."""
    due = live.last_media_at + live.limits.no_media_s
    if now < due:
        live.timers.set(Timer.MEDIA, due)
    else:
        live.count("media_lost")
        closing = live.closing
        decided = closing is not None and closing.kind == "hangup"
        ending.hang_up(live, closing.reason if closing and decided else EndReason.MEDIA_LOST, now)


# --- marks ----------------------------------------------------------------------------------------


def on_mark(live: Live, event: MarkReturned, now: float) -> None:
    verdict, parts = live.playback.mark_returned(event.name, now)
    if verdict != "ok":
        live.counters[f"mark_{verdict}"] += 1
        return
    if parts:
        speech.settle_parts(live, parts, now)
    if event.name == live.apology_mark:
        ending.apology_over(live, now)


# --- digits ---------------------------------------------------------------------------------------


def on_dtmf(live: Live, event: DtmfPressed, now: float) -> None:
    """Digits in quick succession are one entry; `#` ends it."""
    live.attention_at = now
    live.reprompts = 0
    if event.digit != "#" and len(live.digits) < _MAX_DIGITS:
        live.digits += event.digit
    if event.digit == "#":
        on_dtmf_timer(live, now)
    else:
        live.timers.set(Timer.DTMF, now + live.limits.dtmf_gap_s)


def on_dtmf_timer(live: Live, now: float) -> None:
    digits, live.digits = live.digits, ""
    live.timers.cancel(Timer.DTMF)
    if not digits:
        return
    live.journal("call.dtmf", digits=digits)
    if digits == "9":
        tooling.opt_out_by_key(live, now)
    elif live.phase is Phase.TALKING:
        live.insert(texts.digits(digits), role="user")
        live.ask(Intent("dtmf"))


# --- person or machine ----------------------------------------------------------------------------


def on_answered_by_early(live: Live, event: AnsweredBy, now: float) -> None:
    """Before the stream: kept until it starts."""
    live.answered_by = event.value


def on_answered_by(live: Live, event: AnsweredBy, now: float) -> None:
    if live.answered_by:
        live.count("answered_by_repeated")
        return
    live.answered_by = event.value
    if answering.on_verdict(live, event.value, now):
        connection.open_gate(live, now)


# --- the end --------------------------------------------------------------------------------------


def on_stream_stopped(live: Live, event: StreamStopped, now: float) -> None:
    if live.phase is Phase.VOICEMAIL:
        answering.voicemail_over(live)
    if live.end_reason is None:
        if live.opted_out and (live.closing is not None or live.phase is Phase.FAILING):
            live.end_reason = EndReason.OPTED_OUT
        else:
            live.end_reason = EndReason.CALLER_HANGUP if event.clean else EndReason.MEDIA_LOST
    ending.stream_over(live, now)


def on_stopped_before_start(live: Live, event: StreamStopped, now: float) -> None:
    live.end_reason = EndReason.MEDIA_LOST
    ending.finish(live)
