"""HTTP under the Twilio SDK: a fresh connection a request, always a timeout, no retries, errors mapped.

A fresh connection costs a handshake and buys certainty: a kept one may have been closed by the peer while
the request was on its way, which cannot be told from a call that was placed.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError
from urllib3.exceptions import ProxyError as Urllib3ProxyError

from tenex.lib import failpoint
from tenex.monitoring import counts
from voice.telephony.errors import (
    CarrierAmbiguous,
    CarrierError,
    CarrierGone,
    CarrierNotAsked,
    CarrierRejected,
    CarrierThrottled,
    CarrierUnreachable,
)

_GONE = frozenset({"21220", "20404"})
_COUNTED = {
    result: counts.CARRIER_REQUESTS.labels(result)
    for result in (
        "ok",
        *(
            kind.code.removeprefix("carrier_")
            for kind in (
                CarrierAmbiguous,
                CarrierGone,
                CarrierNotAsked,
                CarrierRejected,
                CarrierThrottled,
                CarrierUnreachable,
            )
        ),
    )
}


class Transport(TwilioHttpClient):  # type: ignore[misc]  # the SDK is untyped
    """`base_url` replaces scheme and host of every request (the SDK knows no such option); "" leaves them."""

    timeout: float
    send_by_s: float | None = None
    """Instant (time.monotonic) after which no request of :meth:`within` leaves any more."""
    reached_s: float = 0.0
    """Instant (time.monotonic) at which the last request certainly had reached the carrier: when it answered,
    less the time that it says it worked on it. 0 without an answer."""

    def __init__(self, *, base_url: str, timeout_s: float) -> None:
        super().__init__(pool_connections=False, timeout=timeout_s)
        self._base = urlsplit(base_url) if base_url else None

    def request(
        self,
        method: str,
        url: str,
        params: dict[str, str] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """As the SDK's, without redirects.

        Raises:
            CarrierThrottled, CarrierNotAsked, CarrierAmbiguous: no usable answer.
            CarrierGone, CarrierRejected: an answer of 4xx.
        """
        began_s, result = time.monotonic(), "ok"
        try:
            return self._request(method, url, params, data, headers, auth, timeout)
        except CarrierError as exc:
            result = exc.code.removeprefix("carrier_")
            raise
        finally:
            counts.CARRIER_SECONDS.observe(time.monotonic() - began_s)
            _COUNTED[result].inc()

    def _request(
        self,
        method: str,
        url: str,
        params: dict[str, str] | None,
        data: dict[str, object] | None,
        headers: dict[str, str] | None,
        auth: tuple[str, str] | None,
        timeout: float | None,
    ) -> Response:
        timeout_s = timeout or self.timeout
        self.reached_s = 0.0
        try:
            with open_session(overridden=self._base is not None, send_by_s=self.send_by_s) as session:
                answer = session.request(
                    method.upper(),
                    self.address(url),
                    params=params,
                    data=data,
                    headers=headers,
                    auth=auth,
                    timeout=(timeout_s, timeout_s),
                    allow_redirects=False,
                    hooks={"response": self._answered},  # before the body is read
                )
                body = answer.text
        except requests.RequestException as exc:
            raise lost(exc) from exc
        if answer.status_code >= 300:
            raise refused(answer.status_code, body)
        return Response(answer.status_code, body, answer.headers)

    def _answered(self, answer: requests.Response, *_: object, **__: object) -> None:
        self.reached_s = time.monotonic() - _worked_s(answer)

    @contextmanager
    def within(self, timeout_s: float | None, *, send_by_s: float | None = None) -> Iterator[None]:
        """A shorter time-out for the requests of this block, and until when they may be sent."""
        usual: float = self.timeout
        if timeout_s is not None:
            self.timeout = min(timeout_s, usual)
        self.send_by_s = send_by_s
        try:
            yield
        finally:
            self.timeout, self.send_by_s = usual, None

    def address(self, url: str) -> str:
        """`url` at the configured server."""
        if self._base is None:
            return url
        parts = urlsplit(url)
        path = self._base.path.rstrip("/") + parts.path
        return urlunsplit((self._base.scheme, self._base.netloc, path, parts.query, ""))


def _worked_s(answer: requests.Response) -> float:
    """`Twilio-Request-Duration` (seconds), as far as it can be true."""
    try:
        said_s = float(answer.headers.get("Twilio-Request-Duration", "0"))
    except ValueError:
        return 0.0
    return said_s if 0.0 <= said_s <= answer.elapsed.total_seconds() else 0.0


class _InTime(HTTPConnection):
    """Looks at the clock right before each piece leaves, behind name look-up and handshake: a process that
    was asleep anywhere before that does not send the rest, and half a request is none."""

    def __init__(self, *args: Any, send_by_s: float, **options: Any) -> None:
        super().__init__(*args, **options)
        self._send_by_s = send_by_s

    def send(self, data: Any) -> None:
        if self.sock is None and self.auto_open:
            self.connect()
        if time.monotonic() > self._send_by_s:
            raise CarrierNotAsked("the request was not sent: its time was over")
        failpoint.hit("carrier.sending")
        super().send(data)


class _InTimeTls(_InTime, HTTPSConnection):
    pass


class _InTimeAdapter(HTTPAdapter):
    """No request leaves after `send_by_s`, an instant of time.monotonic."""

    def __init__(self, send_by_s: float) -> None:
        self._send_by_s = send_by_s
        super().__init__(max_retries=0)

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        pool = super().get_connection_with_tls_context(*args, **options)
        kind = _InTimeTls if pool.scheme == "https" else _InTime
        pool.ConnectionCls = cast(Any, partial(kind, send_by_s=self._send_by_s))
        return pool


def open_session(*, overridden: bool, send_by_s: float | None = None) -> requests.Session:
    """A session without retries; a server of our own choice is asked directly, never through a proxy.

    Its requests raise CarrierNotAsked instead of leaving after `send_by_s` (time.monotonic).
    """
    session = requests.Session()
    adapter = HTTPAdapter(max_retries=0) if send_by_s is None else _InTimeAdapter(send_by_s)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.trust_env = not overridden
    return session


def lost(exc: requests.RequestException) -> CarrierError:
    """No answer: unreachable if certainly nothing was sent, else ambiguous."""
    cause: Any = exc.args[0] if exc.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    if isinstance(reason, (NewConnectionError, ConnectTimeoutError)) and not isinstance(
        reason, Urllib3ProxyError
    ):
        return CarrierUnreachable(f"the carrier cannot be reached ({type(reason).__name__})")
    return CarrierAmbiguous(f"the carrier's answer was lost ({type(exc).__name__})")


def refused(status: int, body: str) -> CarrierError:
    """Twilio's `{"code","message","status"}` as one of our errors; anything else by its HTTP status."""
    code, message = "", ""
    try:
        parsed = json.loads(body)
        if isinstance(parsed, dict):
            code, message = (
                str(parsed.get("code") or ""),
                str(parsed.get("message") or parsed.get("detail") or ""),
            )
    except (ValueError, RecursionError):
        pass
    detail = message[:300] or f"the carrier answered {status}"
    if status == 429 or code == "20429":
        return CarrierThrottled(detail, provider_code=code or "20429", http_status=status)
    if code in _GONE or (status == 404 and not code):
        return CarrierGone(detail, provider_code=code or "20404", http_status=status)
    if 400 <= status < 500 and status != 408:
        return CarrierRejected(detail, provider_code=code or str(status), http_status=status)
    return CarrierAmbiguous(detail, provider_code=code or str(status), http_status=status)
