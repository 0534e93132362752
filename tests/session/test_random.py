"""Random sequences of events: whatever both peers send, in any order, the invariants hold.

Two worlds. In the *plausible* one events name things that exist (responses that began, calls that were made,
marks that were sent); in the *hostile* one any event comes with any ids from a small set.
"""

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.session.dsl import Call
from tests.session.sounds import SILENCE, tone, voice
from voice.session import commands as cmd
from voice.session import events as ev
from voice.session.limits import Limits
from voice.session.phases import Phase
from voice.session.script import Line, Script

IDS = st.sampled_from(["a", "b", "c", "d", "own_x", "opening", "said-1", ""])
MS = st.sampled_from([0, 1, 20, 200, 2500])
WAIT = st.sampled_from([0.0, 0.02, 0.3, 1.0, 3.0, 9.0, 40.0])
TEXT = st.sampled_from(
    ["", "a word", "many words, and then some more of them.", "Stop.", "Leave a message.", "Don't record me."]
)
SOUND = st.sampled_from(["AAAA", SILENCE, voice(), tone(1000.0), tone(2100.0), "not base64"])
SCRIPT = Script(
    (Line("identity", "We are we.", 3000), Line("purpose", "To sell.", 900), Line("recording", "Rec.", 900)),
    recording="announce",
    screening=Line("screening", "It is us.", 1000),
    voicemail=Line("voicemail", "Later, then.", 1000),
)
FAST = Limits(
    max_duration_s=120,
    wrap_up_s=20,
    rotate_after_s=40,
    silence_reprompt_s=5,
    silence_hangup_s=5,
    early_audio_ms=100,
    tool_calls_per_call=5,
    max_backlog_ms=8000,
    max_turns=12,
)

hostile_event = st.one_of(
    st.builds(ev.StreamStarted, st.just("MZ1")),
    st.builds(ev.CallerAudio, SOUND, st.sampled_from([20, 0, 200, 5000])),
    st.builds(ev.MarkReturned, st.sampled_from(["g1:1", "g1:2", "g2:1", "g2:9", "g1:", "", "x"])),
    st.builds(ev.DtmfPressed, st.sampled_from("19#")),
    st.builds(ev.StreamStopped, st.booleans()),
    st.builds(
        ev.AnsweredBy, st.sampled_from(["human", "machine_start", "machine_end_beep", "fax", "unknown", ""])
    ),
    st.builds(
        ev.ModelReady,
        st.just("s"),
        attempt=st.integers(0, 3),
        expires_in_s=st.sampled_from([None, -5.0, 30.0, 1e9]),
    ),
    st.builds(ev.ModelLost, st.just("x"), st.booleans(), attempt=st.integers(0, 3)),
    st.builds(ev.SpeechStarted, IDS, st.sampled_from([-5, 0, 10**9])),
    st.builds(ev.SpeechStopped, IDS, st.sampled_from([-5, 0, 10**9])),
    st.builds(ev.InputCommitted, IDS, st.none() | IDS),
    st.builds(ev.IdleTimeout, IDS),
    st.builds(
        ev.ItemAdded,
        IDS,
        st.none() | IDS,
        st.sampled_from(["message", "function_call", ""]),
        st.sampled_from([None, "user", "assistant", "system"]),
    ),
    st.builds(ev.ResponseCreated, IDS, st.sampled_from([{}, {"event_id": "r1"}, {"event_id": "r2"}])),
    st.builds(ev.AudioDelta, IDS, IDS, st.integers(0, 1), st.just("AAAA"), MS),
    st.builds(ev.AudioDone, IDS, IDS, st.integers(0, 1)),
    st.builds(ev.AgentTextDelta, IDS, IDS, st.integers(0, 1), TEXT),
    st.builds(ev.AgentTextDone, IDS, IDS, st.integers(0, 1), TEXT),
    st.builds(ev.ToolCalled, IDS, IDS, IDS, st.sampled_from(["lookup", "end_call"]), st.just("{")),
    st.builds(
        ev.ResponseDone,
        IDS,
        st.sampled_from(["completed", "cancelled", "failed", "incomplete", "?"]),
        error_code=st.sampled_from([None, "server_error", "insufficient_quota", "rate_limit_exceeded"]),
        usage=st.sampled_from([None, {}, {"input_token_details": 3}]),
        tool_calls=st.lists(st.builds(ev.ToolCalled, IDS, IDS, IDS, st.just("x"), st.just("")), max_size=2),
    ),
    st.builds(ev.CallerTextDelta, IDS, TEXT),
    st.builds(ev.CallerTextDone, IDS, TEXT),
    st.builds(ev.CallerTextFailed, IDS, st.just("x")),
    st.builds(
        ev.ModelError,
        st.sampled_from(
            ["", "session_expired", "conversation_already_has_active_response", "invalid_value", "odd"]
        ),
        st.just(""),
        client_event_id=st.sampled_from([None, "r1", "r2", "trunc1", "cfg"]),
        type=st.sampled_from(["", "server_error"]),
    ),
    st.builds(
        ev.ToolFinished,
        IDS,
        TEXT,
        st.booleans(),
        effect=st.sampled_from(["none", "end_call", "transfer", "opt_out", "off_record"]),
    ),
    st.builds(ev.OperatorSay, TEXT),
    st.builds(ev.OperatorWhisper, TEXT),
    st.builds(ev.OperatorMute),
    st.builds(ev.OperatorUnmute),
    st.builds(ev.OperatorTakeOver, IDS),
    st.builds(ev.OperatorVoice, IDS, st.just("AAAA"), MS),
    st.builds(ev.OperatorGiveBack, IDS, note=TEXT, lost=st.booleans()),
    st.builds(ev.CallerTyped, TEXT),
    st.builds(ev.OperatorHangUp),
    st.builds(ev.OperatorTransfer),
    st.builds(ev.TransferFailed),
    st.builds(ev.WrapUp, st.sampled_from([-1.0, 0.0, 5.0, 1e9])),
    st.builds(ev.UnknownEvent, st.just("model"), st.just("x")),
    st.builds(ev.BadMessage, st.just("carrier"), st.just("x")),
)
"""Anything, in any order (`Drain` is left out: it would end every second run early)."""


