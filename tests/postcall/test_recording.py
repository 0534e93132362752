"""Recordings: callbacks in any order, a carrier that is not ready, storage, one announcement."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.utils import timezone
from pytest_django import Settings

from tenex.errors import Conflict
from tenex.events.models import Event
from tenex.lib import failpoint
from tenex.workspaces.models import AuditEntry
from tenex.workspaces.services import vault
from tests import rows
from tests.postcall.test_pure import riff
from voice.models import Call, Recording, RecordingStatus
from voice.postcall import recording
from voice.services import recording_files
from voice.services import recording_store as store
from voice.services.recordings import note_callback
from voice.telephony.errors import CarrierAmbiguous, CarrierGone, CarrierRejected, CarrierThrottled

pytestmark = pytest.mark.django_db

WAV = riff()
URL = "https://api.twilio.com/2010-04-01/Accounts/AC1/Recordings/RE1"


def form(status: str = "completed", **fields: str) -> dict[str, str]:
    return {
        "RecordingSid": "RE1",
        "RecordingUrl": URL,
        "RecordingStatus": status,
        "RecordingStartTime": "Sun, 22 Nov 2026 17:12:29 +0000",
        "RecordingDuration": "-1",
        **fields,
    }


def note(call: Call, status: str = "completed", **fields: str) -> Recording:
    row = note_callback(call.pk, form(status, **fields))
    assert row
    return row


def giving(data: bytes) -> Callable[[str, BinaryIO], int]:
    def get(url: str, file: BinaryIO) -> int:
        assert url == URL
        file.write(data)
        return len(data)

    return get


def failing(exc: Exception) -> Callable[[str, BinaryIO], int]:
    def get(url: str, file: BinaryIO) -> int:
        raise exc

    return get


def heard(row: Recording) -> bytes:
    with store.opened(store.of(row)) as file:
        return file.read()


def due_now(row: Recording) -> None:
    Recording.objects.filter(pk=row.pk).update(next_at=timezone.now())


@pytest.fixture
def call() -> Call:
    return rows.call(rows.workspace(recording_retention_days=7))


def test_stored_and_announced_once(call: Call, media: Path) -> None:
    row = note(call, RecordingDuration="1", RecordingChannels="2")
    note(call)
    assert recording.fetch(row.pk, get=giving(WAV))
    assert not recording.fetch(row.pk, get=giving(WAV))
    row.refresh_from_db()
    assert row.status == RecordingStatus.STORED
    assert row.file == f"recordings/{call.workspace_id}/{call.pk}/RE1.wav.sealed"
    assert WAV[:40] not in (media / row.file).read_bytes()
    assert heard(row) == WAV
    assert row.verified_at
    assert (row.problem, row.at_rest) == ("", "envelope")
    assert (row.channels, row.duration_ms, row.size_bytes) == (2, 1000, len(WAV))
    assert row.sha256 == hashlib.sha256(WAV).hexdigest()
    [event] = Event.objects.filter(type="recording.available")
    assert event.data["call_id"] == str(call.pk)
    assert event.data["recording_url"].endswith(f"/api/v1/voice/calls/{call.pk}/recording")


@pytest.mark.parametrize(
    "order", [("in-progress", "completed"), ("completed", "in-progress"), ("completed", "completed")]
)
def test_callbacks_in_any_order(call: Call, order: tuple[str, str]) -> None:
    for status in order:
        row = note(call, status)
    row.refresh_from_db()
    assert row.status == RecordingStatus.PENDING
    assert recording.due() == [row.pk]


def test_fields_of_the_callback(call: Call) -> None:
    row = note(call, RecordingDuration="61", RecordingChannels="2")
    assert (row.duration_ms, row.channels, row.source_url) == (61_000, 2, URL)
    assert row.started_at == datetime(2026, 11, 22, 17, 12, 29, tzinfo=UTC)
    odd = {"RecordingDuration": "x", "RecordingChannels": "-2", "RecordingStartTime": "noon"}
    assert note(call, **odd).duration_ms == 61_000


def test_in_progress_alone_is_not_fetched(call: Call) -> None:
    row = note(call, "in-progress")
    assert recording.due() == []
    assert not recording.fetch(row.pk, get=failing(AssertionError("asked too early")))


def test_absent_is_the_end_of_it(call: Call) -> None:
    note(call, "absent")
    row = note(call, "completed")
    assert (row.status, recording.due()) == (RecordingStatus.ABSENT, [])


def test_callbacks_for_nothing_of_ours(call: Call) -> None:
    other = rows.call(call.workspace, agent=call.agent_version)
    note(call)
    assert note_callback(other.pk, form()) is None
    assert note_callback(call.pk, form(RecordingSid="")) is None
    assert note_callback(call.workspace_id, form(RecordingSid="RE2")) is None
    assert Recording.objects.count() == 1


def test_a_404_at_first_is_patience(call: Call, media: Path) -> None:
    row = note(call)
    for expected in range(1, 4):
        assert not recording.fetch(row.pk, get=failing(CarrierGone("404", http_status=404)))
        row.refresh_from_db()
        assert (row.status, row.attempts) == (RecordingStatus.PENDING, expected)
        assert row.next_at
        assert timedelta() < row.next_at - timezone.now() < timedelta(seconds=5)
        assert not recording.fetch(row.pk, get=giving(WAV)), "not before its time"
        due_now(row)
    assert recording.fetch(row.pk, get=giving(WAV))


def test_patience_ends(call: Call) -> None:
    row = note(call)
    for _ in range(recording.MAX_TRIES):
        due_now(row)
        recording.fetch(row.pk, get=failing(CarrierGone("404", http_status=404)))
    row.refresh_from_db()
    assert (row.status, row.next_at) == (RecordingStatus.FAILED, None)


@pytest.mark.parametrize(
    ("get", "status"),
    [
        (failing(CarrierRejected("403", http_status=403)), "failed"),
        (failing(CarrierThrottled("429", http_status=429)), "pending"),
        (failing(CarrierAmbiguous("502", http_status=502)), "pending"),
        (failing(OSError("disk full")), "pending"),
        (giving(b"<html>not yet</html>"), "pending"),
        (giving(b""), "pending"),
    ],
)
def test_what_is_tried_again(call: Call, media: Path, get: recording.Fetch, status: str) -> None:
    row = note(call)
    assert not recording.fetch(row.pk, get=get)
    row.refresh_from_db()
    assert row.status == status
    assert not list(media.rglob("*.wav*"))


def test_dying_after_the_upload_leaves_one_file(call: Call, media: Path) -> None:
    row = note(call)
    failpoint.arm("recording.stored:raise")
    with pytest.raises(failpoint.FailpointReached):
        recording.fetch(row.pk, get=giving(WAV))
    failpoint.arm("")
    assert not Event.objects.filter(type="recording.available").exists()
    due_now(row)
    assert recording.fetch(row.pk, get=giving(WAV))
    assert len(list(media.rglob("*.wav*"))) == 1


def test_deleted_while_it_is_fetched(call: Call, media: Path) -> None:
    row = note(call)

    def get(url: str, file: BinaryIO) -> int:
        Recording.objects.filter(pk=row.pk).update(status=RecordingStatus.DELETED)
        return giving(WAV)(url, file)

    assert not recording.fetch(row.pk, get=get)
    assert not list(media.rglob("*.wav*"))


def test_retention_counts_from_the_end_of_the_call(call: Call, media: Path) -> None:
    rows.end(call, ago_s=3600)
    row = note(call)
    recording.fetch(row.pk, get=giving(WAV))
    row.refresh_from_db()
    assert row.purge_after
    assert abs(row.purge_after - timezone.now() - timedelta(days=7, hours=-1)) < timedelta(minutes=1)


@pytest.mark.django_db(transaction=True)
def test_fetchers_at_once(call: Call, media: Path) -> None:
    row = note(call)
    results = rows.together(*[lambda: recording.fetch(row.pk, get=giving(WAV))] * 5)
    assert sorted(results) == [False] * 4 + [True]
    assert Event.objects.filter(type="recording.available").count() == 1


STARTED = datetime(2026, 11, 22, 17, 12, 29, tzinfo=UTC)


@pytest.mark.parametrize(("after_s", "kept_ms"), [(1.5, 500), (1.75, 750), (30.0, 1000)])
def test_what_comes_after_an_objection_is_cut_off(
    call: Call, media: Path, after_s: float, kept_ms: int
) -> None:
    Call.objects.filter(pk=call.pk).update(off_record_at=STARTED + timedelta(seconds=after_s))
    row = note(call)
    assert recording.fetch(row.pk, get=giving(WAV))
    row.refresh_from_db()
    assert (row.status, row.duration_ms) == (RecordingStatus.STORED, kept_ms)
    stored = heard(row)
    assert len(stored) == row.size_bytes == 44 + kept_ms * 32
    assert row.sha256 == hashlib.sha256(stored).hexdigest()


def test_of_an_objection_at_once_nothing_is_kept(call: Call, media: Path) -> None:
    Call.objects.filter(pk=call.pk).update(off_record_at=STARTED + timedelta(seconds=0.8))
    row = note(call)
    assert not recording.fetch(row.pk, get=giving(WAV))
    row.refresh_from_db()
    assert (row.status, row.next_at, row.file) == (RecordingStatus.DELETED, None, "")
    assert list(media.rglob("*.wav*")) == []


# --- a storage that takes nothing -------------------------------------------------------------------


def refusing(media: Path) -> None:
    """A file where the folder of recordings should be."""
    (media / "recordings").write_text("in the way")


def test_a_storage_that_takes_nothing_is_waited_for_as_long_as_it_takes(call: Call, media: Path) -> None:
    row = note(call)
    refusing(media)
    waits = []
    for failures in range(1, recording.MAX_TRIES + 6):
        due_now(row)
        assert not recording.fetch(row.pk, get=giving(WAV))
        row.refresh_from_db()
        assert (row.status, row.attempts, row.store_failures) == ("pending", 0, failures)
        assert row.problem == "storage"
        assert row.problem_detail in ("NotADirectoryError", "FileExistsError")
        assert row.next_at
        waits.append((row.next_at - timezone.now()).total_seconds())
    assert waits[0] < 5.1
    assert 400 < waits[-1] < 901
    (media / "recordings").unlink()
    due_now(row)
    assert recording.fetch(row.pk, get=giving(WAV))
    row.refresh_from_db()
    assert (row.status, row.problem, row.store_failures) == ("stored", "", 0)
    assert row.verified_at


def test_without_a_key_nothing_is_stored_in_plain(
    call: Call, media: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> bytes:
        raise vault.Unreadable("the key is not here")

    monkeypatch.setattr(vault, "file_key_id", gone)
    row = note(call)
    assert not recording.fetch(row.pk, get=giving(WAV))
    row.refresh_from_db()
    assert (row.status, row.problem, row.attempts) == ("pending", "key", 0)
    assert not list(media.rglob("*.wav*"))


def test_what_was_written_wrong_is_noticed_before_it_counts(
    call: Call, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that says yes and keeps something else."""
    really: Any = FileSystemStorage._save  # type: ignore[attr-defined]

    def save(self: FileSystemStorage, name: str, content: File) -> str:  # type: ignore[type-arg]
        return str(really(self, name, ContentFile(content.read()[:-100], name=name)))

    row = note(call)
    monkeypatch.setattr(FileSystemStorage, "_save", save)
    assert not recording.fetch(row.pk, get=giving(WAV))
    row.refresh_from_db()
    assert (row.status, row.problem, row.problem_detail) == ("pending", "storage", "recording_altered")
    assert not list(media.rglob("*.wav*"))
    monkeypatch.undo()
    due_now(row)
    assert recording.fetch(row.pk, get=giving(WAV))


