"""Which addresses the outbound client refuses, in every spelling, and that it never connects to them."""

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenex.lib import guarded_http
from tenex.lib.guarded_http import AddressRefused, ExchangeFailed, Policy
from tests.prove import certificates

REFUSED_HOSTS = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "10.0.0.1", "172.16.0.1",
    "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255",
    "192.0.2.1", "0.0.0.0",  # noqa: S104
    "198.18.0.1", "198.51.100.1", "203.0.113.9", "240.0.0.1", "192.88.99.1",
    "[::1]", "[::]", "[::127.0.0.1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[64:ff9b::a00:1]",
    "[64:ff9b:1::a00:1]", "[2002:a00:1::1]", "[fe80::1]", "[fec0::1]", "[fc00::1]", "[fd12::1]", "[ff02::1]",
    "[2001:db8::1]", "[5f00::1]", "[100::1]", "[2001::1]", "[3fff::1]", "localhost",
]  # fmt: skip


@pytest.mark.parametrize("host", REFUSED_HOSTS)
def test_it_refuses_private_and_reserved_addresses_in_every_spelling(host: str) -> None:
    with pytest.raises(AddressRefused):
        guarded_http.check(f"https://{host}/hook", Policy())


@pytest.mark.parametrize(
    "url",
    [
        "http://1.1.1.1/",
        "ftp://1.1.1.1/",
        "https://user:secret@1.1.1.1/",
        "https://1.1.1.1:22/",
        "https://1.1.1.1:6379/",
        "https://1.1.1.1:99999/",
        "https:///nohost",
        "gopher://1.1.1.1/",
        "//1.1.1.1/",
        "",
    ],
)
def test_it_refuses_other_schemes_ports_and_credentials(url: str) -> None:
    with pytest.raises(AddressRefused):
        guarded_http.check(url, Policy())


def test_it_admits_a_public_address() -> None:
    assert [str(address) for address in guarded_http.check("https://1.1.1.1/", Policy())] == ["1.1.1.1"]


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    def two_faced(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, 1, 6, "", (ip, port)) for ip in ("1.1.1.1", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", two_faced)
    with pytest.raises(AddressRefused):
        guarded_http.check("https://rebind.example/", Policy())


class _Handler(http.server.BaseHTTPRequestHandler):
    hits: list[str] = []

    def do_POST(self) -> None:
        self.hits.append(self.path)
        self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("location", "/elsewhere")
            self.end_headers()
        elif self.path == "/drip":
            self.send_response(200)
            self.end_headers()
            for _ in range(50):
                self.wfile.write(b"x")
                time.sleep(0.1)
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"y" * 100_000)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def receiver() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.block_on_close = False
    _Handler.hits = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


LOOPBACK = Policy.of(["127.0.0.0/8"])


def test_a_name_is_resolved_once_and_the_checked_address_is_dialled(
    receiver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resolver that changes its answer (DNS rebinding) is asked only once."""
    port = int(receiver.rsplit(":", 1)[1])
    asked: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: str, *args: object, **kwargs: object) -> object:
        if host != "rebind.example":
            return real(host, *args, **kwargs)  # type: ignore[arg-type]
        asked.append(host)
        return [(socket.AF_INET, 1, 6, "", ("127.0.0.1" if len(asked) == 1 else "10.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    answer = guarded_http.request("POST", f"http://rebind.example:{port}/ok", policy=LOOPBACK, body=b"1")
    assert answer.status == 200
    assert asked == ["rebind.example"]


def test_redirects_are_answers_and_not_followed(receiver: str) -> None:
    assert guarded_http.request("POST", f"{receiver}/redirect", policy=LOOPBACK, body=b"1").status == 302
    assert _Handler.hits == ["/redirect"]


def test_only_the_start_of_an_answer_is_kept(receiver: str) -> None:
    answer = guarded_http.request("POST", f"{receiver}/ok", policy=LOOPBACK, body=b"1", read_bytes=1024)
    assert answer.body == b"y" * 1024


def test_a_dripping_receiver_cannot_hold_us(receiver: str) -> None:
    started = time.monotonic()
    answer = guarded_http.request("POST", f"{receiver}/drip", policy=LOOPBACK, body=b"1", timeout_s=0.5)
    assert answer.status == 200
    assert time.monotonic() - started < 2


def test_nobody_there_is_an_error_with_a_short_reason() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        with pytest.raises(ExchangeFailed, match="connection refused"):
            guarded_http.request("POST", f"http://127.0.0.1:{port}/", policy=LOOPBACK)


@pytest.mark.parametrize(
    "url",
    [
        "https://１２７.０.０.１/",
        "https://①②⑦.⓪.⓪.①/",
        "https://127。0。0。1/",
        "https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
        "https://[fe80::1%25lo]/",
        "https://[2606:4700::1%25lo]/",
        "https://127.0.0.1\\@1.1.1.1/",
        "https://127.0.0.1\t/",
        "https://127.0.0.1%00/",
        "https://1.1.1.1:0/",
        "https://a@1.1.1.1/",
        "https://@1.1.1.1/",
    ],
)
def test_it_refuses_what_others_might_read_differently(url: str) -> None:
    with pytest.raises(AddressRefused):
        guarded_http.check(url, Policy())


def test_a_name_of_another_script_is_asked_for_in_ascii() -> None:
    assert guarded_http.parse("https://bücher.example/weg?q=ö").host == "xn--bcher-kva.example"
    assert guarded_http.parse("https://bücher.example/weg?q=ö").path == "/weg?q=%C3%B6"
    assert guarded_http.parse("https://EXAMPLE.com:8443").authority == "example.com:8443"
    assert guarded_http.parse("https://[2606:4700::1]:443/x").authority == "[2606:4700::1]"


def test_a_resolver_that_hangs_cannot_hold_us(monkeypatch: pytest.MonkeyPatch) -> None:
    def hanging(*_: object, **__: object) -> list[object]:
        time.sleep(2)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    started = time.monotonic()
    with pytest.raises(ExchangeFailed, match="in time"):
        guarded_http.request("POST", "https://slow.example/", policy=Policy(), timeout_s=0.2)
    assert time.monotonic() - started < 1.5


def test_the_name_is_kept_for_tls_and_host_though_an_address_is_dialed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate is good for `receiver.example`, which resolves to loopback here."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.make(tmp_path)))
    guarded_http._tls.cache_clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.block_on_close = False
    hosts: list[str | None] = []
    context = certificates.server_context(tmp_path)
    context.sni_callback = lambda _socket, name, _context: hosts.append(name)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    real = socket.getaddrinfo

    def resolver(host: str, *args: object, **kwargs: object) -> object:
        if not host.endswith(".example"):
            return real(host, *args, **kwargs)  # type: ignore[arg-type]
        return [(socket.AF_INET, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    try:
        good = f"https://receiver.example:{port}/ok"
        assert guarded_http.request("POST", good, policy=LOOPBACK, body=b"1").status == 200
        assert hosts == ["receiver.example"]
        with pytest.raises(ExchangeFailed, match="TLS failed"):
            guarded_http.request("POST", f"https://other.example:{port}/ok", policy=LOOPBACK, body=b"1")
    finally:
        guarded_http._tls.cache_clear()
        server.shutdown()
        server.server_close()


def test_a_proxy_in_the_environment_is_not_used(receiver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert guarded_http.request("POST", f"{receiver}/ok", policy=LOOPBACK, body=b"1").status == 200
