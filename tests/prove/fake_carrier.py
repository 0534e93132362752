"""A carrier that keeps the truth: who was really dialed, and how often. No media: calls are answered or not.

It speaks Twilio's REST API and callbacks as far as dialing goes (twilio.md 8-10), signs what it sends, and
fails as it is told. One thread with its own event loop; the counters may be read from any thread.
"""

import asyncio
import base64
import hashlib
import hmac
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import aiohttp
from aiohttp import web

ACCOUNT_SID = "AC" + "0" * 32
AUTH_TOKEN = "rig-token"
TERMINAL = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})


@dataclass(slots=True)
class Faults:
    """Shares of requests and callbacks, 0 to 1."""

    throttled: float = 0.0
    """429: not taken."""
    refused_500: float = 0.0
    """5xx, not taken."""
    taken_500: float = 0.0
    """5xx, and dialed all the same."""
    lost_before: float = 0.0
    """The connection breaks; not taken."""
    lost_after: float = 0.0
    """Taken and dialed, the answer is lost."""
    slow_after: float = 0.0
    """Taken and dialed, the answer comes after any patience."""
    callback_copies: int = 1
    """Each callback is sent 1 to so many times."""
    callback_spread_s: float = 0.0
    """Each copy is held back up to so long: the order is lost."""
    callback_dropped: float = 0.0
    callback_late: float = 0.0
    muted: float = 0.0
    """Calls without any status callback."""
    callback_late_s: float = 0.0


@dataclass(slots=True)
class Call:
    sid: str
    to: str
    from_: str
    url: str
    status_url: str
    created_at: datetime
    status: str = "queued"
    seq: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_s: int | None = None
    talked: bool = False
    muted: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    wanted: str = ""


Outcome = Callable[[str], str]


