"""One live phone call as a pure machine: events and time in, commands out.

`handle` never raises on what a peer sent and never waits; the runner carries the commands out in order, asks
`next_deadline` and calls `handle_timer` when that has come. Which phase understands which event is the table
below; an unknown pair changes nothing and is counted. The phases and their moves are in `phases`.

Lines that go to the journal, and so to the live stream of the call (`Journal.type`: `data`):

| line | data |
| --- | --- |
| `call.stream_started` | `direction` |
| `call.answered_by` | `answered_by` (the carrier's word, or `assumed` after the time-out), `took_ms` null |
| `call.model_ready`, `call.model_back`, `call.model_rotated` | `attempt`, `session_id`; `after_ms` (back) |
| `call.model_lost` | `code`, `retryable` |
| `call.model_failed` | `code`: no more tries |
| `call.first_audio` | `ms` from the moment at which speaking was allowed to the first agent audio |
| `call.clip` | `clip`: one of our own lines |
| `call.dtmf` | `digits` of one entry |
| `call.opening` | `lines` of ours, heard to their end; `turns` it took (more than one: it was talked over) |
| `call.voicemail` | `message_left` |
| `call.recording` | `state` (`asked`, `started`, `refused`), `asked` (`announce`, `explicit`), `answer` |
| `call.off_record` | they object to being recorded: from here on nothing that is said is stored |
| `call.reprompt` | `number` of silences in a row |
| `call.wrap_up` | `seconds_left`; `reason` if somebody asked for it |
| `call.opt_out` | the wish not to be called again, by word or key (once a call) |
| `call.closing` | `kind` (`hangup`, `transfer`), `reason`: after the farewell |
| `call.end_canceled` | the caller spoke before that |
| `call.hanging_up` | `reason` |
| `call.transferring`, `call.transfer_failed` | `code` |
| `call.live_ended` | `reason`, `counters`, `spend_microusd`, `caller_audio_ms` (always the last) |
| `turn.speech_started`, `turn.speech_stopped` | `item_id`, `at_ms` of the call: the caller |
| `turn.latency` | `item_id`, `ms` from the end of the caller's speech to the first agent audio sent |
| `turn.interrupted` | `item_id`, `reason` (`caller`, `key`, `end`, ...), `heard_ms`, `received_ms` |
| `transcript.delta` | `item_id`, `speaker`, `text`: words as they are heard, four times a second at most |
| `operator.said`, `operator.whispered` | `by`, `audible` to the caller, `text` unless off the record |
| `operator.muted`, `operator.unmuted` | `by`, `audible`; `why` if nobody asked for it |
| `operator.took_over` | `by`, `audible` |
| `operator.gave_back` | `by`, `why` (`asked`, `operator-lost`, `closing`, ...), `seconds`, `audible` |
| `operator.transferred`, `operator.hung_up` | `by`, `audible` |
| `operator.refused` | `by`, `command`, `code`: nothing came of it |
| `tool.late`, `tool.abandoned` | `call_id` (and `name`): dropped result; not over when the call was |
| `model.usage` | `response_id`, `usage` as the provider reports it |
| `model.error` | `code`, `param`, `what` (which request of ours) |

Whole turns are not lines: they are `StoreTurn` commands.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

from voice.session import (
    answering,
    connection,
    control,
    desk,
    ending,
    hearing,
    opening,
    phone,
    speech,
    tooling,
)
from voice.session import events as ev
from voice.session.commands import Command
from voice.session.limits import Limits
from voice.session.phases import Phase
from voice.session.script import Script
from voice.session.state import Live
from voice.session.timers import Timer

# Handlers take (state, event, now); each event type has one signature, which a table cannot express.
Handler = Callable[[Live, Any, float], None]
Table = dict[type, Handler]


def _unknown(live: Live, event: ev.UnknownEvent, now: float) -> None:
    live.count(f"unknown_{event.source}")


def _bad(live: Live, event: ev.BadMessage, now: float) -> None:
    live.count(f"bad_{event.source}")


def _nothing(live: Live, event: object, now: float) -> None:
    """Legal and without consequence."""


def _model_lost_late(live: Live, event: ev.ModelLost, now: float) -> None:
    """The call is ending: no more words will come from that connection."""
    if not event.attempt or event.attempt == live.link.current:
        ending.forget_model(live)


_ALWAYS: Table = {ev.UnknownEvent: _unknown, ev.BadMessage: _bad}

_WORDS: Table = {
    ev.InputCommitted: hearing.on_committed,
    ev.ItemAdded: hearing.on_item_added,
    ev.CallerTextDelta: hearing.on_caller_delta,
    ev.CallerTextDone: hearing.on_caller_done,
    ev.CallerTextFailed: hearing.on_caller_failed,
    ev.AgentTextDelta: hearing.on_agent_delta,
    ev.AgentTextDone: hearing.on_agent_text,
    ev.OperatorWords: desk.on_words,
}

_TALK: Table = {
    **_ALWAYS,
    **_WORDS,
    ev.CallerAudio: phone.on_caller_audio,
    ev.MarkReturned: phone.on_mark,
    ev.DtmfPressed: phone.on_dtmf,
    ev.StreamStopped: phone.on_stream_stopped,
    ev.AnsweredBy: phone.on_answered_by,
    ev.ModelReady: connection.on_ready,
    ev.ModelLost: connection.on_lost,
    ev.ModelError: hearing.on_error,
    ev.SpeechStarted: hearing.on_speech_started,
    ev.SpeechStopped: hearing.on_speech_stopped,
    ev.IdleTimeout: hearing.on_idle_timeout,
    ev.ResponseCreated: hearing.on_response_created,
    ev.ResponseDone: hearing.on_response_done,
    ev.AudioDelta: hearing.on_audio_delta,
    ev.AudioDone: hearing.on_audio_done,
    ev.ToolCalled: tooling.on_called,
    ev.ToolFinished: tooling.on_finished,
    ev.OperatorSay: control.on_say,
    ev.OperatorWhisper: control.on_whisper,
    ev.OperatorMute: desk.on_mute,
    ev.OperatorUnmute: desk.on_unmute,
    ev.OperatorTakeOver: desk.on_take_over,
    ev.OperatorVoice: desk.on_voice,
    ev.OperatorGiveBack: desk.on_give_back,
    ev.OperatorHangUp: control.on_hang_up,
    ev.OperatorTransfer: control.on_transfer,
    ev.CallerTyped: control.on_typed,
    ev.WrapUp: control.on_wrap_up,
    ev.Drain: control.on_drain,
}

_NOT_NOW: Table = {
    ev.OperatorSay: desk.not_now,
    ev.OperatorWhisper: desk.not_now,
    ev.OperatorMute: desk.not_now,
    ev.OperatorTakeOver: desk.not_now,
    ev.OperatorTransfer: desk.not_now,
}
"""What an operator is told when nothing can come of it."""

TABLE: Final[dict[Phase, Table]] = {
    Phase.IDLE: {
        **_ALWAYS,
        ev.StreamStarted: phone.on_stream_started,
        ev.StreamStopped: phone.on_stopped_before_start,
        ev.AnsweredBy: phone.on_answered_by_early,
        ev.OperatorHangUp: control.on_hang_up_before_start,
        ev.Drain: control.on_drain,
    },
    Phase.OPENING: {
        **_ALWAYS,
        **_NOT_NOW,
        **_WORDS,
        ev.SpeechStarted: hearing.on_speech_started,
        ev.SpeechStopped: hearing.on_speech_stopped,
        ev.CallerAudio: phone.on_caller_audio,
        ev.MarkReturned: phone.on_mark,
        ev.DtmfPressed: phone.on_dtmf,
        ev.StreamStopped: phone.on_stream_stopped,
        ev.AnsweredBy: phone.on_answered_by,
        ev.ModelReady: connection.on_ready,
        ev.ModelLost: connection.on_lost,
        ev.ModelError: hearing.on_error,
        ev.ToolFinished: tooling.on_finished,
        ev.OperatorHangUp: control.on_hang_up,
        ev.WrapUp: control.on_wrap_up,
        ev.Drain: control.on_drain,
    },
    Phase.TALKING: _TALK,
    Phase.CLOSING: {
        **_TALK,
        **_NOT_NOW,
        ev.OperatorMute: desk.on_mute,
        ev.OperatorTakeOver: desk.on_take_over,
        ev.OperatorVoice: _nothing,
    },
    Phase.VOICEMAIL: {
        **_ALWAYS,
        **_NOT_NOW,
        ev.CallerAudio: phone.on_audio_to_machine,
        ev.MarkReturned: phone.on_mark,
        ev.StreamStopped: phone.on_stream_stopped,
        ev.AnsweredBy: phone.on_answered_by,
        ev.ModelLost: _nothing,
        ev.ToolFinished: tooling.on_finished,
        ev.OperatorHangUp: control.on_hang_up,
        ev.Drain: control.on_drain,
    },
    Phase.FAILING: {
        **_ALWAYS,
        **_NOT_NOW,
        ev.OperatorVoice: _nothing,
        ev.CallerAudio: phone.on_audio_only,
        ev.MarkReturned: phone.on_mark,
        ev.DtmfPressed: phone.on_dtmf,
        ev.StreamStopped: phone.on_stream_stopped,
        ev.ModelLost: _nothing,
        ev.ToolFinished: tooling.on_finished,
        ev.OperatorHangUp: control.on_hang_up,
        ev.Drain: control.on_drain,
    },
    Phase.HANGING_UP: {
        **_ALWAYS,
        **_WORDS,
        ev.CallerAudio: phone.on_audio_only,
        ev.MarkReturned: _nothing,
        ev.StreamStopped: phone.on_stream_stopped,
        ev.SpeechStarted: _nothing,
        ev.SpeechStopped: _nothing,
        ev.ResponseCreated: _nothing,
        ev.ResponseDone: hearing.on_response_over,
        ev.AudioDelta: _nothing,
        ev.AudioDone: _nothing,
        ev.ModelError: _nothing,
        ev.ModelLost: _model_lost_late,
        ev.ToolFinished: tooling.on_finished,
        ev.TransferFailed: control.on_transfer_failed,
        ev.Drain: control.on_drain,
    },
    Phase.STOPPED: {
        **_ALWAYS,
        **_WORDS,
        ev.ResponseDone: hearing.on_response_over,
        ev.ResponseCreated: _nothing,
        ev.AudioDelta: _nothing,
        ev.AudioDone: _nothing,
        ev.SpeechStarted: _nothing,
        ev.SpeechStopped: _nothing,
        ev.ModelError: _nothing,
        ev.ModelLost: _model_lost_late,
        ev.ToolFinished: tooling.on_finished,
    },
    Phase.CLOSED: {},
}
"""phase -> event -> handler."""

_HOT: Final = frozenset({ev.CallerAudio, ev.AudioDelta, ev.OperatorVoice})
"""Fifty and more a second: nothing but their handler runs."""

_MAX_TIMERS_AT_ONCE: Final = 64
"""What is left is still due: the runner comes back for it."""


def _on_wrap_up(live: Live, now: float) -> None:
    if live.phase is Phase.TALKING:
        speech.wrap_up(live, live.started_at + live.limits.max_duration_s - now)


def _on_last_transcript(live: Live, now: float) -> None:
    live.count("last_transcript_timeout")
    ending.finish(live)


def _on_pump(live: Live, now: float) -> None:
    """The pump runs after every timer anyway."""


_TIMERS: Final[dict[Timer, Callable[[Live, float], None]]] = {
    Timer.MODEL_READY: connection.on_window_over,
    Timer.ANSWER: answering.on_timer,
    Timer.RECONNECT: connection.on_window_over,
    Timer.SILENCE: hearing.on_silence_timer,
    Timer.WRAP_UP: _on_wrap_up,
    Timer.MAX_DURATION: ending.limit_reached,
    Timer.MEDIA: phone.on_media_timer,
    Timer.STALL: hearing.on_stall_timer,
    Timer.RESPONSE: hearing.on_response_timer,
    Timer.PUMP: _on_pump,
    Timer.PLAYED: speech.on_played,
    Timer.WORDS: speech.on_words,
    Timer.CLOSING: ending.on_closing_timer,
    Timer.APOLOGY: ending.apology_over,
    Timer.HANGUP: ending.on_hangup_timer,
    Timer.LAST_TRANSCRIPT: _on_last_transcript,
    Timer.ROTATE: connection.on_rotate_timer,
    Timer.DTMF: phone.on_dtmf_timer,
    Timer.TOOLS: tooling.on_timer,
    Timer.DESK: desk.on_timer,
}


class CallSession:
    """The live part of one call.

    Args:
        limits: times and bounds.
        now: seconds of a monotonic clock, like every `now` here.
        direction: who called.
        amd_expected: the carrier was asked for an answering-machine verdict (outbound only).
        greeting: opening line; empty leaves it to the prompt.
        history: what was said before on another process (`(speaker, text)`); the agent resumes, it does not
            greet.
        fallback_transfer: where a call goes when the model is gone for good; None hangs up.
        clip_ms: lengths of our own lines by name, in milliseconds, as far as known.
        script: the lines of ours that a call opens with; with one the model answers only when it
            is asked (`Limits.server_responds` is false).
    """

    def __init__(
        self,
        limits: Limits,
        now: float,
        *,
        direction: Literal["inbound", "outbound"] = "inbound",
        amd_expected: bool = False,
        greeting: str = "",
        history: Sequence[tuple[Literal["caller", "agent"], str]] = (),
        fallback_transfer: dict[str, Any] | None = None,
        clip_ms: Mapping[str, float] | None = None,
        script: Script | None = None,
        off_record: bool = False,
    ) -> None:
        self._live = Live(
            limits,
            now,
            direction=direction,
            amd_expected=amd_expected,
            greeting=greeting,
            history=list(history),
            fallback_transfer=fallback_transfer,
            clip_ms=clip_ms or {},
            script=script,
            off_record=off_record,
        )
        self._phase = Phase.IDLE
        self._table = TABLE[Phase.IDLE]

    @property
    def phase(self) -> Phase:
        return self._live.phase

    @property
    def closed(self) -> bool:
        return self._live.phase is Phase.CLOSED

    @property
    def caller_audio_ms(self) -> float:
        """Of the stream so far."""
        return self._live.media_ms

    @property
    def counters(self) -> Counter[str]:
        """What was dropped, late, unknown or repeated."""
        return self._live.counters

    @property
    def spend_microusd(self) -> int:
        return self._live.spend_microusd

    def handle(self, event: ev.SessionEvent, now: float) -> list[Command]:
        """What `event` asks for, in the order in which it must be done. Empty once closed."""
        live = self._live
        kind = type(event)
        handler = self._table.get(kind)
        if handler is None:
            if not self.closed:
                live.counters[f"unexpected_{kind.__name__}"] += 1
            return []
        out: list[Command] = []
        live.out = out
        handler(live, event, now)
        if kind is ev.MarkReturned:
            # one for every chunk of audio: most change nothing but the position heard
            if not live.playback.busy or live.transcript.changed or live.phase is not self._phase:
                self._settle(now)
        elif kind not in _HOT:
            self._settle(now)
        return out

    def next_deadline(self) -> float | None:
        """When to call :meth:`handle_timer`; None once closed."""
        return self._live.timers.next()

    def handle_timer(self, now: float) -> list[Command]:
        """Everything that is due by `now`."""
        live = self._live
        out: list[Command] = []
        live.out = out
        for _ in range(_MAX_TIMERS_AT_ONCE):
            timer = live.timers.take_due(now)
            if timer is None:
                break
            _TIMERS[timer](live, now)
            self._settle(now)
        return out

    def _settle(self, now: float) -> None:
        """What follows from the new state, whatever led to it."""
        live = self._live
        if live.phase is not Phase.CLOSED:
            hearing.spend_check(live, now)
            speech.watch_playback(live, now)
            speech.watch_words(live, now)
            speech.watch_response(live, now)
            ending.closing_progress(live, now)
            opening.progress(live, now)
            answering.voicemail_progress(live, now)
            speech.pump(live, now)
            self._store(live)
            ending.finish_if_done(live)
        if live.phase is not self._phase:
            self._phase = live.phase
            self._table = TABLE[live.phase]
        live.forwarding = live.link.ready and (
            live.phase in {Phase.TALKING, Phase.CLOSING} or (live.phase is Phase.OPENING and live.listens)
        )

    @staticmethod
    def _store(live: Live) -> None:
        """What changed in the transcript; nothing once somebody objected to it."""
        turns = live.transcript.take_dirty()
        if not live.off_record:
            live.out.extend(turns)
