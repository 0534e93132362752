"""The one client for addresses that somebody else gave us (promises.md R12).

A name is resolved once, every address it has is checked, and the connection goes to an address that was
checked, with the name kept for TLS and `Host`. No redirects, no proxies from the environment, a time limit
on the whole exchange, and only the start of an answer is read.
"""

import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpcore2
import idna

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# `is_global` calls many of these global (promises.md section 0.7), so the list is explicit.
REFUSED: tuple[Network, ...] = tuple(
    ipaddress.ip_network(block)
    for block in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32",
        "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    )
)  # fmt: skip
PORTS = frozenset({80, 443, 8000, 8080, 8443})
_ODD = re.compile(r"[\x00-\x20\x7f\\]")
"""Characters that two readers of a URL understand in two ways; none of them may stand in one."""


class AddressRefused(Exception):
    """The URL points at an address, port or scheme that we do not connect to."""


class ExchangeFailed(Exception):
    """No answer: connection, TLS, protocol or time-out. The message is short and safe to show."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    """At most the first `read_bytes` of the answer."""
    complete: bool = True
    """Whether `body` is all of it: False if there was more, or if the peer broke off."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be reached. `allowed` networks are exempt from the refusals, on any port and without TLS."""

    allowed: tuple[Network, ...] = ()
    require_tls: bool = True

    @classmethod
    def of(cls, cidrs: Sequence[str], *, require_tls: bool = True) -> "Policy":
        return cls(tuple(ipaddress.ip_network(cidr) for cidr in cidrs), require_tls)

    def admits(self, address: Address) -> bool:
        return self.exempts(address) or not any(
            address in network for network in REFUSED if network.version == address.version
        )

    def exempts(self, address: Address) -> bool:
        return any(address in network for network in self.allowed if network.version == address.version)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that was read once: nobody reads it a second time, perhaps differently."""

    scheme: str
    host: str
    """ASCII, lower case; an IPv6 address without brackets."""
    port: int
    path: str
    """With the query."""

    @property
    def authority(self) -> str:
        """Value of `Host`: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"http": 80, "https": 443}[self.scheme] else f"{host}:{self.port}"


def parse(url: str) -> Target:
    """What `url` names.

    Raises:
        AddressRefused: not an absolute http(s) URL, or one with credentials or with odd characters.
    """
    if _ODD.search(url):
        raise AddressRefused("not a valid URL")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise AddressRefused("not a valid URL") from exc
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise AddressRefused("only http and https URLs")
    if "@" in parts.netloc:
        raise AddressRefused("no user name or password in the URL")
    if port == 0:
        raise AddressRefused("port 0 is not allowed")
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    return Target(
        scheme=parts.scheme,
        host=_ascii_host(parts.hostname),
        port=port or (443 if parts.scheme == "https" else 80),
        path="".join(char if char.isascii() else _percent(char) for char in path),
    )


def _ascii_host(host: str) -> str:
    """The host as the resolver, TLS and `Host` get it: full-width digits and dots become plain ones."""
    if "%" in host:  # a zone of an IPv6 address, or an escape that somebody else might undo
        raise AddressRefused("not a valid host name")
    if host.isascii():
        return host.lower()
    try:
        return idna.encode(host, uts46=True).decode("ascii").lower()
    except idna.IDNAError as exc:
        raise AddressRefused("not a valid host name") from exc


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "replace"))


def resolve(host: str, port: int, *, timeout_s: float = 10.0) -> list[Address]:
    """All addresses of `host`.

    Raises:
        ExchangeFailed: the name does not resolve, or not in time.
    """
    found: list[Any] = []

    def ask() -> None:
        # The system's resolver has no time limit of its own: it is asked in a thread that may be left behind.
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError):
            return

    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        asked = threading.Thread(target=ask, name="resolve", daemon=True)
    asked.start()
    asked.join(timeout_s)
    if asked.is_alive():
        raise ExchangeFailed("name does not resolve in time")
    if not found:
        raise ExchangeFailed("name does not resolve")
    return [ipaddress.ip_address(str(entry[4][0]).split("%", 1)[0]) for entry in found]


