"""C7: no spelling of a private address is ever connected to: not when a URL is saved, not when it is used.

Every address is tried at the door (create a subscription) and at the wire (a row that has got past the door,
as after a change of DNS). Every connect() of this process is counted by an audit hook, and listeners stand on
the wildcard addresses, on the ports that are allowed and on those that are not: none may see a connection.
"""

import contextlib
import os
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from tests.prove.dial_rig import database, main

CANARY_PORTS = (80, 443, 8000, 8080, 8443, 22, 25, 6379)

HOSTS = [
    # IPv4: loopback, this host, private, shared (CGNAT), link-local with the cloud's metadata, protocol
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255",  # noqa: S104
    "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255", "100.64.0.1", "100.127.255.255",
    "169.254.169.254", "169.254.0.1", "192.0.0.1", "192.0.0.170",
    # documentation, 6to4 relay, benchmarks, multicast, reserved, broadcast
    "192.0.2.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "198.18.0.1", "198.19.255.255",
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    # one number, hexadecimal, octal, short and mixed forms
    "2130706433", "0x7f000001", "0x7F.1", "0177.0.0.1", "0177.1", "127.1", "127.0.1", "0", "0x0",
    "017700000001", "3232235521", "0xa000001", "0xA9FEA9FE", "2852039166", "0251.0376.0251.0376",
    # full-width, circled and ideographic
    "１２７.０.０.１", "①②⑦.⓪.⓪.①", "127。0。0。1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    # IPv6: loopback, unspecified, compatible, mapped, NAT64 (both), 6to4, Teredo, ORCHID
    "[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "[::127.0.0.1]", "[::7f00:1]", "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]", "[::ffff:0:0]", "[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]", "[64:ff9b::7f00:1]",
    "[64:ff9b::a00:1]", "[64:ff9b:1::a00:1]", "[2002:7f00:1::]", "[2002:a00:1::1]", "[2001::1]",
    "[2001:0:7f00:1::1]", "[2001:10::1]", "[2001:20::1]",
    # link-local (also with a zone), site-local, unique local, multicast, documentation, discard, SRv6
    "[fe80::1]", "[fe80::1%25lo]", "[febf::1]", "[fec0::1]", "[fc00::1]", "[fdff::1]", "[ff02::1]",
    "[ff0e::1]", "[2001:db8::1]", "[3fff::1]", "[100::1]", "[5f00::1]", "[2606:4700::1%25lo]",
    "localhost", "LOCALHOST",
]  # fmt: skip

URLS = [
    "http://1.1.1.1/", "ftp://1.1.1.1/", "file:///etc/passwd", "gopher://127.0.0.1:6379/_x", "//127.0.0.1/",
    "https:///x", "https://user@1.1.1.1/", "https://user:word@1.1.1.1/", "https://1.1.1.1@127.0.0.1/",
    "https://127.0.0.1#@1.1.1.1/", "https://127.0.0.1\\@1.1.1.1/", "https://1.1.1.1\\@127.0.0.1/",
    "https://127.0.0.1?@1.1.1.1/", "https://1.1.1.1:22/", "https://1.1.1.1:25/", "https://1.1.1.1:6379/",
    "https://1.1.1.1:0/", "https://1.1.1.1:99999/", "https://1.1.1.1:-1/", "https://127.0.0.1:443:80/",
    "https://127.0.0.1 /", "https://127.0.0.1\t/", "https://127.0.0.1\n/", "https://127.0.0.1%00/",
    "https://%31%32%37.0.0.1/", "https://[::1/", "https://[127.0.0.1]/",
]  # fmt: skip

# Names: what the resolver says, first at the door and then at the wire (a rebinding name changes its mind).
NAMES = {
    "private.example": [["10.0.0.1"]],
    "mixed.example": [["1.1.1.1", "127.0.0.1"]],
    "six.example": [["::1"]],
    "mapped.example": [["::ffff:127.0.0.1"]],
    "nat64.example": [["64:ff9b::7f00:1"]],
    "rebinding.example": [["1.1.1.1"], ["127.0.0.1"]],
    "rebinding6.example": [["2606:4700::1111"], ["fe80::1"]],
    "metadata.example": [["169.254.169.254"]],
}


def prove(full: bool) -> dict[str, Any]:
    os.environ.update(
        {
            "DEBUG": "0",
            "SECRET_KEY": "prove",
            "SECRETS_KEYS": "k1:" + "A" * 43 + "=",
            "PUBLIC_BASE_URL": "https://voice.example",
            "CELERY_BROKER_URL": "memory://",
            "LOG_LEVEL": "ERROR",
            "DJANGO_SETTINGS_MODULE": "tenex.settings",
        }
    )
    from tenex.engines.bootstrap import ensure_environment

    ensure_environment(throwaway=True)
    with database(), _canaries() as touched:
        broken = _try_all(("https", "http") if full else ("https",))
        broken["canary_connections"] = sum(touched.values())
    vectors = len(HOSTS) + len(URLS) + len(NAMES) + 1
    return {
        "trials": vectors,
        "violations": sum(broken.values()),
        **+broken,
        "canaries": len(touched),
    }


