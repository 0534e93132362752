"""The state of one live call, and the few verbs that everything else is written in. No decisions here."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from voice.session import commands as cmd
from voice.session.limits import Limits
from voice.session.phases import MOVES, Phase
from voice.session.playback import Playback
from voice.session.reasons import EndReason
from voice.session.responses import Intent, Responses
from voice.session.script import Script
from voice.session.timers import Timer, Timers
from voice.session.tools import Tools
from voice.session.turns import Transcript

if TYPE_CHECKING:
    from voice.session.ear import Ear
    from voice.session.opening import Opening

_MAX_NOTES = 16
_MAX_MUTED = 128
FLOOD_MS = 10_000
"""Caller audio ahead of the clock by more than this did not come from a telephone."""

Clip = Literal["one_moment", "apology", "goodbye", "opted_out"]


@dataclass(slots=True)
class Link:
    """The model connections of the call."""

    attempt: int = 0
    """The last one that was asked for."""
    current: int = 0
    """The one in use; 0 while there is none that is ready."""
    standby: int = 0
    """The one that is being opened for a rotation."""
    lost_at: float | None = None
    """Since when there is none (after there was one)."""
    tries: int = 0
    """Connections asked for since then."""
    losses: int = 0
    ready_at: float = 0.0
    rotate_at: float = 0.0
    force_rotate_at: float = 0.0

    @property
    def ready(self) -> bool:
        return self.current != 0


@dataclass(slots=True)
class Closing:
    """An end that waits for the agent to finish speaking (rule 6)."""

    kind: Literal["hangup", "transfer"]
    reason: EndReason
    target: dict[str, Any] = field(default_factory=dict)
    cancelable: bool = True
    """The caller's speech calls it off."""
    confirmations: int = 0
    """How often the caller may still speak before it is final (an opt-out is never called off)."""
    since: int = 0
    """Responses asked for before this number do not count as the farewell."""
    response_id: str | None = None
    stage: Literal["response", "playback"] = "response"
    clip: Clip = "goodbye"
    spoken: bool = False
    """Audio of the farewell was sent."""
    commit: str = ""
    """The tool run that must be over first: what the farewell says is true then, and not before."""
    commit_until: float = 0.0
    """The farewell does not wait for it longer than this; the end of the call does."""
    silent: bool = False
    """The model says nothing any more."""


@dataclass(slots=True)
class Desk:
    """What operators do to the call. While it :attr:`holds`, the agent says and answers nothing."""

    muted: bool = False
    talker: str = ""
    """Connection of the person who talks in the agent's place; empty: nobody does."""
    by: str = ""
    """Who that is."""
    since: float = 0.0
    voice_at: float = 0.0
    """When their microphone was last heard of, silence included."""
    model_gone: str = ""
    """Code of the loss of the model, which ends the call only when it is given back."""

    @property
    def holds(self) -> bool:
        return self.muted or self.talker != ""


