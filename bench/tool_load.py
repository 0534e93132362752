"""The load of `bench.tools`: as bench.load, with a model that calls one tool after another.

A turn of each call: the caller speaks for a second, the model calls a tool and, when it has the answer,
speaks for 1.2 seconds. Taken is the time from the instant before `response.function_call_arguments.done`
leaves until the `function_call_output` is there. Beside it a ping of the same socket, which the application
answers without looking at it, and a tool that does not exist: what a run costs that does nothing.
"""

import asyncio
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson
import picows
import uvloop

from bench import load
from bench.model import Samples, Session

PING: Final = "(ping)"
NOTHING: Final = "(no such tool)"
_ANSWER_DELTAS: Final = 6
_SPEAKS_S: Final = 1.0
_THINKS_S: Final = 0.3
_SLOW_S: Final = 10.0


class Taken:
    """Microseconds by tool, and how many runs did not succeed."""

    def __init__(self) -> None:
        self.us: dict[str, list[int]] = defaultdict(list)
        self.failed: dict[str, int] = defaultdict(int)
        self.why: dict[str, str] = {}
        self.unanswered = 0


class ToolSession(Session):
    """One model session; its tools are what an agent would do in a call that goes well."""

    def __init__(
        self,
        samples: Samples,
        now_us: Callable[[], int],
        interrupted: dict[int, int],
        *,
        taken: Taken,
        questions: Iterator[str],
        turn_s: float,
        calls: int,
    ) -> None:
        super().__init__(samples, now_us, interrupted)
        self._taken = taken
        self._questions = questions
        self._turn_s = turn_s
        self._calls = calls
        self._slots: list[str] = []
        self._repeated = ""
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._pinged_us = 0

    # --- what comes --------------------------------------------------------------------------------

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        if frame.msg_type == picows.WSMsgType.PONG:
            self._take(PING, self._now_us() - self._pinged_us)
            return
        super().on_ws_frame(transport, frame)

    def _on_request(self, message: dict[str, Any]) -> None:
        item = message.get("item") or {}
        if message.get("type") == "conversation.item.create" and item.get("type") == "function_call_output":
            waiting = self._waiting.pop(item["call_id"], None)
            if waiting is not None and not waiting.done():
                waiting.set_result((self._now_us(), item["output"]))
            return
        super()._on_request(message)

    def _take(self, name: str, us: int) -> None:
        if self._samples.measuring:
            self._taken.us[name].append(us)

    # --- what is said ------------------------------------------------------------------------------

    async def _converse(self) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time() + (self._call % self._calls) * self._turn_s / self._calls
        plan = self._plan()
        while True:
            turn = self._turn = self._turn + 1
            await asyncio.sleep(max(0.0, begin + (turn - 1) * self._turn_s - loop.time()))
            item = f"item_u{turn}"
            self._say("input_audio_buffer.speech_started", item_id=item, audio_start_ms=turn * 4000)
            await asyncio.sleep(_SPEAKS_S)
            self._caller_said(item, turn)
            self._ping()
            await asyncio.sleep(_THINKS_S)
            name, told, arguments = next(plan)
            await self._use(turn, name, told, arguments)
            response = f"resp_a{turn}"
            self._answering = True
            self._say(
                "response.created", response={"id": response, "status": "in_progress", "metadata": None}
            )
            await self._speak(response, turn, _ANSWER_DELTAS)

    def _ping(self) -> None:
        if self._transport is not None:
            self._pinged_us = self._now_us()
            self._transport.send_ping()

    async def _use(self, turn: int, name: str, told: str, arguments: dict[str, Any]) -> None:
        """Call a tool and wait for its answer."""
        call_id, response = f"call_{turn}", f"resp_t{turn}"
        waiting = self._waiting[call_id] = asyncio.get_running_loop().create_future()
        ids = {"response_id": response, "item_id": f"item_f{turn}", "output_index": 0}
        text = orjson.dumps(arguments).decode()
        call = {
            "id": f"item_f{turn}", "type": "function_call", "status": "completed", "call_id": call_id,
            "name": name, "arguments": text,
        }  # fmt: skip
        self._say("response.created", response={"id": response, "status": "in_progress", "metadata": None})
        self._say("response.output_item.added", response_id=response, output_index=0, item=call)
        sent_us = self._now_us()
        self._say("response.function_call_arguments.done", **ids, call_id=call_id, arguments=text)
        self._say("response.output_item.done", response_id=response, output_index=0, item=call)
        self._done(response, [call])
        try:
            async with asyncio.timeout(_SLOW_S):
                came_us, output = await waiting
        except TimeoutError:
            self._waiting.pop(call_id, None)
            self._taken.unanswered += 1
            return
        self._take(told, came_us - sent_us)
        self._look_at(told, orjson.loads(output))

    def _look_at(self, told: str, output: dict[str, Any]) -> None:
        if "slots" in output:
            self._slots = [slot["slot_id"] for slot in output["slots"]]
        error = output.get("error")
        if error and told != NOTHING and self._samples.measuring:
            self._taken.failed[told] += 1
            self._taken.why[told] = str(error.get("code"))

    def _plan(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Tool, what it is called in the report, arguments; for ever."""
        while True:
            yield "lookup_lead", "lookup_lead", {}
            self._repeated = next(self._questions)
            yield "search_knowledge", "search_knowledge, a new question", {"query": self._repeated}
            yield "update_lead", "update_lead", {"fields": {"title": "Head of IT", "note": "Has 40 people."}}
            yield "list_free_slots", "list_free_slots", {"days": 5}
            yield "book_meeting", "book_meeting", {"slot_id": self._slot(), "notes": "A first look."}
            yield "search_knowledge", "search_knowledge, asked before", {"query": self._repeated}
            yield "list_free_slots", "list_free_slots", {"days": 5}
            yield "reschedule_meeting", "reschedule_meeting", {"slot_id": self._slot()}
            yield "cancel_meeting", "cancel_meeting", {}
            at = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT15:00")
            yield "schedule_callback", "schedule_callback", {"at": at, "note": "Wants to think about it."}
            yield "no_such_tool", NOTHING, {}

    def _slot(self) -> str:
        return random.choice(self._slots) if self._slots else "none"


def main() -> None:
    parser = load.timing()
    parser.add_argument("--turn", type=float, required=True)
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--questions", type=Path, required=True, help="a JSON list")
    options = parser.parse_args()
    taken, questions = Taken(), _questions(json.loads(options.questions.read_text()))

    def make(samples: Samples, now_us: Callable[[], int], interrupted: dict[int, int]) -> Session:
        return ToolSession(
            samples, now_us, interrupted, taken=taken, questions=questions, turn_s=options.turn,
            calls=options.calls,
        )  # fmt: skip

    def told(sessions: list[Session]) -> dict[str, Any]:
        return {
            "tools_us": taken.us, "failed": taken.failed, "why": taken.why, "unanswered": taken.unanswered
        }  # fmt: skip

    uvloop.run(load.main(options.warm, options.seconds, make, told))


def _questions(known: list[str]) -> Iterator[str]:
    """Each once, then in other words: none is asked in the words of before."""
    round_ = 0
    while True:
        yield from (f"{text} please {round_}" if round_ else text for text in known)
        round_ += 1


if __name__ == "__main__":
    main()