def _try_all(schemes: Sequence[str]) -> Counter[str]:
    from tests.prove.webhook_rig import workspace

    space = workspace()
    connects = _Connects()
    broken: Counter[str] = Counter()

    def attempt(where: str, url: str, way: Callable[[Any, str], Counter[str]]) -> Counter[str]:
        before = connects.count
        with connects.armed():
            found = way(space, url)
        return found + Counter({f"connected at the {where}: {url}": connects.count - before})

    for url in [f"{scheme}://{host}/hook" for host in HOSTS for scheme in schemes] + URLS:
        broken += attempt("door", url, _door) + attempt("wire", url, _wire)
    for name, answers in NAMES.items():
        with _resolver(name, answers):
            door = attempt("door", f"https://{name}/", _door)
            if len(answers) == 1:  # a name that changes its mind may pass the door
                broken += door
            broken += attempt("wire", f"https://{name}/", _wire)
    return broken + _redirect()


def _door(space: Any, url: str) -> Counter[str]:
    """Saving it must be refused."""
    from tenex.errors import InvalidInput
    from tenex.webhooks.services import subscriptions

    try:
        subscriptions.create(space, url=url, actor="system:prove")[0].delete()
    except InvalidInput:
        return Counter()
    return Counter({f"saved: {url}": 1})


def _wire(space: Any, url: str) -> Counter[str]:
    """A row that is there all the same must not be delivered to."""
    from tenex.webhooks import signing
    from tenex.webhooks.models import WebhookSubscription
    from tenex.webhooks.services import deliveries, lanes, subscriptions

    row = WebhookSubscription.objects.create(
        workspace=space, url=url, secret=signing.new_secret(), timeout_s=1
    )
    made = subscriptions.send_test(row, "system:prove")
    for one in lanes.claim(10):
        deliveries.attempt(one)
    [tried] = made.log.all()
    row.delete()
    if tried.status_code is not None or tried.error in ("", "timed out", "connection refused"):
        return Counter({f"tried: {url}: {tried.error or tried.status_code}": 1})
    return Counter()


def _redirect() -> Counter[str]:
    """A receiver that may be reached, and that points inside."""
    from tenex.lib import guarded_http
    from tests.prove.faulty_receiver import Act, FaultyReceiver, Way

    inside = {"location": "http://127.0.0.1:8080/"}
    receiver = FaultyReceiver(lambda _: Act(Way.REDIRECT, status=302, headers=inside))
    policy = guarded_http.Policy.of(["127.0.0.0/8"])
    answer = guarded_http.request("POST", receiver.url("/"), policy=policy, body=b"{}")
    receiver.close()
    return Counter({"redirect followed": int(answer.status != 302)})


class _Connects:
    """Counts connect() of this thread's work, but for Unix sockets and Valkey, where an event rings."""

    def __init__(self) -> None:
        self._doorbell = urlsplit(os.environ["REDIS_URL"]).port
        self.count = 0
        self._armed = threading.local()
        sys.addaudithook(self._heard)

    def _heard(self, event: str, details: tuple[Any, ...]) -> None:
        if (
            event == "socket.connect"
            and getattr(self._armed, "on", False)
            and details[0].family != socket.AF_UNIX
            and details[1][1] != self._doorbell
        ):
            self.count += 1

    @contextlib.contextmanager
    def armed(self) -> Iterator[None]:
        self._armed.on = True
        try:
            yield
        finally:
            self._armed.on = False


@contextlib.contextmanager
def _resolver(name: str, answers: list[list[str]]) -> Iterator[None]:
    """This one name resolves as told, each time to the next answer."""
    real, asked = socket.getaddrinfo, iter(answers)
    last: list[str] = []

    def answer(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host != name:
            return real(host, port, *args, **kwargs)
        last[:] = next(asked, last)
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port))
            for one in last
        ]

    socket.getaddrinfo = answer
    try:
        yield
    finally:
        socket.getaddrinfo = real


@contextlib.contextmanager
def _canaries() -> Iterator[Counter[int]]:
    """Listeners on every port that we may bind; how many connections each of them saw."""
    touched: Counter[int] = Counter()
    listening = []
    for port in CANARY_PORTS:
        with contextlib.suppress(OSError):
            canary = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
            listening.append(canary)
            touched[port] = 0

            def count(canary: socket.socket = canary, port: int = port) -> None:
                with contextlib.suppress(OSError):
                    while True:
                        canary.accept()[0].close()
                        touched[port] += 1

            threading.Thread(target=count, daemon=True).start()
    try:
        yield touched
    finally:
        for canary in listening:
            canary.close()


if __name__ == "__main__":
    main("C7", prove)
