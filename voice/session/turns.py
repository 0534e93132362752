"""The transcript while it grows (rule 8): order by `previous_item_id`, text filled in later, revisions.

Two texts are kept of what the agent says: what the model generated, and what of it the caller heard. The
caller's words come from a side model, late and in any order; a turn exists from the moment its audio is
committed and is stored again with a higher revision whenever something about it changes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from voice.session.commands import StoreTurn
from voice.session.items import OUR_TURNS, OWN_ITEM_PREFIX

Speaker = Literal["caller", "agent", "person"]
_HISTORY_CHARS = 24_000
_HEARD_TOLERANCE_MS = 20.0
_FASTEST_CHARS_PER_MS = 0.024
"""Nobody speaks faster: bounds what is told of a part whose length is not known yet."""
_ENDS = (" ", ".", "?", "!", ",")
_LONGEST_WORD = 24
"""In scripts without spaces a partial text is told in pieces of this length."""


@dataclass(slots=True)
class _Sound:
    """How much of one content part was heard."""

    heard_ms: float
    received_ms: float


@dataclass(slots=True)
class Turn:
    item_id: str
    speaker: Speaker
    start_ms: int
    end_ms: int | None = None
    response_id: str = ""
    texts: dict[int, str] = field(default_factory=dict)
    """Text by content part."""
    sounds: dict[int, _Sound] = field(default_factory=dict)
    text_done: bool = False
    sounding: bool = False
    """Audio of it has come and is not settled."""
    interrupted: bool = False
    failed: bool = False
    revision: int = 0
    told: dict[int, int] = field(default_factory=dict)
    """Characters that the live stream knows, by content part."""

    @property
    def text(self) -> str:
        return "".join(self.texts[index] for index in sorted(self.texts))

    @property
    def heard_text(self) -> str:
        """The words of people; of the agent's, those up to the point where the sound stopped."""
        if self.speaker != "agent":
            return self.text
        return "".join(
            _cut(self.texts[index], self.sounds.get(index)) for index in sorted(self.texts)
        ).rstrip()

    @property
    def status(self) -> Literal["in_progress", "completed", "failed"]:
        if self.failed:
            return "failed"
        return "completed" if self.text_done and not self.sounding else "in_progress"


def _cut(text: str, sound: _Sound | None) -> str:
    """The share of `text` that `sound` covers, back to the last whole word."""
    if sound is None or sound.received_ms <= 0:
        return ""
    if sound.heard_ms >= sound.received_ms - _HEARD_TOLERANCE_MS:
        return text
    return _whole_words(text, int(len(text) * sound.heard_ms / sound.received_ms))


def _whole_words(text: str, at: int) -> str:
    """The words of `text` that end at or before `at`."""
    if at >= len(text) or text[at : at + 1].isspace():
        return text[:at]
    return text[: text.rfind(" ", 0, at) + 1]


def _is_ours(turn: Turn) -> bool:
    return turn.speaker == "agent" and turn.item_id.startswith(OUR_TURNS)


