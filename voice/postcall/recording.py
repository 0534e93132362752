"""Fetching recordings from the carrier into our storage.

The call's verdict does not wait for it: a recording that comes late is attached and announced when it comes.
"""

import hashlib
import tempfile
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import BinaryIO

import structlog
from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from tenex.events import services as events
from tenex.lib import backoff, failpoint
from tenex.lib.wake import wake
from voice.models import Call, Recording, RecordingStatus
from voice.postcall import wav
from voice.services import accounts, retention
from voice.services.recordings import purge_after
from voice.services.timing import scaled
from voice.telephony.errors import CarrierError, CarrierGone, CarrierRejected

log = structlog.get_logger(__name__)

MAX_TRIES = 12
"""Ten minutes and more of asking; Twilio has the file seconds after its callback (twilio.md 11)."""
_FIRST_S = 1.0
_LONGEST_S = 120.0
_LEASE = timedelta(seconds=180)
_CARRIER_AGAIN_S = 240.0

Fetch = Callable[[str, BinaryIO], int]
"""Writes the WAV of a recording's URL into a file and returns its length."""


def fetch(recording_id: uuid.UUID, *, get: Fetch | None = None) -> bool:
    """Try to bring one recording in; False if it is not due, not there yet, or could not be had.

    Safe to run any number of times at once: the try is claimed by a conditional UPDATE.
    """
    now = timezone.now()
    claimed = Recording.objects.filter(
        pk=recording_id, status=RecordingStatus.PENDING, next_at__lte=now
    ).update(next_at=now + _LEASE, attempts=F("attempts") + 1)
    if not claimed:
        return False
    row = Recording.objects.select_related("call__workspace").get(pk=recording_id)
    try:
        with tempfile.TemporaryFile() as file:
            size = get(row.source_url, file) if get else _from_carrier(row, file)
            file.seek(0)
            return _store(row, file, size)
    except CarrierRejected as exc:
        # 404 just after the callback is the carrier's habit; any other refusal stays one.
        _again_or_fail(row, exc.code, final=not (isinstance(exc, CarrierGone) or exc.http_status == 404))
    except CarrierError as exc:
        _again_or_fail(row, exc.code)
    except wav.NotWav as exc:
        _again_or_fail(row, f"not-wav: {exc}")
    except OSError as exc:  # disk or object store
        _again_or_fail(row, type(exc).__name__)
    return False


def delete_at_carrier(recording_id: uuid.UUID) -> None:
    """Delete the carrier's copy of a recording that we have, or do not want; one that is gone is fine.

    Raises:
        CarrierError: it could not be deleted now; the task is tried again.
    """
    row = _at_carrier().select_related("call").filter(pk=recording_id).first()
    if row is None:
        return
    try:
        accounts.carrier_of(row.workspace_id, row.call.account_sid).delete_recording(row.provider_sid)
    except CarrierGone:
        log.info("recording was gone at the carrier", call_id=str(row.call_id))
    Recording.objects.filter(pk=row.pk).update(carrier_deleted_at=timezone.now())


def _at_carrier() -> "QuerySet[Recording]":
    """Recordings whose copy at the carrier is to go: deleted here, or stored here."""
    unwanted = Q(status=RecordingStatus.DELETED)
    if settings.DELETE_RECORDINGS_AT_CARRIER:
        unwanted |= Q(status=RecordingStatus.STORED)
    else:
        unwanted |= Q(status=RecordingStatus.STORED, call__off_record_at__isnull=False)
    return Recording.objects.filter(unwanted, carrier_deleted_at=None)


def clear_carrier(limit: int = 100) -> int:
    """Delete copies at the carrier whose wake-up was lost, or that it would not delete at first; how many."""
    now, cleared = timezone.now(), 0
    free = Q(next_at=None) | Q(next_at__lte=now)
    for pk in _at_carrier().filter(free).order_by("created_at").values_list("pk", flat=True)[:limit]:
        claimed = Recording.objects.filter(free, pk=pk).update(next_at=now + scaled(_CARRIER_AGAIN_S))
        try:
            if claimed:
                delete_at_carrier(pk)
                cleared += 1
        except CarrierError as exc:
            log.warning("recording not deleted at the carrier", recording_id=str(pk), code=exc.code)
            continue
        Recording.objects.filter(pk=pk).exclude(status=RecordingStatus.PENDING).update(next_at=None)
    return cleared


def due(limit: int = 100) -> list[uuid.UUID]:
    """Recordings whose next try has come."""
    rows = Recording.objects.filter(status=RecordingStatus.PENDING, next_at__lte=timezone.now())
    return list(rows.order_by("next_at").values_list("pk", flat=True)[:limit])