# --- whole, or not ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "told", "problem"),
    [
        (WAV, "1", ""),
        (WAV, "2", ""),
        (WAV, "9", "short"),
        (WAV[:-8000], "1", "truncated"),
        (riff(channels=1, audio=b"\0" * 16_000), "1", "one_channel"),
    ],
)
def test_what_is_not_whole_is_kept_and_marked_and_stays_at_the_carrier(
    call: Call, media: Path, data: bytes, told: str, problem: str
) -> None:
    row = note(call, RecordingDuration=told)
    tries = 0
    while not recording.fetch(row.pk, get=giving(data)):
        tries += 1
        assert tries < 9
        row.refresh_from_db()
        assert row.problem == problem
        due_now(row)
    row.refresh_from_db()
    assert tries == (3 if problem in ("short", "truncated") else 0), "it may be whole the next time"
    assert (row.status, row.problem, bool(row.verified_at)) == ("stored", problem, not problem)
    assert list(recording._at_carrier()) == ([] if problem else [row])
    if problem:
        recording_files.accept(row, "user:a")
        assert list(recording._at_carrier()) == [row]


def test_one_that_was_given_up_is_fetched_again_when_somebody_says_so(call: Call, media: Path) -> None:
    row = note(call)
    recording.fetch(row.pk, get=failing(CarrierRejected("403", http_status=403)))
    row.refresh_from_db()
    assert (row.status, row.problem, row.problem_detail) == ("failed", "carrier", "carrier_rejected")
    recording_files.try_again(row, "user:a")
    assert recording.fetch(row.pk, get=giving(WAV))
    row.refresh_from_db()
    with pytest.raises(Conflict):
        recording_files.try_again(row, "user:a")
    assert AuditEntry.objects.filter(action="recording.tried_again").count() == 1
