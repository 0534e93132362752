"""A body that is too large is refused before it is stored: by its length, and without one."""

import http.client
import json
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from tests.api.live_server import serve
from tests.api.world import Tenant

pytestmark = pytest.mark.django_db(transaction=True)
MIB = b"x" * (1024 * 1024)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_gigabyte_is_refused_at_once(alice: Tenant, chunked: bool) -> None:
    with serve() as url:
        peer = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        peer.putrequest("POST", "/api/v1/crm/leads/imports")
        peer.putheader("Authorization", f"Bearer {alice.api.token}")
        peer.putheader("Content-Type", "text/csv")
        peer.putheader(*(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(2**30))))
        peer.endheaders()
        sent = 0
        with suppress(OSError):  # the server may close while we still send
            for block in _blocks(chunked):
                peer.send(block)
                sent += 1
        answer = peer.getresponse()
        assert answer.status == 413
        assert json.loads(answer.read())["code"] == "body_too_large"
        assert sent < 100
        peer.close()


def _blocks(chunked: bool) -> Iterator[bytes]:
    if not chunked:
        yield b"phone\n"
        return
    for _ in range(27):
        yield b"%x\r\n%b\r\n" % (len(MIB), MIB)


def test_a_chunked_file_is_imported(alice: Tenant) -> None:
    with serve() as url:
        peer = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        headers = {"Authorization": f"Bearer {alice.api.token}", "Content-Type": "text/csv"}
        parts = iter([b"phone\n", b"+14155550141\n"])
        peer.request("POST", "/api/v1/crm/leads/imports", body=parts, headers=headers, encode_chunked=True)
        answer = peer.getresponse()
        assert answer.status == 202
        assert json.loads(answer.read())["columns"] == [{"header": "phone", "field": "phone"}]
        peer.close()