def _from_carrier(row: Recording, file: BinaryIO) -> int:
    carrier = accounts.carrier_of(row.workspace_id, row.call.account_sid)
    return carrier.fetch_recording(row.source_url, file)


def _store(row: Recording, file: BinaryIO, size: int) -> bool:
    info = wav.read_header(file, size)
    keep_ms = _keep_ms(row)
    if keep_ms is not None and keep_ms < info.duration_ms:
        if keep_ms <= 0:
            return _unwanted(row)
        size = wav.shorten(file, info, keep_ms)
        file.seek(0)
        info = wav.read_header(file, size)
    file.seek(0)
    digest = _sha256(file)
    file.seek(0)
    name = f"recordings/{row.workspace_id}/{row.call_id}/{row.provider_sid}.wav"
    # A try that died after the upload left its file under this name; storages would make up another one.
    default_storage.delete(name)
    stored = default_storage.save(name, File(file, name=name))
    failpoint.hit("recording.stored")
    if _attach(row, stored, info, size, digest):
        log.info("recording stored", call_id=str(row.call_id), size_bytes=size, tries=row.attempts)
        return True
    if not Recording.objects.filter(file=stored).exists():
        default_storage.delete(stored)  # deleted while we fetched it
    return False


def _keep_ms(row: Recording) -> int | None:
    """How much of the recording may be kept: all (None), none, or what is older than an objection to it.

    The carrier was told to stop then; whether it did, and when, is not left to it. It tells the start in
    whole seconds, so a second less is kept.
    """
    if row.call.purged == retention.ALL:
        return 0  # a callback that came after its words, or its person, were to be forgotten
    objected_at = row.call.off_record_at
    if objected_at is None:
        return None
    started_at = row.started_at or row.call.answered_at or row.call.created_at
    kept = (objected_at - started_at - timedelta(seconds=1)).total_seconds()
    return max(0, int(kept * 1000 * settings.TIME_SCALE))


def _unwanted(row: Recording) -> bool:
    """Nothing of it may be kept."""
    with transaction.atomic():
        Recording.objects.filter(pk=row.pk, status=RecordingStatus.PENDING).update(
            status=RecordingStatus.DELETED, next_at=None
        )
        wake("voice.postcall.delete_recording", str(row.pk))
    log.info("recording not kept: it was objected to", call_id=str(row.call_id))
    return False


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _attach(row: Recording, stored: str, info: wav.WavInfo, size: int, digest: str) -> bool:
    """Row and event, once."""
    with transaction.atomic():
        call = Call.objects.select_related("workspace").get(pk=row.call_id)
        changed = Recording.objects.filter(pk=row.pk, status=RecordingStatus.PENDING).update(
            status=RecordingStatus.STORED,
            file=stored,
            channels=info.channels,
            duration_ms=info.duration_ms,
            size_bytes=size,
            sha256=digest,
            next_at=None,
            purge_after=purge_after(call),
        )
        if not changed:
            return False
        wake("voice.postcall.waveform", str(row.pk))
        wake("voice.postcall.delete_recording", str(row.pk))
        url = f"{settings.PUBLIC_BASE_URL}/api/v1/voice/calls/{call.pk}/recording"
        events.record(
            workspace_id=row.workspace_id,
            type="recording.available",
            data={
                "recording_id": str(row.pk),
                "call_id": str(call.pk),
                "lead_id": str(call.lead_id) if call.lead_id else None,
                "channels": info.channels,
                "duration_ms": info.duration_ms,
                "size_bytes": size,
                "sha256": digest,
                "recording_url": url,
            },
            call_id=call.pk,
            once=str(row.pk),
        )
    return True


def _again_or_fail(row: Recording, why: str, *, final: bool = False) -> None:
    over = final or row.attempts >= MAX_TRIES
    wait_s = backoff.delay_s(row.attempts, first_s=_FIRST_S, longest_s=_LONGEST_S) / settings.TIME_SCALE
    Recording.objects.filter(pk=row.pk, status=RecordingStatus.PENDING).update(
        status=RecordingStatus.FAILED if over else RecordingStatus.PENDING,
        next_at=None if over else timezone.now() + timedelta(seconds=wait_s),
    )
    log.warning("recording not fetched", call_id=str(row.call_id), why=why, tries=row.attempts, given_up=over)


def wake_due() -> None:
    """Wake a fetch for whatever is due."""
    for recording_id in due():
        wake("voice.postcall.recording", str(recording_id))