class Live:
    """Plain state. Handlers append commands to `out`."""

    __slots__ = (
        "amd_expected",
        "answered",
        "answered_by",
        "apology_mark",
        "attention_at",
        "caller_speaking",
        "clip_ms",
        "closing",
        "counters",
        "desk",
        "digits",
        "direction",
        "ear",
        "early",
        "early_ms",
        "end_reason",
        "failures",
        "fallback_transfer",
        "first_audio_from",
        "forwarding",
        "greeted",
        "greeting",
        "history",
        "ids",
        "input_base_ms",
        "last_media_at",
        "last_speech_at",
        "latency_from",
        "limits",
        "link",
        "media_ms",
        "muted",
        "notes",
        "off_record",
        "opening",
        "opted_out",
        "out",
        "owed_at",
        "phase",
        "playback",
        "recording",
        "reprompts",
        "responses",
        "resumed",
        "screened_until",
        "script",
        "spend_microusd",
        "spend_reached",
        "stall_filler",
        "started_at",
        "timers",
        "tools",
        "transcript",
        "typed",
        "uncommitted",
        "who",
        "words",
        "words_news",
    )

    def __init__(
        self,
        limits: Limits,
        now: float,
        *,
        direction: Literal["inbound", "outbound"],
        amd_expected: bool,
        greeting: str,
        history: list[tuple[Literal["caller", "agent"], str]],
        fallback_transfer: dict[str, Any] | None,
        clip_ms: Mapping[str, float],
        script: Script | None = None,
        off_record: bool = False,
    ) -> None:
        self.limits = limits
        self.script = script
        self.direction = direction
        self.amd_expected = amd_expected
        self.greeting = greeting
        self.history = history
        self.resumed = bool(history)
        self.fallback_transfer = fallback_transfer
        self.clip_ms = clip_ms
        self.phase = Phase.IDLE
        self.out: list[cmd.Command] = []
        self.counters: Counter[str] = Counter()
        self.timers = Timers()
        self.link = Link()
        self.playback = Playback(max_backlog_ms=limits.max_backlog_ms)
        self.transcript = Transcript(max_turns=limits.max_turns, max_chars=limits.max_turn_chars)
        self.responses = Responses()
        self.tools = Tools(max_calls=limits.tool_calls_per_call)
        self.closing: Closing | None = None
        self.desk = Desk()
        self.end_reason: EndReason | None = None
        self.off_record = off_record
        """They object to being recorded: no more of their words, or of ours, is stored."""
        self._start_script()
        self._start_talk(now)

    def _start_script(self) -> None:
        """Our own lines, and who is on the line."""
        script = self.script
        self.opening: Opening | None = None
        self.ear: Ear | None = None
        """Listens to every frame while it is not known who is on the line, and is gone afterwards."""
        self.who: Literal["", "person", "machine", "screening"] = ""
        """Who is on the line, as far as anybody has said so."""
        self.words_news = ""
        """What the ear has just heard (`ear.News`)."""
        self.screened_until = 0.0
        """For a person behind a screening service nobody waits longer."""
        self.words = ""
        """What the other side said until that was known."""
        self.recording: Literal["off", "announce", "explicit", "asked", "on", "refused"] = (
            "off" if script is None or script.opened else script.recording
        )
        self.answered = (
            script.opened if script is not None else self.direction == "inbound" or not self.amd_expected
        )
        self.answered_by = ""

    def _start_talk(self, now: float) -> None:
        """Who spoke when, and what is awaited."""
        self.started_at = now
        self.last_media_at = now
        self.media_ms = 0
        """Caller audio received, in milliseconds: the call's own audio clock."""
        self.input_base_ms = 0
        """`media_ms` at which the model session in use began to listen."""
        self.forwarding = False
        self.early: deque[tuple[str, int]] = deque()
        self.early_ms = 0
        self.greeted = self.resumed
        self.caller_speaking = False
        self.uncommitted = False
        """The caller's last words were committed by hand and are not an item yet."""
        self.last_speech_at = now
        self.attention_at = now
        """Last moment at which somebody did something: silence counts from here."""
        self.reprompts = 0
        self.digits = ""
        self.typed = 0
        """Turns of the other side that were written."""
        self.opted_out = False
        self.muted: dict[str, None] = {}
        """Responses and items whose late audio is dropped."""
        self.notes: list[tuple[Literal["system", "user", "assistant"], str]] = []
        self.ids = 0
        self.latency_from: float | None = None
        self.first_audio_from: float | None = None
        self.owed_at: float | None = None
        """Since when the model owes speech."""
        self.stall_filler = False
        self.apology_mark = ""
        self.spend_microusd = 0
        self.spend_reached = False
        self.failures = 0
        """Responses that failed in a row."""

    # --- verbs --------------------------------------------------------------------------------

    def count(self, name: str) -> None:
        self.counters[name] += 1

    def move(self, phase: Phase) -> bool:
        """Change the phase if the table allows it; otherwise nothing changes and it is counted."""
        if phase not in MOVES[self.phase]:
            self.count("illegal_move")
            return False
        self.phase = phase
        return True

    def clock_ms(self, now: float) -> int:
        return max(0, round((now - self.started_at) * 1000))

    def event_id(self, prefix: str) -> str:
        self.ids += 1
        return f"{prefix}{self.ids}"

    def journal(self, type_: str, **data: Any) -> None:
        self.out.append(cmd.Journal(type_, data))

    def tell(self, item_id: str, speaker: Literal["caller", "agent"], text: str) -> None:
        """Words for the live stream, if there are any."""
        if text and not self.off_record:
            self.journal("transcript.delta", item_id=item_id, speaker=speaker, text=text)

    def mute(self, *names: str) -> None:
        for name in names:
            if name:
                self.muted[name] = None
        while len(self.muted) > _MAX_MUTED:
            del self.muted[next(iter(self.muted))]

    def insert(self, text: str, *, role: Literal["system", "user", "assistant"] = "system") -> None:
        """Tell the model a fact, now or as soon as there is a session to tell it to."""
        if self.link.ready:
            self.out.append(cmd.InsertText(role, text, self.event_id("note")))
        elif len(self.notes) < _MAX_NOTES:
            self.notes.append((role, text))
        else:
            self.count("note_dropped")

    def ask(self, intent: Intent) -> None:
        if not self.responses.ask(intent):
            self.count("intent_dropped")

    def let_go(self, why: str, now: float) -> None:
        """Operators have the agent in hand no longer: it was given back, or the call comes to its end."""
        desk, self.desk = self.desk, Desk()
        if desk.talker:
            self.timers.cancel(Timer.DESK)
            seconds = round(now - desk.since, 1)
            self.journal("operator.gave_back", by=desk.by, why=why, seconds=seconds, audible=False)
        if desk.muted:
            self.journal("operator.unmuted", by="", why=why, audible=False)

    def play_clip(self, clip: Clip, now: float) -> str:
        """Play one of our own lines; the name of its mark."""
        mark = self.playback.play_clip(self.clip_ms.get(clip), now)
        self.out.append(cmd.PlayClip(clip, mark))
        self.journal("call.clip", clip=clip)
        return mark

    @property
    def listens(self) -> bool:
        """The model may hear the other side before it is asked to say anything."""
        return self.script is not None

    @property
    def person(self) -> bool:
        """There is somebody whom we may speak to."""
        return self.answered