class FakeCarrier:
    """`outcome(to)` says how a dial ends: completed, busy, no-answer, failed (with a SIP code behind it).

    `invalid` numbers are refused, requests for `lost` ones never get an answer nor a call.
    """

    def __init__(
        self,
        *,
        faults: Faults | None = None,
        outcome: Outcome | None = None,
        invalid: Callable[[str], bool] | None = None,
        lost: Callable[[str], bool] | None = None,
        queue_s: Callable[[str], float] = lambda _: 0.0,
        ring_s: float = 0.05,
        talk_s: float = 0.15,
        latency_s: float = 0.02,
        seed: int = 0,
    ) -> None:
        self.faults = faults or Faults()
        self.calls: dict[str, Call] = {}
        self.log: list[tuple[float, str, str]] = []
        """Every POST Calls: monotonic seconds, number, what became of it."""
        self.answers: Counter[str] = Counter()
        """What became of POST Calls requests, by fault name or `taken`."""
        self.delivered: Counter[int] = Counter()
        """Answers of the application to callbacks, by HTTP status; 0 for none."""
        self.starts_s: list[float] = []
        self.forms: list[dict[str, list[str]]] = []
        self._outcome: Outcome = outcome or (lambda _: "completed")
        self._invalid = invalid or (lambda _: False)
        self._lost = lost or (lambda _: False)
        self._queue_s = queue_s
        self._ring_s, self._talk_s, self._latency_s = ring_s, talk_s, latency_s
        self._random = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="fake-carrier", daemon=True)
        self._ready = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    # --- for the rig ---

    def __enter__(self) -> "FakeCarrier":
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the fake carrier did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def dialed(self) -> Counter[str]:
        """How often each number was really dialed."""
        return Counter(call.to for call in list(self.calls.values()))

    def conversations(self) -> Counter[str]:
        """How often somebody of ours talked to each number."""
        return Counter(call.to for call in list(self.calls.values()) if call.talked)

    def everybody_talks(self, seconds: float) -> None:
        """From now on all pick up, for so long."""
        self._outcome, self._talk_s = lambda _: "completed", seconds

    def live(self) -> int:
        return sum(call.status not in TERMINAL for call in list(self.calls.values()))

    def under_way(self) -> int:
        """Calls and callbacks that are not done."""
        return len(self._tasks)

    def environment(self) -> dict[str, str]:
        """Settings of an application that is to use this carrier."""
        return {
            "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "TWILIO_API_BASE_URL": self.url,
        }

    # --- inside ---

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._stop())
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application()
        base = f"/2010-04-01/Accounts/{ACCOUNT_SID}"
        app.router.add_post(f"{base}/Calls.json", self._create)
        app.router.add_get(f"{base}/Calls.json", self._list)
        app.router.add_get(f"{base}/Calls/{{sid}}.json", self._get)
        app.router.add_post(f"{base}/Calls/{{sid}}.json", self._update)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        server = site._server
        assert isinstance(server, asyncio.Server)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15))

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.close()
        await self._runner.cleanup()

    def _authorized(self, request: web.Request) -> bool:
        wanted = base64.b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
        return request.headers.get("Authorization") == f"Basic {wanted}"

    async def _create(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        self.forms.append({key: [str(value) for value in form.getall(key)] for key in form})
        if not self._authorized(request):
            return _error(401, 20003, "Authenticate")
        if not all(form.get(name) for name in ("To", "From", "Url")):
            return _error(400, 21201, "missing parameter")
        began_s = self._loop.time()
        self.starts_s.append(began_s)
        await asyncio.sleep(self._random.uniform(0, 2 * self._latency_s))
        fault = self._draw()
        if self._invalid(str(form["To"])):
            fault = "rejected"
        elif self._lost(str(form["To"])):
            fault = "lost_before"
        self.answers[fault or "taken"] += 1
        self.log.append((time.monotonic(), str(form["To"]), fault or "taken"))
        if fault == "rejected":
            return _error(400, 21211, "Invalid 'To' Phone Number")
        if fault == "throttled":
            return _error(429, 20429, "Too Many Requests")
        if fault == "refused_500":
            return _error(500, 20500, "Internal Server Error")
        if fault == "lost_before":
            return self._cut(request)
        call = self._accept(form)
        if fault == "taken_500":
            return _error(500, 20500, "Internal Server Error")
        if fault == "lost_after":
            return self._cut(request)
        if fault == "slow_after":
            await asyncio.sleep(6)
        worked = {"Twilio-Request-Duration": f"{int((self._loop.time() - began_s) * 1000) / 1000:.3f}"}
        return web.json_response(_resource(call), status=201, headers=worked)

    def _draw(self) -> str:
        draw = self._random.random()
        for name in ("throttled", "refused_500", "taken_500", "lost_before", "lost_after", "slow_after"):
            draw -= getattr(self.faults, name)
            if draw < 0:
                return name
        return ""

    def _cut(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)

    def _accept(self, form: Any) -> Call:
        call = Call(
            sid="CA" + uuid.uuid4().hex,
            to=str(form["To"]),
            from_=str(form["From"]),
            url=str(form["Url"]),
            status_url=str(form.get("StatusCallback", "")),
            created_at=datetime.now(UTC),
            muted=self._random.random() < self.faults.muted,
        )
        self.calls[call.sid] = call
        self._spawn(self._live(call))
        return call

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _live(self, call: Call) -> None:
        self._callback(call, "initiated")
        queue_s = self._queue_s(call.to)
        if queue_s and await self._sleeps(call, queue_s):
            self._finish(call, call.wanted)
            return
        call.status = "ringing"
        self._callback(call, "ringing")
        end = self._outcome(call.to)
        if await self._sleeps(call, self._ring_s):
            self._finish(call, call.wanted)
            return
        if end != "completed":
            self._finish(call, end)
            return
        call.status, call.started_at = "in-progress", datetime.now(UTC)
        self._callback(call, "in-progress")
        document = await self._ask(call)
        call.talked = "<Stream" in document
        await self._sleeps(call, self._talk_s if call.talked else 0.0)
        self._finish(call, "completed")

    async def _sleeps(self, call: Call, seconds: float) -> bool:
        """Wait; True if the call was ended meanwhile."""
        try:
            await asyncio.wait_for(call.ended.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _finish(self, call: Call, status: str) -> None:
        call.status, call.ended_at = status.partition(" ")[0], datetime.now(UTC)
        if call.started_at:
            call.duration_s = max(1, round((call.ended_at - call.started_at).total_seconds()))
        else:
            call.duration_s = 0
        self._callback(call, status)

    async def _ask(self, call: Call) -> str:
        fields = self._fields(call, "in-progress")
        try:
            async with self._http.post(call.url, data=fields, headers=_signed(call.url, fields)) as answer:
                return await answer.text() if answer.status == 200 else ""
        except (aiohttp.ClientError, TimeoutError):
            return ""

    def _callback(self, call: Call, status: str) -> None:
        fields = {
            **self._fields(call, status),
            "SequenceNumber": str(call.seq),
            "CallbackSource": "call-progress-events",
            "Timestamp": format_datetime(datetime.now(UTC)),
        }
        status, _, sip_code = status.partition(" ")
        if sip_code:
            fields |= {"CallStatus": status, "SipResponseCode": sip_code}
        if status in TERMINAL:
            fields["CallDuration"] = str(call.duration_s or 0)
        call.seq += 1
        if call.muted:
            return
        for _ in range(self._random.randint(1, max(1, self.faults.callback_copies))):
            if self._random.random() < self.faults.callback_dropped:
                continue
            late = self._random.random() < self.faults.callback_late
            spread_s = self._random.uniform(0, self.faults.callback_spread_s)
            self._spawn(
                self._send(call.status_url, fields, self.faults.callback_late_s if late else spread_s)
            )

    async def _send(self, url: str, fields: dict[str, str], delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        try:
            async with self._http.post(url, data=fields, headers=_signed(url, fields)) as answer:
                self.delivered[answer.status] += 1
        except (aiohttp.ClientError, TimeoutError):
            self.delivered[0] += 1

    def _fields(self, call: Call, status: str) -> dict[str, str]:
        return {
            "CallSid": call.sid,
            "AccountSid": ACCOUNT_SID,
            "From": call.from_,
            "To": call.to,
            "CallStatus": status,
            "ApiVersion": "2010-04-01",
            "Direction": "outbound-api",
        }

    async def _list(self, request: web.Request) -> web.Response:
        rows = [
            call
            for call in self.calls.values()
            if call.to == request.query.get("To", call.to)
            and call.from_ == request.query.get("From", call.from_)
        ]
        return web.json_response({"calls": [_resource(call) for call in rows], "next_page_uri": None})

    async def _get(self, request: web.Request) -> web.Response:
        call = self.calls.get(request.match_info["sid"])
        return web.json_response(_resource(call)) if call else _error(404, 20404, "not found")

    async def _update(self, request: web.Request) -> web.Response:
        form = await request.post()
        call = self.calls.get(request.match_info["sid"])
        if call is None:
            return _error(404, 20404, "not found")
        if call.status in TERMINAL:
            return _error(400, 21220, "Call is not in-progress. Cannot redirect.")
        if form.get("Status") == "canceled" and call.status == "in-progress":
            return _error(400, 21220, "Call is in-progress. Cannot cancel.")
        call.wanted = "canceled" if call.status != "in-progress" else "completed"
        call.ended.set()
        return web.json_response(_resource(call))


def _signed(url: str, fields: dict[str, str]) -> dict[str, str]:
    text = url + "".join(key + fields[key] for key in sorted(fields))
    digest = hmac.new(AUTH_TOKEN.encode(), text.encode(), hashlib.sha1).digest()
    return {"X-Twilio-Signature": base64.b64encode(digest).decode()}


def _error(status: int, code: int, message: str) -> web.Response:
    body = {"code": code, "message": message, "status": status, "more_info": ""}
    return web.json_response(body, status=status)


def _resource(call: Call) -> dict[str, Any]:
    def instant(at: datetime | None) -> str | None:
        return format_datetime(at) if at else None

    return {
        "sid": call.sid,
        "account_sid": ACCOUNT_SID,
        "to": call.to,
        "from": call.from_,
        "status": call.status,
        "direction": "outbound-api",
        "date_created": instant(call.created_at),
        "start_time": instant(call.started_at),
        "end_time": instant(call.ended_at),
        "duration": None if call.duration_s is None else str(call.duration_s),
        "answered_by": None,
        "price": None,
        "price_unit": "USD",
    }
