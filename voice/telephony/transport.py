"""HTTP under the Twilio SDK: a fresh connection a request, always a timeout, no retries, errors mapped.

A fresh connection costs a handshake and buys certainty: a kept one may have been closed by the peer while
the request was on its way, which cannot be told from a call that was placed.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError
from urllib3.exceptions import ProxyError as Urllib3ProxyError

from tenex.monitoring import counts
from voice.telephony.errors import (
    CarrierAmbiguous,
    CarrierError,
    CarrierGone,
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
            for kind in (CarrierAmbiguous, CarrierGone, CarrierRejected, CarrierThrottled, CarrierUnreachable)
        ),
    )
}


class Transport(TwilioHttpClient):  # type: ignore[misc]  # the SDK is untyped
    """`base_url` replaces scheme and host of every request (the SDK knows no such option); "" leaves them."""

    timeout: float
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
            CarrierThrottled, CarrierAmbiguous: no usable answer.
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
            with open_session(overridden=self._base is not None) as session:
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
    def within(self, timeout_s: float | None) -> Iterator[None]:
        """A shorter time-out for the requests of this block."""
        usual: float = self.timeout
        if timeout_s is not None:
            self.timeout = min(timeout_s, usual)
        try:
            yield
        finally:
            self.timeout = usual

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


def open_session(*, overridden: bool) -> requests.Session:
    """A session without retries; a server of our own choice is asked directly, never through a proxy."""
    session = requests.Session()
    adapter = HTTPAdapter(max_retries=0)
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
