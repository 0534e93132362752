"""Recordings in a real S3 server: encryption, parts, links that end, and every way in which it can fail."""

import contextlib
import hashlib
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone
from pytest_django import Settings

from tenex import bucket
from tenex.lib import buckets
from tenex.lib.storage_faults import FileMissing, StorageFault
from tests import rows
from tests.postcall.test_pure import riff
from tests.rig.s3 import S3Server, start_s3
from voice.api import media
from voice.models import Recording
from voice.postcall import recording, waveform
from voice.services import recording_files as files
from voice.services import recording_store as store
from voice.services.recordings import note_callback

pytestmark = pytest.mark.django_db
WAV = riff(audio=bytes(range(256)) * 4000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    made = start_s3(tmp_path_factory.mktemp("s3"), dict(os.environ), kms=True)
    try:
        yield made
    finally:
        made.process.kill()


@pytest.fixture
def s3(server: S3Server, settings: Settings) -> S3Server:
    use(settings, server)
    return server


def use(settings: Settings, server: S3Server, **other: object) -> None:
    values = {**server.settings(), **other}
    for name, value in values.items():
        if name.startswith("AWS_") and "KEY" not in name:
            setattr(settings, name, value)
    settings.AWS_ACCESS_KEY_ID = values["AWS_ACCESS_KEY_ID"]
    settings.AWS_SECRET_ACCESS_KEY = values["AWS_SECRET_ACCESS_KEY"]
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": "tenex.bucket.Bucket"}}


def pending() -> Recording:
    space = rows.workspace()
    form = {"RecordingSid": "RE1", "RecordingUrl": "https://api.twilio.com/x", "RecordingStatus": "completed"}
    row = note_callback(rows.call(space).pk, form)
    assert row
    return row


def fetched(row: Recording) -> Recording:
    Recording.objects.filter(pk=row.pk).update(next_at=timezone.now())
    recording.fetch(row.pk, get=lambda url, file: file.write(WAV))
    row.refresh_from_db()
    return row


def head(server: S3Server, key: str) -> dict[str, object]:
    return dict(server.client().head_object(Bucket=server.bucket, Key=key))


def get(url: str) -> tuple[int, bytes]:
    answer = httpx2.get(url, trust_env=False, timeout=10)
    return answer.status_code, answer.content


def names(server: S3Server) -> list[str]:
    return server.keys()


# --- at rest ----------------------------------------------------------------------------------------


def test_an_envelope_in_a_bucket(s3: S3Server, settings: Settings) -> None:
    settings.RECORDING_ENCRYPTION = "envelope"
    row = fetched(pending())
    assert (row.status, row.at_rest) == ("stored", "envelope")
    assert row.file in names(s3)
    link, _ = media.link(row, by="key:x")
    assert link.startswith(f"{settings.PUBLIC_BASE_URL}/api/v1/voice/recordings/"), (
        "the bucket's would not play"
    )
    with store.opened(store.of(row)) as file:
        file.seek(500_000)
        assert file.read(1000) == WAV[500_000:501_000]
        file.seek(0)
        assert hashlib.sha256(file.read()).hexdigest() == row.sha256
    assert waveform.make(row.pk)


@pytest.mark.parametrize(
    ("kms", "at_rest", "said"), [("", "sse-s3", "AES256"), ("tenex-key", "sse-kms", "aws:kms")]
)
def test_the_bucket_encrypts_what_it_is_given(
    s3: S3Server, settings: Settings, kms: str, at_rest: str, said: str
) -> None:
    settings.RECORDING_ENCRYPTION, settings.RECORDING_KMS_KEY_ID = "backend", kms
    use(settings, s3, AWS_S3_OBJECT_PARAMETERS=buckets.encryption(kms))
    row = fetched(pending())
    assert (row.status, row.at_rest, row.problem) == ("stored", at_rest, "")
    told = head(s3, row.file)
    assert told["ServerSideEncryption"] == said
    assert not kms or kms in str(told["SSEKMSKeyId"])
    link, _ = media.link(row, by="key:x")
    assert link.startswith(s3.endpoint_url), "the bucket's own"
    assert get(link) == (200, WAV)


def test_a_part_is_a_part(s3: S3Server, settings: Settings) -> None:
    settings.RECORDING_ENCRYPTION = "off"
    row = fetched(pending())
    storage: Any = default_storage
    assert storage.read_part(row.file, 10, 5) == WAV[10:15]
    with store.opened(store.of(row), block_bytes=1 << 16) as file:
        file.seek(-5, 2)
        assert file.read() == WAV[-5:]


def test_a_link_of_the_bucket_ends(s3: S3Server, settings: Settings) -> None:
    settings.RECORDING_ENCRYPTION = "off"
    settings.AWS_QUERYSTRING_EXPIRE = 4
    use(settings, s3)
    row = fetched(pending())
    link, _ = media.link(row, by="key:x")
    assert get(link)[0] == 200
    time.sleep(5.1)
    assert get(link)[0] == 403


# --- faults -----------------------------------------------------------------------------------------


def test_a_wrong_key_costs_no_recording(s3: S3Server, settings: Settings) -> None:
    settings.RECORDING_ENCRYPTION = "envelope"
    use(settings, s3, AWS_SECRET_ACCESS_KEY="x" * 40)
    row = fetched(pending())
    assert (row.status, row.problem, row.problem_detail) == ("pending", "storage", "SignatureDoesNotMatch")
    use(settings, s3, AWS_ACCESS_KEY_ID="nobody")
    row = fetched(row)
    assert (row.status, row.problem_detail, row.store_failures) == ("pending", "InvalidAccessKeyId", 2)
    use(settings, s3)
    row = fetched(row)
    assert (row.status, row.problem) == ("stored", "")


def test_a_bucket_that_is_not_there(s3: S3Server, settings: Settings) -> None:
    use(settings, s3, AWS_STORAGE_BUCKET_NAME="another")
    row = fetched(pending())
    assert (row.status, row.problem, row.problem_detail) == ("pending", "storage", "NoSuchBucket")


def test_a_server_that_is_down_and_comes_back(
    s3: S3Server, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "TRIES", 1)
    use(settings, s3)
    row = fetched(pending())
    assert row.status == "stored"
    use(settings, s3, AWS_S3_ENDPOINT_URL="http://127.0.0.1:9")
    with pytest.raises(StorageFault, match="EndpointConnectionError"), store.opened(store.of(row)) as file:
        file.read()
    with pytest.raises(StorageFault):
        files.verify(row)
    assert not files.verify_due()
    with pytest.raises(StorageFault):
        waveform.make(row.pk)
    files.delete(row, "user:a")
    row.refresh_from_db()
    assert files._clear_quietly(row.pk) == 0
    assert row.leftovers
    use(settings, s3)
    assert files.sweep() == 1
    assert not [key for key in names(s3) if row.provider_sid in key and str(row.call_id) in key]


def test_a_server_that_is_slow_is_not_waited_for_for_ever(
    s3: S3Server, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "TRIES", 1)
    monkeypatch.setattr(bucket, "READ_TIMEOUT_S", 1)
    with contextlib.ExitStack() as stack:
        mute = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        use(settings, s3, AWS_S3_ENDPOINT_URL=f"http://127.0.0.1:{mute.getsockname()[1]}")
        row, began = pending(), time.monotonic()
        row = fetched(row)
        assert time.monotonic() - began < 5
    assert (row.status, row.problem, row.problem_detail) == ("pending", "storage", "ReadTimeoutError")


def test_an_object_that_somebody_took_away(s3: S3Server, settings: Settings) -> None:
    row = fetched(pending())
    default_storage.delete(row.file)
    with pytest.raises(FileMissing), store.opened(store.of(row)) as file:
        file.read()
    assert not files.verify(row)
    row.refresh_from_db()
    assert row.problem == "missing"


def test_old_objects_go_into_envelopes(s3: S3Server, settings: Settings) -> None:
    settings.RECORDING_ENCRYPTION = "off"
    row = fetched(pending())
    was = row.file
    settings.RECORDING_ENCRYPTION = "envelope"
    assert files.seal_some(5) == (1, 0)
    row.refresh_from_db()
    assert row.at_rest == "envelope"
    assert was not in names(s3)
    with store.opened(store.of(row)) as file:
        assert file.read() == WAV


def test_lines_of_our_own_do_without_a_storage(s3: S3Server, settings: Settings) -> None:
    from voice.opening import sound

    use(settings, s3, AWS_SECRET_ACCESS_KEY="x" * 40)
    sound._kept.clear()
    assert sound._look("nothing") is None
    sound._store("nothing", b"x")
    assert ContentFile(b"x")
