"""Files of recordings afterwards: into envelopes, read back, and gone when they should be."""

import hashlib
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage
from django.core.management import CommandError, call_command
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from tenex.errors import Conflict
from tenex.lib.storage_faults import StorageFault
from tenex.workspaces.models import Workspace
from tests import rows
from tests.postcall.test_pure import riff
from voice.models import Call, Recording
from voice.services import recording_files as files
from voice.services import recording_store as store
from voice.services import retention

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]
PAST = datetime(2026, 1, 1, tzinfo=UTC)
WAV = riff(audio=bytes(range(256)) * 1000)


@pytest.fixture
def space() -> Workspace:
    return rows.workspace()


def plain(space: Workspace, number: int = 1, data: bytes = WAV, **fields: object) -> Recording:
    """As recordings were stored before there were envelopes."""
    call = Call.objects.filter(workspace=space).first() or rows.call(space)
    name = default_storage.save(f"recordings/{number}.wav", ContentFile(data))
    return Recording.objects.create(
        **{
            "workspace": space, "call": call, "provider_sid": f"RE{number}", "source_url": "u",
            "status": "stored", "file": name, "channels": 2, "size_bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(), **fields,
        }
    )  # fmt: skip


def heard(row: Recording) -> bytes:
    row.refresh_from_db()
    with store.opened(store.of(row)) as file:
        return file.read()


@pytest.fixture
def stubborn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A storage that deletes nothing; the names that it was asked for."""
    asked: list[str] = []

    def delete(self: FileSystemStorage, name: str) -> None:
        asked.append(name)
        raise PermissionError(name)

    monkeypatch.setattr(FileSystemStorage, "delete", delete)
    return asked


def test_old_ones_go_into_envelopes_and_sound_the_same(space: Workspace, media: Path) -> None:
    old = [plain(space, number) for number in range(1, 6)]
    assert heard(old[0]) == WAV
    out = io.StringIO()
    call_command("recordings", "encrypt", "--step", "2", stdout=out)
    assert "5 encrypted, 0 are not what was stored" in out.getvalue()
    assert [heard(row) for row in old] == [WAV] * 5
    for row in old:
        assert (row.at_rest, row.leftovers) == ("envelope", [])
        assert row.verified_at
    assert {path.suffix for path in media.rglob("*") if path.is_file()} == {".sealed"}
    assert not any(WAV[50:90] in path.read_bytes() for path in media.rglob("*.sealed"))


def test_encrypting_goes_on_where_it_was(space: Workspace) -> None:
    old = [plain(space, number) for number in range(1, 4)]
    call_command("recordings", "encrypt", "--most", "2", stdout=io.StringIO())
    assert files.plain(space).count() == 1
    call_command("recordings", "encrypt", stdout=io.StringIO())
    assert files.plain(space).count() == 0
    assert [heard(row) for row in old] == [WAV] * 3


def test_a_plain_file_that_would_not_go_is_not_forgotten(
    space: Workspace, media: Path, stubborn: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = plain(space)
    was = row.file
    really = store._save
    monkeypatch.setattr(store, "_save", _saved)
    files.seal(row)
    assert heard(row) == WAV
    assert row.leftovers == [was]
    assert (media / was).exists()
    assert files.sweep() == 0
    monkeypatch.undo()
    assert (really, files.sweep()) == (store._save, 1)
    row.refresh_from_db()
    assert row.leftovers == []
    assert not (media / was).exists()


def _saved(name: str, file: object) -> str:
    """Without deleting first, which this storage does not do."""
    return default_storage.save(name, ContentFile(file.read(), name=name))  # type: ignore[attr-defined]


def test_one_that_is_not_what_was_stored_is_marked_and_not_sealed(space: Workspace, media: Path) -> None:
    good, bad, gone = plain(space, 1), plain(space, 2), plain(space, 3)
    (media / bad.file).write_bytes(WAV[:-1] + b"x")
    (media / gone.file).unlink()
    assert files.seal_some(10, space) == (1, 2)
    for row in (good, bad, gone):
        row.refresh_from_db()
    assert [row.problem for row in (good, bad, gone)] == ["", "altered", "missing"]
    assert files.seal_some(10, space) == (0, 0), "they are not tried for ever"


def test_deleted_while_it_is_sealed(space: Workspace, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = plain(space)
    really = store.check

    def check(*given: object) -> None:
        really(*given)  # type: ignore[arg-type]
        Recording.objects.filter(pk=row.pk).update(status="deleted", file="")

    monkeypatch.setattr(store, "check", check)
    assert not files.seal(row)
    assert not list(media.rglob("*.sealed"))


def test_without_envelopes_nothing_is_sealed(space: Workspace, settings: Settings) -> None:
    settings.RECORDING_ENCRYPTION = "off"
    plain(space)
    with pytest.raises(Conflict):
        files.seal_some(1)
    with pytest.raises(CommandError, match="no_envelope"):
        call_command("recordings", "encrypt")


def test_a_sealed_file_of_another_recording_does_not_open(space: Workspace, media: Path) -> None:
    mine, other = plain(space, 1), plain(space, 2)
    files.seal_some(2)
    mine.refresh_from_db()
    other.refresh_from_db()
    (media / mine.file).write_bytes((media / other.file).read_bytes())
    with pytest.raises(store.Altered):
        heard(mine)


def test_a_sealed_file_that_was_cut_off_does_not_open(space: Workspace, media: Path) -> None:
    row = plain(space)
    files.seal(row)
    row.refresh_from_db()
    path = media / row.file
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(store.Altered):
        heard(row)
    assert not files.verify(row)
    row.refresh_from_db()
    assert row.problem == "altered"


def test_the_ones_from_before_are_read_back_before_the_carrier_deletes(space: Workspace, media: Path) -> None:
    right, wrong = plain(space, 1), plain(space, 2)
    done = plain(space, 3, carrier_deleted_at=PAST)
    (media / wrong.file).write_bytes(WAV[:-1] + b"x")
    assert files.verify_due() == 1
    for row in (right, wrong, done):
        row.refresh_from_db()
    assert [bool(row.verified_at) for row in (right, wrong, done)] == [True, False, False]
    assert wrong.problem == "altered"
    assert list(files.unverified()) == []


def test_a_file_that_would_not_go_is_deleted_later(
    space: Workspace,
    media: Path,
    monkeypatch: pytest.MonkeyPatch,
    stubborn: list[str],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    row = plain(space)
    was = row.file
    with django_capture_on_commit_callbacks(execute=True):
        assert files.delete(row, "user:a")
    row.refresh_from_db()
    assert (row.status, row.file, row.leftovers) == ("deleted", "", [was])
    assert stubborn == [was]
    with pytest.raises(StorageFault):
        files.clear_leftovers(row.pk)
    monkeypatch.undo()
    assert files.sweep() == 1
    assert not (media / was).exists()
    assert files.sweep() == 0


def test_retention_takes_both_files_of_one_that_was_just_sealed(space: Workspace, media: Path) -> None:
    call = rows.end(rows.call(space), ago_s=40 * 86_400)
    Call.objects.filter(pk=call.pk).update(
        status="finalized", outcome="undetermined", finalized_at=call.ended_at
    )
    row = plain(space, purge_after=PAST)
    left = default_storage.save("recordings/left.wav", ContentFile(WAV))
    Recording.objects.filter(pk=row.pk).update(leftovers=[left])
    assert retention.purge(space)["recordings"] == 1
    assert not [path for path in media.rglob("*") if path.is_file()]
