"""Requests to the application: signed, with time-outs, retries as the URL's fragment says, and faults."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import aiohttp
import structlog
from twilio.request_validator import RequestValidator

from tenex.lib.clock import Clock
from voice.rehearsal.carrier.faults import Dice
from voice.rehearsal.carrier.options import CarrierOptions
from voice.rehearsal.carrier.records import Books

log = structlog.get_logger(__name__)

_AGENT = "TwilioProxy/1.1 (tenex-rehearsal)"
_MAX_REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content_type: str
    body: bytes


class WebhookFailed(Exception):
    """No usable answer. `code`: 11200 for an HTTP failure, 11205 without a connection or in time."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class _Override:
    """Connection overrides that stand in the URL's fragment (twilio.md 7): `#rc=2&rt=5000&ct=2000&rp=all`."""

    retries: int
    read_s: float
    connect_s: float
    policy: frozenset[str]


def split_fragment(url: str, options: CarrierOptions) -> tuple[str, _Override]:
    """The URL as it is requested and signed, and the overrides from its fragment."""
    parts = urlsplit(url)
    values = dict(parse_qsl(parts.fragment))

    def number(name: str, default: float) -> float:
        return float(values[name]) if values.get(name, "").isdecimal() else default

    override = _Override(
        retries=min(5, int(number("rc", 0))),
        read_s=number("rt", options.webhook_timeout_s * 1000) / 1000,
        connect_s=number("ct", options.connect_timeout_s * 1000) / 1000,
        policy=frozenset(values.get("rp", "ct").split(",")),
    )
    return urlunsplit(parts._replace(fragment="")), override


class Webhooks:
    """Posts for the carrier. Instructions (TwiML) are awaited, callbacks go out in the background."""

    def __init__(self, options: CarrierOptions, books: Books, clock: Clock, dice: Dice) -> None:
        self._options = options
        self._books = books
        self._clock = clock
        self._dice = dice
        self._signer = RequestValidator(options.auth_token)
        self._http: aiohttp.ClientSession | None = None
        self._tasks: dict[asyncio.Task[None], str] = {}
        self.sockets: set[aiohttp.ClientWebSocketResponse] = set()
        """Open media sockets, so that none outlives the carrier."""
        self.sent = 0

    def http(self) -> aiohttp.ClientSession:
        """The shared client; made on first use because it belongs to the running loop."""
        if self._http is None or self._http.closed:
            connector = aiohttp.TCPConnector(limit=0)
            self._http = aiohttp.ClientSession(
                connector=connector, headers={"User-Agent": _AGENT}, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._http

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for ws in list(self.sockets):
            await ws.close()
        if self._http is not None:
            await self._http.close()

    @property
    def busy(self) -> bool:
        """Callbacks are still on their way."""
        return bool(self._tasks)

    def unfinished(self, call_sid: str) -> set[asyncio.Task[None]]:
        return {task for task, sid in self._tasks.items() if sid == call_sid}

    def sign(self, url: str, params: Mapping[str, str] | None = None) -> str:
        """`X-Twilio-Signature` for a form POST (with `params`) or a GET or websocket upgrade (without)."""
        signature: str = self._signer.compute_signature(url, dict(params or {}))
        return signature

    # --- instructions ------------------------------------------------------------------------------

    async def fetch(self, url: str, form: Mapping[str, str], *, method: str = "POST") -> Answer:
        """Ask the application for instructions.

        Raises:
            WebhookFailed: no answer within the limits, or a status that is not 2xx.
        """
        target, override = split_fragment(url, self._options)
        attempt = 0
        while True:
            try:
                return await self._once(target, form, method, override)
            except WebhookFailed as exc:
                attempt += 1
                kind = "5xx" if exc.code == 11200 else "ct"
                retried = kind in override.policy or "all" in override.policy or (
                    kind == "ct" and "rt" in override.policy
                )  # fmt: skip
                if attempt > override.retries or not retried:
                    raise

    async def _once(self, url: str, form: Mapping[str, str], method: str, override: _Override) -> Answer:
        if method == "GET":
            glue = "&" if urlsplit(url).query else "?"
            url, form = f"{url}{glue}{urlencode(form)}", {}
        headers = {"X-Twilio-Signature": self.sign(url, form), "Accept": "*/*"}
        timeout = aiohttp.ClientTimeout(
            total=min(override.connect_s + override.read_s, self._options.webhook_timeout_s),
            sock_connect=override.connect_s,
        )
        self.sent += 1
        try:
            async with self.http().request(
                method,
                url,
                data=form if method == "POST" else None,
                headers=headers,
                timeout=timeout,
                max_redirects=_MAX_REDIRECTS,
            ) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as exc:
            raise WebhookFailed(11205, f"{type(exc).__name__} at {_shown(url)}") from exc
        if not 200 <= response.status < 300:
            raise WebhookFailed(11200, f"HTTP {response.status} from {_shown(url)}")
        return Answer(response.status, response.headers.get("Content-Type", ""), body)

    # --- callbacks ---------------------------------------------------------------------------------

    def notify(self, url: str, form: dict[str, str], *, method: str = "POST", call_sid: str = "") -> None:
        """Send a callback in the background, with the faults that are switched on."""
        call = self._books.calls.get(call_sid)
        if call is not None:
            call.callbacks.append(form)
        if not url:
            return
        faults, dice = self._dice.faults, self._dice
        if dice.strikes(faults.callback_drop):
            return
        copies = 1 + (dice.copies() if dice.strikes(faults.callback_duplicate) else 0)
        for _ in range(copies):
            wait_s = dice.wait_s(faults.callback_shuffle_s)
            if dice.strikes(faults.callback_late):
                wait_s += faults.callback_late_s
            task = asyncio.get_running_loop().create_task(self._deliver(url, form, method, call_sid, wait_s))
            self._tasks[task] = call_sid
            task.add_done_callback(self._tasks.pop)

    async def _deliver(
        self, url: str, form: dict[str, str], method: str, call_sid: str, wait_s: float
    ) -> None:
        if wait_s:
            await self._clock.sleep(wait_s)
        try:
            await self.fetch(url, form, method=method)
        except WebhookFailed as exc:
            self._books.alert(exc.code, str(exc), call_sid=call_sid)
            log.warning("callback failed", call_sid=call_sid, code=exc.code)


def _shown(url: str) -> str:
    """Without the query string: it may carry the application's tokens."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
