"""Playing a recording: whole, in ranges, for a while, for whoever has the link."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import AsyncClient
from django.utils import timezone

from tenex.rest import signed
from tests.api.world import WAV, Tenant
from voice.models import Recording

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
async def own_thread() -> AsyncIterator[None]:
    """Django's test client does not close the connection of the thread that it works in."""
    yield
    await sync_to_async(connections.close_all)()


def link(tenant: Tenant) -> str:
    answer = tenant.api.get(f"/api/v1/voice/calls/{tenant.call.id}/recording")
    assert answer.status_code == 200
    url: str = answer.json()["url"]
    return url[url.index("/api/") :]


async def fetch(path: str, **headers: str) -> tuple[Any, bytes]:
    """An answer and its bytes."""
    answer: Any = await AsyncClient().get(path, headers=headers)
    body = b"".join([part async for part in answer.streaming_content]) if answer.streaming else answer.content
    return answer, body


async def test_the_link_plays_the_whole_file(alice: Tenant) -> None:
    answer, body = await fetch(await in_thread(link, alice))
    assert (answer.status_code, body) == (200, WAV)
    assert answer["Content-Type"] == "audio/wav"
    assert answer["Accept-Ranges"] == "bytes"
    assert answer["Content-Length"] == str(len(WAV))


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=100-199", 100, 199),
        ("bytes=100-", 100, len(WAV) - 1),
        ("bytes=-10", len(WAV) - 10, len(WAV) - 1),
        (f"bytes=5-{len(WAV) * 2}", 5, len(WAV) - 1),
        (f"bytes=-{len(WAV) * 2}", 0, len(WAV) - 1),
    ],
)
async def test_a_range_is_just_that_range(alice: Tenant, wanted: str, first: int, last: int) -> None:
    answer, body = await fetch(await in_thread(link, alice), Range=wanted)
    assert answer.status_code == 206
    assert body == WAV[first : last + 1]
    assert answer["Content-Range"] == f"bytes {first}-{last}/{len(WAV)}"
    assert answer["Content-Length"] == str(len(body))


@pytest.mark.parametrize("wanted", [f"bytes={len(WAV)}-", "bytes=-0"])
async def test_a_range_outside_is_416(alice: Tenant, wanted: str) -> None:
    answer, _ = await fetch(await in_thread(link, alice), Range=wanted)
    assert answer.status_code == 416
    assert answer["Content-Range"] == f"bytes */{len(WAV)}"


@pytest.mark.parametrize("wanted", ["bytes=5-1", "lines=1-2", "bytes=a-b", "bytes=0-1,5-6", "bytes=-"])
async def test_a_range_that_makes_no_sense_is_the_whole_file(alice: Tenant, wanted: str) -> None:
    answer, body = await fetch(await in_thread(link, alice), Range=wanted)
    assert (answer.status_code, body) == (200, WAV)


@pytest.mark.parametrize("wanted", ["bytes=0-" + "9" * 5000, "bytes=" + "9" * 5000 + "-"])
async def test_a_number_that_no_file_has_is_no_range(alice: Tenant, wanted: str) -> None:
    answer, body = await fetch(await in_thread(link, alice), Range=wanted)
    assert (answer.status_code, body) == (200, WAV)


async def test_a_range_of_a_file_that_is_still_the_same(alice: Tenant) -> None:
    path = await in_thread(link, alice)
    whole, _ = await fetch(path)
    answer, body = await fetch(path, Range="BYTES=0-3", If_Range=whole["ETag"])
    assert (answer.status_code, body) == (206, WAV[:4])
    for other in ('"another"', "Wed, 25 Nov 2026 10:00:00 GMT", f"W/{whole['ETag']}"):
        answer, body = await fetch(path, Range="bytes=0-3", If_Range=other)
        assert (answer.status_code, body) == (200, WAV)


async def test_head_tells_what_get_would(alice: Tenant) -> None:
    path = await in_thread(link, alice)
    for headers, status, length in (({}, 200, len(WAV)), ({"range": "bytes=2-5"}, 206, 4)):
        answer = await AsyncClient().head(path, headers=headers)
        assert (answer.status_code, answer["Content-Length"]) == (status, str(length))
        assert answer["Accept-Ranges"] == "bytes"


async def test_the_link_ends(alice: Tenant, charlie: Tenant) -> None:
    path = f"/api/v1/voice/recordings/{alice.recording.pk}/media"
    by = f"key:{alice.key_prefix}"
    late, _ = signed.issue("recording", alice.recording.pk, by=by, ttl_s=-1)
    other, _ = signed.issue("recording", charlie.recording.pk, by=by, ttl_s=60)
    for token in ("", "x", late, other):
        answer, _ = await fetch(f"{path}?token={token}")
        assert answer.status_code == 401


async def test_after_its_retention_it_is_gone(alice: Tenant) -> None:
    path = await in_thread(link, alice)
    gone = Recording.objects.filter(pk=alice.recording.pk)
    await gone.aupdate(status="deleted", file="", purge_after=timezone.now())
    answer, _ = await fetch(path)
    assert (answer.status_code, answer.json()["code"]) == (410, "recording_expired")


async def in_thread(work: Any, *args: Any) -> Any:
    return await sync_to_async(work)(*args)