class Transcript:
    """All items of a call in conversation order. Items that are no turns only keep the chain."""

    def __init__(self, *, max_turns: int, max_chars: int) -> None:
        self._max_turns, self._max_chars = max_turns, max_chars
        self.turns: dict[str, Turn] = {}
        self._order: list[str] = []
        self._known: set[str] = set()
        self._hidden: set[str] = set()
        """Known items that are no turns."""
        self._dirty: dict[str, None] = {}
        self._speech: tuple[str, int, int | None] | None = None
        """Item, start and end of the caller's speech that is not committed yet."""
        self._waiting: dict[str, None] = {}
        """The caller's turns whose text has not come."""
        self._partial: dict[str, None] = {}
        """The caller's turns with words that the live stream does not know."""
        self.dropped = 0

    # --- order --------------------------------------------------------------------------------

    def place(self, item_id: str, previous_item_id: str | None) -> bool:
        """Put an item behind `previous_item_id`, at the end if that is unknown. False: no room left."""
        if item_id in self._known:
            self._move(item_id, previous_item_id)
            turn = self.turns.get(item_id)
            if turn is not None and not _is_ours(turn):
                self._beside_ours(turn)
            return True
        if len(self._order) >= 4 * self._max_turns:
            self.dropped += 1
            return False
        self._insert(item_id, previous_item_id)
        self._known.add(item_id)
        return True

    def _insert(self, item_id: str, previous_item_id: str | None) -> None:
        order = self._order
        if previous_item_id in self._known and order and order[-1] != previous_item_id:
            order.insert(order.index(previous_item_id) + 1, item_id)
            self._successor_changed(item_id)
        else:
            order.append(item_id)

    def _move(self, item_id: str, previous_item_id: str | None) -> None:
        """A later event tells the predecessor of an item that we know from an earlier one."""
        if previous_item_id not in self._known or previous_item_id == item_id:
            return
        order = self._order
        at = order.index(item_id)
        if at > 0 and order[at - 1] == previous_item_id:
            return
        if self._has_turn_between(previous_item_id, at):
            self._successor_changed(item_id)
            order.remove(item_id)
            self._insert(item_id, previous_item_id)
            if item_id in self.turns:
                self._dirty[item_id] = None

    def _has_turn_between(self, previous_item_id: str, at: int) -> bool:
        start = self._order.index(previous_item_id) + 1
        low, high = min(start, at), max(start, at)
        return any(item in self.turns for item in self._order[low:high])

    def _successor_changed(self, item_id: str) -> None:
        for other in self._order[self._order.index(item_id) + 1 :]:
            turn = self.turns.get(other)
            if turn is not None:
                if turn.revision:
                    self._dirty[other] = None
                return

    def _beside_ours(self, turn: Turn) -> None:
        """Put a turn before or behind the lines that we said ourselves, which no chain of the model names.

        By when each began: the model tells of a turn when it is over, and of ours it tells nothing.
        """
        order = self._order
        at = there = order.index(turn.item_id)
        for index in range(at + 1, len(order)):
            other = self.turns.get(order[index])
            if other is not None and not (_is_ours(other) and other.start_ms <= turn.start_ms):
                break
            there = index if other is not None else there
        if there == at:
            for index in range(at - 1, -1, -1):
                other = self.turns.get(order[index])
                if other is not None and not (_is_ours(other) and other.start_ms > turn.start_ms):
                    break
                there = index if other is not None else there
        if there != at:
            self._successor_changed(turn.item_id)
            order.insert(there, order.pop(at))
            self._successor_changed(turn.item_id)

    def _previous_turn(self, item_id: str) -> str | None:
        for other in reversed(self._order[: self._order.index(item_id)]):
            if other in self.turns:
                return other
        return None

    def item_added(self, item_id: str, previous_item_id: str | None, *, is_turn: bool) -> None:
        """An item entered the model's conversation."""
        if not is_turn or item_id.startswith(OWN_ITEM_PREFIX):
            self._hidden.add(item_id)
        if self.place(item_id, previous_item_id) is False:
            self._hidden.discard(item_id)

    # --- the caller ---------------------------------------------------------------------------

    def speech_started(self, item_id: str, start_ms: int) -> None:
        self._speech = (item_id, start_ms, None)

    def speech_stopped(self, end_ms: int) -> None:
        if self._speech is not None:
            self._speech = (self._speech[0], self._speech[1], max(end_ms, self._speech[1]))

    def hide(self, item_id: str) -> None:
        """This item is no turn (an idle time-out commits silence)."""
        if len(self._hidden) < 4 * self._max_turns:
            self._hidden.add(item_id)

    def committed(self, item_id: str, previous_item_id: str | None, now_ms: int) -> None:
        """The caller's speech became an item: the turn exists, its text is awaited."""
        if not self.place(item_id, previous_item_id) or item_id in self._hidden:
            return
        turn = self._caller(item_id, now_ms)
        if turn is None:
            return
        if self._speech is not None and self._speech[0] in {item_id, ""}:
            turn.start_ms = self._speech[1]
            turn.end_ms = self._speech[2] if self._speech[2] is not None else now_ms
            self._speech = None
        elif turn.end_ms is None:
            turn.end_ms = now_ms
        self._beside_ours(turn)
        self._dirty[item_id] = None

    def _caller(self, item_id: str, now_ms: int) -> Turn | None:
        turn = self.turns.get(item_id)
        if turn is None:
            turn = self._new(item_id, "caller", now_ms)
            if turn is not None:
                self._waiting[item_id] = None
        return turn if turn is not None and turn.speaker == "caller" else None

    def caller_delta(self, item_id: str, text: str) -> None:
        """Partial words."""
        turn = self.turns.get(item_id)
        if turn is None or turn.speaker != "caller" or turn.text_done:
            return
        self._grow(turn, 0, text)
        self._partial[item_id] = None

    def caller_done(self, item_id: str, text: str, now_ms: int) -> str:
        """The final words replace the partial ones; an empty text is legal (noise).

        Returns what the live stream has not been told of them; nothing if they differ from what it was told.
        """
        if item_id in self._hidden or not self.place(item_id, None):
            return ""
        turn = self._caller(item_id, now_ms)
        if turn is None:
            return ""
        known = turn.texts.get(0, "")[: turn.told.get(0, 0)]
        turn.texts = {0: text[: self._max_chars]}
        turn.text_done, turn.failed = True, False
        self._waiting.pop(item_id, None)
        self._partial.pop(item_id, None)
        self._dirty[item_id] = None
        return self._tell(turn, 0, len(text)) if text.startswith(known) else ""

    @property
    def has_partial_words(self) -> bool:
        """There is something for :meth:`caller_words`."""
        return bool(self._partial)

    def caller_words(self) -> list[tuple[str, str]]:
        """(item, text): whole words of the caller that the live stream has not been told yet."""
        told = []
        for item_id in self._partial:
            turn = self.turns[item_id]
            text = turn.texts.get(0, "")
            whole = text if text.endswith(_ENDS) else text[: text.rfind(" ") + 1]
            if len(text) - max(len(whole), turn.told.get(0, 0)) > _LONGEST_WORD:
                whole = text
            told.append((item_id, self._tell(turn, 0, len(whole))))
        self._partial.clear()
        return told

    def caller_failed(self, item_id: str) -> None:
        turn = self.turns.get(item_id)
        if turn is None or turn.speaker != "caller" or turn.text_done:
            return
        turn.failed = True
        self._waiting.pop(item_id, None)
        self._dirty[item_id] = None

    @property
    def awaits_text(self) -> bool:
        """A committed turn of the caller has no text yet."""
        return bool(self._waiting)

    def give_up_texts(self) -> None:
        """No more transcriptions will come: keep partial words, mark the rest as failed."""
        for item_id in list(self._waiting):
            turn = self.turns[item_id]
            if turn.text:
                turn.text_done = True
                self._waiting.pop(item_id)
                self._dirty[item_id] = None
            else:
                self.caller_failed(item_id)

    # --- the agent ----------------------------------------------------------------------------

    def agent_sound(self, item_id: str, response_id: str, start_ms: int) -> None:
        """The first audio of an item is on its way; it starts to sound at `start_ms` of the call."""
        turn = self._agent(item_id, response_id, start_ms)
        if turn is not None and not turn.sounding:
            turn.sounding = True

    def agent_delta(self, item_id: str, response_id: str, index: int, text: str, now_ms: int) -> str:
        """Generated words; returns those whose sound is over already, for the live stream."""
        turn = self._agent(item_id, response_id, now_ms)
        if turn is None or turn.text_done:
            return ""
        self._grow(turn, index, text)
        return self._tell_rest(turn, index)

    def agent_text(self, item_id: str, response_id: str, index: int, text: str, now_ms: int) -> str:
        """The final generated text of one part; returns what of it has been heard and was not told yet."""
        turn = self._agent(item_id, response_id, now_ms)
        if turn is None:
            return ""
        if text:
            turn.texts[index] = text[: self._max_chars]
        turn.text_done = True
        self._dirty[item_id] = None
        return self._tell_rest(turn, index)

    def agent_words(
        self, item_id: str, index: int, *, heard_ms: float, received_ms: float, complete: bool
    ) -> str:
        """Words of a part that have been heard by now and were not told yet.

        Text and sound are taken to go in step. While more is to come, text may be ahead of the sound: then
        no more is told than a fast speaker could have said.
        """
        turn = self.turns.get(item_id)
        if turn is None or received_ms <= 0:
            return ""
        text = turn.texts.get(index, "")
        at = int(len(text) * heard_ms / received_ms)
        if not complete:
            at = min(at, int(heard_ms * _FASTEST_CHARS_PER_MS))
        return self._tell(turn, index, len(_whole_words(text, at)))

    def agent_heard(
        self, item_id: str, index: int, *, heard_ms: float, received_ms: float, end_ms: int, interrupted: bool
    ) -> str:
        """The sound of one part is over, at its end or before it; returns what was not told of it yet."""
        turn = self.turns.get(item_id)
        if turn is None or turn.speaker != "agent":
            return ""
        turn.sounds[index] = _Sound(heard_ms, received_ms)
        # a turn of ours is all its lines, each of which is heard by itself
        turn.sounding = _is_ours(turn) and any(part not in turn.sounds for part in turn.texts)
        turn.end_ms = max(end_ms, turn.start_ms)
        turn.interrupted = turn.interrupted or interrupted
        turn.text_done = turn.text_done or interrupted
        self._dirty[item_id] = None
        return self._tell_rest(turn, index)

    def _tell_rest(self, turn: Turn, index: int) -> str:
        """What is left to tell of a part whose sound is over."""
        sound = turn.sounds.get(index)
        return self._tell(turn, index, len(_cut(turn.texts.get(index, ""), sound))) if sound else ""

    def response_done(self, response_id: str) -> None:
        """Whatever text of this response has come is all there is."""
        for turn in self._recent():
            if turn.response_id == response_id and not turn.text_done:
                turn.text_done = True
                self._dirty[turn.item_id] = None

    def _recent(self) -> Iterable[Turn]:
        return (self.turns[item] for item in self._order[-32:] if item in self.turns)

    def _agent(self, item_id: str, response_id: str, start_ms: int) -> Turn | None:
        turn = self.turns.get(item_id)
        if turn is not None:
            return turn if turn.speaker == "agent" else None
        if item_id in self._hidden or not self.place(item_id, None):
            return None
        turn = self._new(item_id, "agent", start_ms)
        if turn is not None:
            turn.response_id = response_id
            if not _is_ours(turn):
                self._beside_ours(turn)
        return turn

    # --- a person in the agent's place ------------------------------------------------------------

    def person_said(self, item_id: str, text: str, start_ms: int, end_ms: int) -> bool:
        """Words of an operator, whole; False if they are known, or there is no room."""
        earlier = (one for one in reversed(self._order) if one in self.turns)
        before = next((one for one in earlier if self.turns[one].start_ms <= start_ms), None)
        if item_id in self._known or not self.place(item_id, before):
            return False
        turn = self._new(item_id, "person", start_ms)
        if turn is None:
            return False
        self._grow(turn, 0, text)
        turn.end_ms, turn.text_done = max(start_ms, end_ms), True
        self._dirty[item_id] = None
        return True

    # --- both ---------------------------------------------------------------------------------

    def _new(self, item_id: str, speaker: Speaker, start_ms: int) -> Turn | None:
        if len(self.turns) >= self._max_turns:
            self.dropped += 1
            return None
        turn = self.turns[item_id] = Turn(item_id, speaker, max(0, start_ms))
        self._successor_changed(item_id)
        return turn

    def _grow(self, turn: Turn, index: int, text: str) -> None:
        have = turn.texts.get(index, "")
        if len(have) >= self._max_chars:
            self.dropped += 1
            return
        turn.texts[index] = (have + text)[: self._max_chars]

    def _tell(self, turn: Turn, index: int, upto: int) -> str:
        """The text between what was told last and `upto`."""
        known = turn.told.get(index, 0)
        if upto <= known:
            return ""
        turn.told[index] = upto
        return turn.texts.get(index, "")[known:upto]

    @property
    def changed(self) -> bool:
        """There is something to store."""
        return bool(self._dirty)

    def take_dirty(self) -> list[StoreTurn]:
        """The turns that changed since the last time, in conversation order."""
        if not self._dirty:
            return []
        items = list(self._dirty)
        self._dirty.clear()
        if len(items) > 1:
            items.sort(key=self._order.index)
        return [self._store(self.turns[item]) for item in items]

    def _store(self, turn: Turn) -> StoreTurn:
        turn.revision += 1
        return StoreTurn(
            item_id=turn.item_id,
            previous_item_id=self._previous_turn(turn.item_id),
            speaker=turn.speaker,
            text=turn.text,
            heard_text=turn.heard_text,
            start_ms=turn.start_ms,
            end_ms=turn.end_ms,
            interrupted=turn.interrupted,
            status=turn.status,
            revision=turn.revision,
        )

    def history(self) -> list[tuple[Literal["caller", "agent"], str]]:
        """What was said, for a new model session: the last part of it if it is long. What a colleague said in
        the agent's place was said from its side."""
        lines: list[tuple[Literal["caller", "agent"], str]] = []
        room = _HISTORY_CHARS
        for item in reversed(self._order):
            turn = self.turns.get(item)
            if turn is None:
                continue
            text = (turn.heard_text if turn.interrupted else turn.text).strip()
            room -= len(text)
            if room < 0:
                break
            if text:
                lines.append(("caller" if turn.speaker == "caller" else "agent", text))
        return lines[::-1]