class Watch:
    """Checks what must always hold, after every step."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.received: dict[tuple[str, int], float] = {}
        self.answers: dict[str, int] = {}
        self.runs: dict[str, int] = {}
        self.open_creates = 0
        self.active: set[str] = set()
        self.finished = False

    def event(self, event: object) -> None:
        if isinstance(event, ev.AudioDelta):
            key = (event.item_id, event.content_index)
            self.received[key] = self.received.get(key, 0.0) + event.ms

    def commands(self, commands: list[cmd.Command]) -> None:
        for command in commands:
            assert not self.finished, f"{command} after Finish"
            match command:
                case cmd.TruncateItem():
                    key = (command.item_id, command.content_index)
                    assert 0 <= command.audio_end_ms <= self.received[key]
                case cmd.RunTool():
                    self.runs[command.call_id] = self.runs.get(command.call_id, 0) + 1
                    assert self.runs[command.call_id] == 1
                case cmd.SendToolOutput():
                    self.answers[command.call_id] = self.answers.get(command.call_id, 0) + 1
                    assert self.answers[command.call_id] == 1
                case cmd.Finish():
                    self.finished = True
                case _:
                    pass
        self._state()

    def _state(self) -> None:
        session, live = self.call.session, self.call.session._live
        closed = session.phase is Phase.CLOSED
        assert closed == self.finished
        assert session.phase is Phase.IDLE or closed == (session.next_deadline() is None)
        assert session.counters["illegal_move"] == 0
        assert live.responses.pending is None or live.responses.active is None or live.link.ready
        assert live.early_ms <= FAST.early_audio_ms
        assert len(live.notes) <= 16
        assert len(live.responses.queue) <= 20
        assert len(live.muted) <= 128
        assert len(live.transcript.turns) <= FAST.max_turns
        assert len(live.playback.parts) <= 256
        for part in live.playback.parts.values():
            heard = live.playback.heard_ms(part, self.call.now)
            assert 0 <= heard <= part.sent_ms + 1e-6
            assert part.sent_ms <= part.received_ms + 1e-6


def run(call: Call, steps: list[tuple[float, Any]]) -> Watch:
    watch = Watch(call)
    for seconds, event in steps:
        watch.event(event)
        watch.commands(call.wait(seconds))
        watch.commands(call.on(event))
    return watch


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["inbound", "outbound", "scripted"]),
    st.lists(st.tuples(WAIT, hostile_event), max_size=60),
)
def test_whatever_comes(kind: str, steps: list[tuple[float, Any]]) -> None:
    outbound = kind != "inbound"
    limits = replace(FAST, server_responds=False) if kind == "scripted" else FAST
    script = SCRIPT if kind == "scripted" else None
    direction = "outbound" if outbound else "inbound"
    call = Call(limits, direction=direction, amd_expected=outbound, script=script)
    call.start()
    call.on(ev.ModelReady("s", attempt=1))
    watch = run(call, steps)
    # a call ends in bounded time even if nobody says anything any more
    watch.commands(call.wait(FAST.max_duration_s + 60))
    assert watch.finished
    assert isinstance(call.log[-1], cmd.Finish)


ACTIONS = st.sampled_from(
    [
        "frame",
        "speak",
        "stop",
        "text",
        "server_response",
        "our_response",
        "audio",
        "audio",
        "audio",
        "audio_done",
        "words",
        "tool",
        "tool",
        "tool_result",
        "end_call",
        "opt_out",
        "done",
        "done",
        "failed",
        "mark",
        "mark",
        "lose",
        "ready",
        "ready",
        "say",
        "whisper",
        "mute",
        "unmute",
        "take_over",
        "voice",
        "give_back",
        "nine",
        "collision",
    ]
)


class World:
    """A server and a carrier that keep their own rules, driven by random choices."""

    def __init__(self) -> None:
        self.call = Call(FAST)
        self.watch = Watch(self.call)
        self.n = 0
        self.active: str | None = None
        self.requested: list[cmd.CreateResponse] = []
        self.speaking = False
        self.open_tools: list[str] = []
        self.attempt = 0
        self.ready = False
        self.interrupted: set[str] = set()
        self.item = ""
        self.items: dict[str, tuple[str, float, bool]] = {}
        """item -> response, received, complete"""

    def do(self, event: ev.SessionEvent) -> None:
        self.watch.event(event)
        if isinstance(event, ev.SpeechStarted) and self.active:
            self.interrupted.add(self.active)
        before = dict(self.items)
        got = self.call.on(event)
        for command in got:
            if isinstance(command, cmd.TruncateItem):
                self._check_truncation(command, before)
        self.take(got)

    def _check_truncation(self, command: cmd.TruncateItem, items: dict[str, tuple[str, float, bool]]) -> None:
        response, received, complete = items[command.item_id]
        self.interrupted.add(response)
        assert command.audio_end_ms <= received
        if complete:
            assert command.audio_end_ms < received, "an item that was heard to its end"

    def take(self, commands: list[cmd.Command]) -> None:
        self.watch.commands(commands)
        for command in commands:
            match command:
                case cmd.CreateResponse():
                    assert self.ready
                    assert self.active is None, "asked while a response is active"
                    slow = self.call.counters["response_not_created"]
                    assert len(self.requested) <= slow, "asked twice"
                    assert not self.speaking
                    self.requested.append(command)
                case cmd.OpenModel():
                    self.attempt = command.attempt
                    if not command.standby:
                        self.ready = False
                        self.active = None
                        self.requested.clear()
                case cmd.CancelResponse():
                    self.interrupted.add(command.response_id)
                case _:
                    pass

    def step(self, action: str, seconds: float) -> None:  # noqa: PLR0912
        self.take(self.call.wait(seconds))
        self.n += 1
        n = f"{self.n}"
        match action:
            case "frame":
                self.do(ev.CallerAudio("AAAA", 20))
            case "speak" if self.ready and not self.speaking:
                self.speaking = True
                self.do(ev.SpeechStarted(f"u{n}", 0))
                if self.active:
                    response, self.active = self.active, None
                    self.do(ev.ResponseDone(response, "cancelled", "turn_detected"))
            case "stop" if self.ready and self.speaking:
                self.speaking = False
                self.do(ev.SpeechStopped("u", 0))
                self.do(ev.InputCommitted(f"u{n}", None))
            case "text" if self.ready:
                self.do(ev.CallerTextDone(f"u{n}", "words"))
            case "server_response" if self.ready and not self.active and not self.speaking:
                self.active = f"r{n}s"
                refused, self.requested = self.requested, []
                self.do(ev.ResponseCreated(self.active, {"purpose": "x"} if n[-1] in "13579" else {}))
                for request in refused:
                    code = "conversation_already_has_active_response"
                    self.do(ev.ModelError(code, "", client_event_id=request.event_id))
            case "our_response" if self.ready and self.requested and not self.active:
                request, *refused = self.requested
                self.requested = []
                self.active = f"r{n}o"
                self.do(ev.ResponseCreated(self.active, {"event_id": request.event_id}))
                for other in refused:
                    code = "conversation_already_has_active_response"
                    self.do(ev.ModelError(code, "", client_event_id=other.event_id))
            case "audio" if self.ready and self.active:
                item = f"i_{self.active}"
                response, received, _ = self.items.get(item, (self.active, 0.0, False))
                self.items[item] = (response, received + 400.0, False)
                muted = self.active in self.interrupted
                event = ev.AudioDelta(self.active, item, 0, "AAAA", 400.0)
                self.watch.event(event)
                got = self.call.on(event)
                if muted:
                    assert not [c for c in got if isinstance(c, cmd.PlayAudio)]
                self.take(got)
            case "audio_done" if self.ready and self.active:
                self._complete(self.active)
                self.do(ev.AudioDone(self.active, f"i_{self.active}", 0))
            case "words" if self.ready and self.active:
                self.do(ev.AgentTextDone(self.active, f"i_{self.active}", 0, "some words of the agent"))
            case "tool" if self.ready and self.active:
                self.open_tools.append(f"t{n}")
                self.do(ev.ToolCalled(self.active, f"f{n}", f"t{n}", "lookup", "{}"))
            case "tool_result" | "end_call" | "opt_out" if self.open_tools:
                effect = "none" if action == "tool_result" else action
                self.do(ev.ToolFinished(self.open_tools.pop(), "{}", effect=effect))
            case "done" | "failed" if self.ready and self.active:
                response, self.active = self.active, None
                self._complete(response)
                self.do(ev.ResponseDone(response, "completed" if action == "done" else "failed"))
            case "mark" if self.call.marks:
                self.take(self.call.mark())
            case "lose" if self.ready:
                self.ready = self.speaking = False
                self.active = None
                self.requested.clear()
                self.do(ev.ModelLost("1006", retryable=True, attempt=self.attempt))
            case "ready" if not self.ready:
                self.ready = True
                self.speaking = False
                self.do(ev.ModelReady("s", attempt=self.attempt))
            case "say":
                self.do(ev.OperatorSay("exactly this"))
            case "whisper":
                self.do(ev.OperatorWhisper("be kind"))
            case "mute":
                self.do(ev.OperatorMute())
            case "unmute":
                self.do(ev.OperatorUnmute())
            case "take_over":
                self.do(ev.OperatorTakeOver("desk"))
            case "voice":
                self.do(ev.OperatorVoice("desk", "AAAA", 100))
            case "give_back":
                self.do(ev.OperatorGiveBack("desk"))
            case "nine":
                self.do(ev.DtmfPressed("9"))
            case _:
                pass

    def _complete(self, response: str) -> None:
        for item, (owner, received, _) in list(self.items.items()):
            if owner == response:
                self.items[item] = (owner, received, True)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(ACTIONS, st.sampled_from([0.0, 0.01, 0.1, 0.4, 1.0])), max_size=80))
def test_with_peers_that_keep_the_rules(steps: list[tuple[str, float]]) -> None:
    world = World()
    world.call.start()
    world.take(world.call.last)
    world.step("ready", 0.1)
    for action, seconds in steps:
        if world.call.session.closed:
            break
        world.step(action, seconds)
    live = world.call.session._live
    running = set(live.tools.running)
    for call_id, times in world.watch.runs.items():
        told = world.watch.answers.get(call_id, 0)
        assert times == 1
        assert told == 0 or call_id not in running
    world.call.hangs_up()
    world.watch.commands(world.call.last)
    world.watch.commands(world.call.wait(10.0))
    assert world.watch.finished


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["tool", "result", "late", "speak", "stop", "done"]), max_size=40))
def test_every_tool_call_is_answered_exactly_once(steps: list[str]) -> None:
    """As long as the session lasts and somebody listens."""
    call = Call(Limits(tool_calls_per_call=1000, stall_lost_s=1e6)).talking()
    call.turn("Go.")
    call.created(server=True)
    called: list[str] = []
    waiting: list[str] = []
    for step in steps:
        match step:
            case "tool":
                called.append(call.calls_tool())
                waiting.append(called[-1])
            case "result" if waiting:
                call.tool_done(waiting.pop())
            case "late":
                call.wait(9.0)
                call.on(ev.CallerAudio("AAAA", 20))
            case "speak":
                call.speaks()
            case "stop" if call.session._live.caller_speaking:
                call.stops()
            case "done":
                call.done()
                call.created(server=True)
            case _:
                pass
    call.on(ev.CallerAudio("AAAA", 20))
    call.wait(9.0)
    assert call.phase is Phase.TALKING
    answers = [c.call_id for c in call.sent(cmd.SendToolOutput)]
    assert sorted(answers) == sorted(called)
