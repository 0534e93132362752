"""The single owner of `response.create` (rule 3).

Everything that wants the agent to speak queues an :class:`Intent`. One is sent when no response is active
and none is asked for. The server makes responses of its own after the caller's turns; those answer what was
waiting too, so some intents are dropped when one begins.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

from voice.session.commands import CreateResponse
from voice.session.events import ResponseCreated

Purpose = Literal["greeting", "tool", "reprompt", "whisper", "say", "goodbye", "resume", "dtmf", "answer"]

_SINGLE: Final = frozenset({"greeting", "tool", "reprompt", "whisper", "goodbye", "resume", "dtmf", "answer"})
"""One waiting intent of these is as good as two."""
_ANSWERED_BY_ANY: Final = frozenset({"greeting", "tool", "reprompt", "whisper", "resume", "dtmf", "answer"})
"""A response that the server begins later takes their reason into account."""
RACE_S: Final = 0.3
"""A result queued so shortly before the server's response began may have come too late for it."""
_MAX_QUEUE: Final = 16
MAX_TRIES: Final = 3


@dataclass(slots=True)
class Intent:
    purpose: Purpose
    text: str | None = None
    """A fact for the model, inserted right before the first `response.create`."""
    instructions: str | None = None
    tool_choice: Literal["auto", "none"] | None = None
    tries: int = 0
    asked_at: float = float("-inf")
    """When it was queued; set for results, which a response that had already begun does not know."""
    number: int = 0
    """Of the `response.create` that asked for it: larger is later."""
    older: tuple[int, ...] = ()
    """Numbers of earlier requests that nothing had followed when it was asked again."""


class Responses:
    def __init__(self) -> None:
        self.active: str | None = None
        self.active_intent: Intent | None = None
        self.pending: Intent | None = None
        """Asked for, not begun."""
        self.queue: deque[Intent] = deque()
        self.server_expected_until = 0.0
        """The server is about to make a response of its own: asking now would collide."""
        self._number = 0

    @property
    def next_number(self) -> int:
        return self._number + 1

    @property
    def idle(self) -> bool:
        return self.active is None and self.pending is None and not self.queue

    def ask(self, intent: Intent) -> bool:
        """Queue `intent`; False if there are too many already."""
        if intent.purpose in _SINGLE and any(other.purpose == intent.purpose for other in self.queue):
            return True
        if len(self.queue) >= _MAX_QUEUE:
            return False
        self.queue.append(intent)
        return True

    def may_send(self, now: float) -> bool:
        return (
            bool(self.queue)
            and self.active is None
            and self.pending is None
            and now >= self.server_expected_until
        )

    def send(self) -> tuple[Intent, CreateResponse]:
        """Take the first intent; call only if :meth:`may_send`."""
        intent = self.pending = self.queue.popleft()
        self._number += 1
        if intent.number:
            intent.older = (*intent.older, intent.number)
        intent.number = self._number
        intent.tries += 1
        command = CreateResponse(
            intent.purpose, event_id(intent.number), intent.instructions, intent.tool_choice
        )
        return intent, command

    def created(self, event: ResponseCreated, now: float, *, unheard: bool = False) -> Intent | None:
        """A response began: our intent behind it, or None if the server made it by itself.

        Matched by the metadata that we sent. A server that does not return metadata: ours if we asked and no
        answer of its own is due. `unheard`: one of its own is not going to be heard, so it answers nothing.
        """
        ours = self.pending
        if ours is not None:
            told = event.metadata.get("event_id")
            matches = now >= self.server_expected_until if told is None else _claim(ours, told)
            if not matches:
                ours = None
        self.active, self.active_intent = event.response_id, ours
        if ours is not None:
            self.pending = None
        else:
            self.server_expected_until = 0.0
            if not unheard:
                self.queue = deque(
                    i for i in self.queue if i.purpose not in _ANSWERED_BY_ANY or now < i.asked_at + RACE_S
                )
        return ours

    def done(self, response_id: str) -> Intent | None:
        """A response ended; our intent behind it."""
        if self.active != response_id:
            return None
        intent, self.active, self.active_intent = self.active_intent, None, None
        return intent

    def is_pending(self, client_event_id: str | None) -> bool:
        return self.pending is not None and client_event_id == event_id(self.pending.number)

    def collided(self, client_event_id: str | None) -> Intent | None:
        """The server says that another response was active when we asked: what must be asked again.

        A response that we took for ours (a server that returns no metadata) was the server's own then. Its
        own response is a greeting as good as ours.
        """
        intent = self.pending
        if intent is None:
            intent = self.active_intent
            if intent is None or client_event_id != event_id(intent.number):
                return None
            self.active_intent = None
            if intent.purpose == "greeting":
                return None
        self.pending = None
        return intent

    def retry(self, intent: Intent) -> Intent | None:
        if intent.tries >= MAX_TRIES:
            return None
        self.queue.appendleft(intent)
        return intent

    def forget(self, *purposes: Purpose) -> None:
        self.queue = deque(i for i in self.queue if i.purpose not in purposes)

    def connection_lost(self) -> bool:
        """Nothing that was going on will end; returns whether speech was owed. Sentences to say stay."""
        owed = self.active is not None or self.pending is not None or bool(self.queue)
        if self.pending is not None and self.pending.purpose not in _ANSWERED_BY_ANY:
            self.queue.appendleft(self.pending)
        self.active = self.active_intent = self.pending = None
        self.queue = deque(i for i in self.queue if i.purpose not in _ANSWERED_BY_ANY)
        self.server_expected_until = 0.0
        return owed


def _claim(intent: Intent, told: str) -> bool:
    """Whether `told` is a request for this intent; the answer may be to an earlier one than the last."""
    for number in (intent.number, *intent.older):
        if told == event_id(number):
            intent.number = number
            return True
    return False


def event_id(number: int) -> str:
    return f"r{number}"
