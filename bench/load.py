"""The load, in a process of its own: N Twilio-like callers, and the model that they talk to.

Callers send a frame every 20 ms, play what they get at real time, give marks back when the audio before them
has been played, and all of them at once after `clear`. Prints `{"model_port": …}`, then on the line `go` of
its standard input (a JSON list of what each call is) runs, and prints the samples.
"""

import argparse
import asyncio
import base64
import json
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import picows
import uvloop

from bench.model import STAMP_CHARS, Samples, Session, stamp, unstamp

FRAME_MS: Final = 20
CONNECT_EVERY_S: Final = 0.05
"""Nobody answers two hundred calls in the same second."""
_REST: Final = base64.b64encode(bytes([0xFF]) * (160 - 9)).decode("ascii")


def now_us() -> int:
    return time.monotonic_ns() // 1000


class Caller(picows.WSListener):  # type: ignore[misc,unused-ignore]
    """One phone."""

    def __init__(
        self, number: int, spec: dict[str, str], samples: Samples, interrupted: dict[int, int]
    ) -> None:
        self.number = number
        self._spec = spec
        self._samples = samples
        self._interrupted = interrupted
        self.transport: Any = None
        self._sid = f"MZ{number:032x}"
        self._chunk = 0
        self._playing_until = 0.0
        self._marks: deque[tuple[float, str]] = deque()
        self._heard = False
        self.closed_early = False
        self.ending = False

    def on_ws_connected(self, transport: Any) -> None:
        self.transport = transport
        self._send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        start = {
            "accountSid": "AC" + "0" * 32,
            "streamSid": self._sid,
            "callSid": self._spec["call_sid"],
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"call": self._spec["call_id"], "token": self._spec["token"]},
        }
        self._send({"event": "start", "sequenceNumber": "1", "streamSid": self._sid, "start": start})

    def _send(self, message: dict[str, Any]) -> None:
        self.transport.send(picows.WSMsgType.TEXT, json.dumps(message, separators=(",", ":")))

    def frame(self, loop_now: float) -> None:
        """Send 20 ms of audio, and the marks that have been played."""
        if self.transport is None:
            return
        self._chunk += 1
        chunk = self._chunk
        self.transport.send(
            picows.WSMsgType.TEXT,
            f'{{"event":"media","sequenceNumber":"{chunk + 1}","streamSid":"{self._sid}","media":'
            f'{{"track":"inbound","chunk":"{chunk}","timestamp":"{chunk * FRAME_MS}",'
            f'"payload":"{stamp(self.number, now_us())}{_REST}"}}}}',
        )
        marks = self._marks
        while marks and marks[0][0] <= loop_now:
            self._return_mark(marks.popleft()[1])

    def _return_mark(self, name: str) -> None:
        self._send({"event": "mark", "sequenceNumber": "9", "streamSid": self._sid, "mark": {"name": name}})

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        if frame.msg_type == picows.WSMsgType.CLOSE:
            self.closed_early = not self.ending
            transport.send_close(picows.WSCloseCode.OK)
            transport.disconnect()
            return
        if frame.msg_type != picows.WSMsgType.TEXT:
            return
        text = frame.get_payload_as_ascii_text()
        now = asyncio.get_running_loop().time()
        if '"media"' in text[:20]:
            at = text.index('"payload":"') + 11
            _, sent_us = unstamp(text[at : at + STAMP_CHARS])
            size = (len(text) - at) * 3 / 4
            if not self._heard:
                self._heard = True
                self._samples.first_audio.append(now_us() - sent_us)
            elif self._samples.measuring and 0 < sent_us <= now_us():
                self._samples.model_to_caller.append(now_us() - sent_us)
            self._playing_until = max(now, self._playing_until) + size / 8000
        elif '"mark"' in text[:20]:
            self._marks.append((self._playing_until, json.loads(text)["mark"]["name"]))
        elif '"clear"' in text[:20]:
            began = self._interrupted.pop(self.number, None)
            if began is not None and self._samples.measuring:
                self._samples.clear.append(now_us() - began)
            self._playing_until = now
            while self._marks:
                self._return_mark(self._marks.popleft()[1])

    def on_ws_disconnected(self, transport: Any) -> None:
        self.closed_early = self.closed_early or not self.ending
        self.transport = None


async def pace(callers: list[Caller], stop: asyncio.Event) -> None:
    """Frames at absolute instants, callers spread evenly over the 20 ms."""
    loop = asyncio.get_running_loop()
    slots = [callers[slot::FRAME_MS] for slot in range(FRAME_MS)]
    begin, tick = loop.time(), 0
    while not stop.is_set():
        tick += 1
        await asyncio.sleep(max(0.0, begin + tick / 1000 - loop.time()))
        now = loop.time()
        for caller in slots[tick % FRAME_MS]:
            caller.frame(now)


async def main(
    warm_s: float,
    seconds: float,
    make: Callable[[Samples, Callable[[], int], dict[int, int]], Session] = Session,
    told: Callable[[list[Session]], dict[str, Any]] = lambda sessions: {},
) -> None:
    """`make` makes the model's end of a call; `told` is what the result says of all of them besides."""
    samples, interrupted = Samples(), dict[int, int]()
    sessions: list[Session] = []

    def session(request: Any) -> Session:
        made = make(samples, now_us, interrupted)
        sessions.append(made)
        return made

    server = await picows.ws_create_server(session, "127.0.0.1", 0, max_frame_size=1 << 24)
    print(json.dumps({"model_port": server.sockets[0].getsockname()[1]}), flush=True)
    loop = asyncio.get_running_loop()
    line = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    callers = [Caller(number, spec, samples, interrupted) for number, spec in enumerate(line["calls"])]
    stop = asyncio.Event()
    pacing = asyncio.create_task(pace(callers, stop))
    for caller in callers:
        headers = {"X-Twilio-Signature": line["signature"]} if line["signature"] else None
        await picows.ws_connect(lambda caller=caller: caller, line["url"], extra_headers=headers)
        await asyncio.sleep(CONNECT_EVERY_S)
    await asyncio.sleep(warm_s)
    interrupted.clear()
    samples.measuring = True
    print("measuring", flush=True)
    await asyncio.sleep(seconds)
    samples.measuring = False
    print("measured", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)  # the memory of live calls is being read
    stop.set()
    await pacing
    alive = sum(1 for caller in callers if caller.transport is not None)
    for caller in callers:
        caller.ending = True
        if caller.transport is not None:
            caller.transport.send_close(picows.WSCloseCode.OK)
            caller.transport.disconnect()
    await asyncio.sleep(4.0)
    left = sum(1 for session in sessions if session._transport is not None)
    result = {
        "caller_to_model_us": samples.caller_to_model.tolist(),
        "model_to_caller_us": samples.model_to_caller.tolist(),
        "clear_us": samples.clear.tolist(),
        "first_audio_us": samples.first_audio.tolist(),
        "missed_clears": samples.missed_clears,
        "calls_alive_at_end": alive,
        "model_sockets": len(sessions),
        "model_sockets_left": left,
        **told(sessions),
    }
    print(json.dumps(result), flush=True)


def timing() -> argparse.ArgumentParser:
    """What every load is told: how long to talk before it is looked at, and how long it is."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--warm", type=float, default=3.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    return parser


if __name__ == "__main__":
    options = timing().parse_args()
    uvloop.run(main(options.warm, options.seconds))
