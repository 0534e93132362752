"""The REST client against servers that behave, and servers that do not."""

import io
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from pytest_django import Settings

from tests.prove import certificates
from voice.telephony import client
from voice.telephony.client import Account, CallOrder, Carrier, NumberUrls
from voice.telephony.errors import (
    CarrierAmbiguous,
    CarrierGone,
    CarrierNotAsked,
    CarrierNotConfigured,
    CarrierRejected,
    CarrierThrottled,
    CarrierUnreachable,
)
from voice.telephony.transport import open_session

SID = "CA" + "1" * 32
CREATED = f'{{"sid":"{SID}","status":"queued","to":"+1","from":"+2","date_created":"x"}}'
ORDER = CallOrder(
    to="+14155560001",
    from_="+14155550100",
    answer_url="https://v/a",
    status_url="https://v/s",
    ring_timeout_s=30,
    time_limit_s=615,
    recording_url="https://v/r",
    machine_detection="DetectMessageEnd",
    amd_url="https://v/amd",
    fallback_url="https://v/f",
)


class Server:
    """Answers every request with `status` and `body`; keeps what it was asked."""

    def __init__(self) -> None:
        self.status, self.body = 200, b"{}"
        self.cut = False
        self.asked: list[tuple[str, str, dict[str, list[str]], str]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                form = parse_qs(self.rfile.read(length).decode())
                server.asked.append((self.command, self.path, form, self.headers["Authorization"] or ""))
                if server.cut:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(server.status)
                self.send_header("Content-Length", str(len(server.body)))
                self.end_headers()
                self.wfile.write(server.body)

            do_POST = do_DELETE = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()

    def speaks_tls(self, context: ssl.SSLContext) -> None:
        self.handshakes: list[str] = []
        chosen = context.sni_callback
        assert chosen is not None

        def shaken(socket: Any, name: str, of: ssl.SSLContext) -> None:
            self.handshakes.append(name)
            chosen(socket, name, of)

        context.sni_callback = shaken
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self.url = f"https://localhost:{self._http.server_port}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def says(self, status: int, body: str) -> None:
        self.status, self.body = status, body.encode()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def carrier(server: Server) -> Carrier:
    return Carrier(Account("AC" + "0" * 32, "AC" + "0" * 32, "secret", server.url, 1.0))


def test_a_call_is_ordered_with_repeated_keys_and_everything_explicit(
    server: Server, carrier: Carrier
) -> None:
    server.says(201, CREATED)
    assert carrier.place_call(ORDER).sid == SID
    method, path, form, auth = server.asked[0]
    assert (method, path) == ("POST", f"/2010-04-01/Accounts/AC{'0' * 32}/Calls.json")
    assert auth.startswith("Basic ")
    assert form == {
        "To": ["+14155560001"],
        "From": ["+14155550100"],
        "Url": ["https://v/a"],
        "Method": ["POST"],
        "FallbackUrl": ["https://v/f"],
        "FallbackMethod": ["POST"],
        "StatusCallback": ["https://v/s"],
        "StatusCallbackMethod": ["POST"],
        "StatusCallbackEvent": ["initiated", "ringing", "answered", "completed"],
        "Timeout": ["30"],
        "TimeLimit": ["615"],
        "Record": ["true"],
        "RecordingChannels": ["dual"],
        "RecordingTrack": ["both"],
        "Trim": ["do-not-trim"],
        "RecordingStatusCallback": ["https://v/r"],
        "RecordingStatusCallbackMethod": ["POST"],
        "RecordingStatusCallbackEvent": ["completed", "absent"],
        "MachineDetection": ["DetectMessageEnd"],
        "MachineDetectionTimeout": ["30"],
        "AsyncAmd": ["true"],
        "AsyncAmdStatusCallback": ["https://v/amd"],
        "AsyncAmdStatusCallbackMethod": ["POST"],
    }


@pytest.mark.parametrize(
    ("status", "body", "error", "code"),
    [
        (400, '{"code":21211,"message":"Invalid To","status":400}', CarrierRejected, "21211"),
        (401, '{"code":20003,"message":"Authenticate","status":401}', CarrierRejected, "20003"),
        (400, '{"code":21220,"message":"not in-progress","status":400}', CarrierGone, "21220"),
        (404, '{"code":20404,"message":"not found","status":404}', CarrierGone, "20404"),
        (404, "<html>", CarrierGone, "20404"),
        (429, '{"code":20429,"message":"Too Many Requests","status":429}', CarrierThrottled, "20429"),
        (429, "", CarrierThrottled, "20429"),
        (500, '{"code":20500,"message":"Internal","status":500}', CarrierAmbiguous, "20500"),
        (502, "<html>bad gateway</html>", CarrierAmbiguous, "502"),
        (408, "", CarrierAmbiguous, "408"),
        (302, "", CarrierAmbiguous, "302"),
        (500, "[" * 100_000, CarrierAmbiguous, "500"),
    ],
)
def test_refusals_are_told_apart_by_what_may_be_done_next(
    server: Server, carrier: Carrier, status: int, body: str, error: type[Exception], code: str
) -> None:
    server.says(status, body)
    with pytest.raises(error) as caught:
        carrier.place_call(ORDER)
    assert type(caught.value) is error
    assert getattr(caught.value, "provider_code") == code  # noqa: B009
    assert len(server.asked) == 1, "nothing is ever asked twice"


@pytest.mark.parametrize("body", ["", "not json", "[]", "{}", '{"sid":null}', '{"sid":""}'])
def test_a_yes_that_names_no_call_is_ambiguous(server: Server, carrier: Carrier, body: str) -> None:
    server.says(201, body)
    with pytest.raises(CarrierAmbiguous):
        carrier.place_call(ORDER)


def test_a_lost_answer_is_ambiguous_and_not_repeated(server: Server, carrier: Carrier) -> None:
    server.cut = True
    with pytest.raises(CarrierAmbiguous):
        carrier.place_call(ORDER)
    assert len(server.asked) == 1


def test_silence_is_ambiguous_after_the_time_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        account = Account("AC0", "AC0", "s", f"http://127.0.0.1:{listener.getsockname()[1]}", 5.0)
        with pytest.raises(CarrierAmbiguous):
            Carrier(account).place_call(ORDER, timeout_s=0.2)


def test_a_refused_connection_certainly_placed_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(CarrierUnreachable):
        Carrier(Account("AC0", "AC0", "s", f"http://127.0.0.1:{port}")).place_call(ORDER)


@pytest.mark.parametrize("asleep_at", ["the beginning", "the body"])
def test_what_was_asleep_for_too_long_sends_no_whole_request(
    asleep_at: str, server: Server, carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = []

    def passing(name: str) -> None:
        left.append(name)
        time.sleep(0.3)  # behind the look at the clock of one piece, before that of the next

    monkeypatch.setattr("tenex.lib.failpoint.hit", passing)
    late_s = -0.001 if asleep_at == "the beginning" else 0.2
    with pytest.raises(CarrierNotAsked):
        carrier.place_call(ORDER, send_by_s=time.monotonic() + late_s)
    assert left == ([] if asleep_at == "the beginning" else ["carrier.sending"])
    assert [form for _, _, form, _ in server.asked if form] == []


def test_what_is_sent_in_time_is_sent(server: Server, carrier: Carrier) -> None:
    server.says(201, CREATED)
    assert carrier.place_call(ORDER, send_by_s=time.monotonic() + 5).sid == SID
    assert server.asked[0][2]["To"] == [ORDER.to]


def test_the_look_at_the_clock_is_behind_the_handshake(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = certificates.make(tmp_path)
    server.speaks_tls(certificates.server_context(tmp_path))
    shaken: list[str] = []
    monkeypatch.setattr(
        "tenex.lib.failpoint.hit", lambda name: shaken.append(f"{name} after {len(server.handshakes)}")
    )
    with open_session(overridden=True, send_by_s=time.monotonic() + 5) as session:
        answer = session.post(server.url, data={"a": "1"}, verify=str(authority), timeout=5)
    assert (answer.status_code, shaken) == (200, ["carrier.sending after 1"] * 2)
    with (
        open_session(overridden=True, send_by_s=time.monotonic() - 1) as session,
        pytest.raises(CarrierNotAsked),
    ):
        session.post(server.url, data={"a": "1"}, verify=str(authority), timeout=5)
    assert (len(server.handshakes), len(server.asked)) == (2, 1)


def test_calls_are_found_by_creation_instant_oldest_first(server: Server, carrier: Carrier) -> None:
    def row(sid: str, created: str) -> str:
        return (
            f'{{"sid":"{sid}","status":"queued","to":"+1","from":"+2","start_time":null,'
            f'"date_created":"{created}"}}'
        )

    rows = [
        row("CA3", "Sun, 22 Nov 2026 12:00:20 +0000"),
        row("CA1", "Sun, 22 Nov 2026 11:59:00 +0000"),
        row("CA2", "Sun, 22 Nov 2026 12:00:10 +0000"),
        row("CA4", "nonsense"),
        row("CA5", "Sun, 22 Nov 2026 12:05:00 +0000"),
    ]
    server.says(200, f'{{"calls":[{",".join(rows)}],"next_page_uri":null}}')
    after = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    found = carrier.find_calls(
        to="+1", from_="+2", created_after=after, created_before=after + timedelta(minutes=1)
    )
    assert [call.sid for call in found] == ["CA2", "CA3"]
    assert "To=%2B1" in server.asked[0][1]
    assert "From=%2B2" in server.asked[0][1]


def test_hang_up_and_cancel_are_different_words(server: Server, carrier: Carrier) -> None:
    server.says(200, CREATED)
    carrier.hang_up(SID)
    carrier.cancel(SID)
    carrier.update_twiml(SID, "<Response/>")
    assert [asked[2] for asked in server.asked] == [
        {"Status": ["completed"]},
        {"Status": ["canceled"]},
        {"Twiml": ["<Response/>"]},
    ]
    with pytest.raises(ValueError, match="4,000"):
        carrier.update_twiml(SID, "x" * 4001)


def test_a_recording_is_fetched_on_two_channels(server: Server, carrier: Carrier) -> None:
    server.says(200, "RIFF....")
    file = io.BytesIO()
    url = "https://api.twilio.com/2010-04-01/Accounts/AC0/Recordings/RE1"
    assert carrier.fetch_recording(url, file) == 8
    assert file.getvalue() == b"RIFF...."
    assert server.asked[0][1] == "/2010-04-01/Accounts/AC0/Recordings/RE1.wav?RequestedChannels=2"
    with pytest.raises(CarrierRejected, match="longer"):
        carrier.fetch_recording(url, io.BytesIO(), max_bytes=4)
    server.says(404, "")
    with pytest.raises(CarrierGone):
        carrier.fetch_recording(url, io.BytesIO())


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/Recordings/RE1",
        "http://api.twilio.com/RE1",
        "https://api.twilio.com.evil.example/RE1",
        "https://twilio.com@evil.example/RE1",
        "file:///etc/passwd",
        "",
    ],
)
def test_our_credentials_go_to_nobody_else(url: str) -> None:
    with pytest.raises(CarrierRejected, match="address"):
        Carrier(Account("AC0", "AC0", "s")).fetch_recording(url, io.BytesIO())


def test_numbers_are_listed_and_routed(server: Server, carrier: Carrier) -> None:
    row = '{"sid":"PN1","phone_number":"+14155550100","friendly_name":"Main","capabilities":{"voice":true}}'
    server.says(200, f'{{"incoming_phone_numbers":[{row}],"next_page_uri":null}}')
    assert [(one.sid, one.e164, one.capabilities) for one in carrier.numbers("+14155550100")] == [
        ("PN1", "+14155550100", {"voice": True})
    ]
    server.says(200, row)
    carrier.route_number("PN1", NumberUrls("https://v/1", "https://v/2", "https://v/3"))
    assert server.asked[1][2] == {
        "VoiceUrl": ["https://v/1"],
        "VoiceMethod": ["POST"],
        "VoiceFallbackUrl": ["https://v/2"],
        "VoiceFallbackMethod": ["POST"],
        "StatusCallback": ["https://v/3"],
        "StatusCallbackMethod": ["POST"],
    }


def test_the_configured_account(settings: Settings) -> None:
    settings.TWILIO_ACCOUNT_SID = ""
    with pytest.raises(CarrierNotConfigured):
        client.carrier()
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = "AC1", "token"
    assert client.configured_account().username == "AC1"
    settings.TWILIO_API_KEY_SID, settings.TWILIO_API_KEY_SECRET = "SK1", "secret"
    account = client.configured_account()
    assert (account.sid, account.username, account.password) == ("AC1", "SK1", "secret")
    assert "secret" not in repr(account)
    assert client.carrier() is client.carrier()