def check(url: str, policy: Policy, *, timeout_s: float = 10.0) -> list[Address]:
    """Addresses that `url` may be fetched from; used when a URL is saved and again when it is used.

    Raises:
        AddressRefused: scheme, port, user info or any of the addresses is not allowed.
        ExchangeFailed: the name does not resolve.
    """
    return _check(parse(url), policy, timeout_s)


def _check(target: Target, policy: Policy, timeout_s: float) -> list[Address]:
    addresses = resolve(target.host, target.port, timeout_s=timeout_s)
    for address in addresses:
        if not policy.admits(address):
            raise AddressRefused("the address is private or reserved")
    if not all(policy.exempts(address) for address in addresses):
        if policy.require_tls and target.scheme != "https":
            raise AddressRefused("only https URLs")
        if target.port not in PORTS:
            raise AddressRefused(f"port {target.port} is not allowed")
    return addresses


class _Pinned(httpcore2.NetworkBackend):
    """Connects to the addresses that were checked, whatever name is asked for."""

    def __init__(self, addresses: Sequence[Address], deadline: float) -> None:
        self._inner = httpcore2.SyncBackend()
        self._addresses = addresses
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        last: Exception = httpcore2.ConnectError("no address")
        for address in self._addresses:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise httpcore2.ConnectTimeout("time is up")
            try:
                stream = self._inner.connect_tcp(str(address), port, left, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as exc:
                last = exc
                continue
            return _Bounded(stream, self._deadline)
        raise last


class _Bounded(httpcore2.NetworkStream):
    """A stream whose every step must end before one deadline: a dripping peer cannot hold us."""

    def __init__(self, inner: httpcore2.NetworkStream, deadline: float) -> None:
        self._inner = inner
        self._deadline = deadline

    def _left(self) -> float:
        return max(0.001, self._deadline - time.monotonic())

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if time.monotonic() > self._deadline:
            raise httpcore2.ReadTimeout("time is up")
        return self._inner.read(max_bytes, self._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._left())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return _Bounded(self._inner.start_tls(ssl_context, server_hostname, self._left()), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


@cache
def _tls() -> ssl.SSLContext:
    """Loading the trusted certificates takes tens of milliseconds: once a process."""
    return ssl.create_default_context()


def request(
    method: str,
    url: str,
    *,
    policy: Policy,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    timeout_s: float = 10.0,
    read_bytes: int = 65536,
) -> Answer:
    """One exchange within `timeout_s` in all.

    Raises:
        AddressRefused: see :func:`check`.
        ExchangeFailed: no complete answer head in time.
    """
    deadline = time.monotonic() + timeout_s
    target = parse(url)
    addresses = _check(target, policy, timeout_s)
    sent = {
        "host": target.authority,
        "accept-encoding": "identity",
        "connection": "close",
        **(headers or {}),
    }
    try:
        with (
            httpcore2.ConnectionPool(
                network_backend=_Pinned(addresses, deadline),
                ssl_context=_tls(),
                retries=0,
            ) as pool,
            pool.stream(
                method,
                httpcore2.URL(
                    scheme=target.scheme.encode(),
                    host=target.host.encode(),
                    port=target.port,
                    target=target.path.encode(),
                ),
                headers=list(sent.items()),
                content=body,
            ) as response,
        ):
            kept, complete = bytearray(), True
            try:
                for part in response.iter_stream():
                    kept += part
                    if len(kept) > read_bytes:
                        complete = False
                        break
            except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError):
                complete = False  # the status is there; whether a part of the body will do, the caller knows
            return Answer(
                status=response.status,
                headers={
                    key.decode("latin-1").lower(): value.decode("latin-1") for key, value in response.headers
                },
                body=bytes(kept[:read_bytes]),
                complete=complete,
            )
    except httpcore2.TimeoutException as exc:
        raise ExchangeFailed("timed out") from exc
    except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as exc:
        raise ExchangeFailed(_short(exc)) from exc


def _short(exc: Exception) -> str:
    if isinstance(exc, ssl.SSLError) or isinstance(exc.__cause__ or exc.__context__, ssl.SSLError):
        return "TLS failed"
    if isinstance(exc, httpcore2.ConnectError):
        return "connection refused"
    return "connection lost" if isinstance(exc, httpcore2.NetworkError | OSError) else "not HTTP"
