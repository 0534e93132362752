"""Fetching recordings from the carrier into our storage.

The call's verdict does not wait for it: a recording that comes late is attached and announced when it comes.
What is stored is read back before it counts: the carrier's copy is not deleted for a file that is not sure to
be whole. A storage that takes nothing is waited for as long as the recording may be kept; the carrier has it.
"""

import tempfile
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import BinaryIO

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Least
from django.utils import timezone

from tenex.errors import TenexError
from tenex.events import services as events
from tenex.lib import backoff, failpoint
from tenex.lib.storage_faults import FileMissing, StorageFault
from tenex.lib.wake import wake
from tenex.workspaces.services import vault
from voice.models import Call, Recording, RecordingProblem, RecordingStatus
from voice.postcall import wav
from voice.services import accounts, retention
from voice.services import recording_store as store
from voice.services.recording_store import Stored
from voice.services.recordings import purge_after
from voice.services.timing import scaled
from voice.telephony.errors import CarrierError, CarrierGone, CarrierRejected

log = structlog.get_logger(__name__)

MAX_TRIES = 12
"""Ten minutes and more of asking; Twilio has the file seconds after its callback (twilio.md 11)."""
_FIRST_S = 1.0
_LONGEST_S = 120.0
_LEASE = timedelta(seconds=300)
"""Longer than a storage that answers slowly takes for all that is asked of it."""
_CARRIER_AGAIN_S = 240.0
_STORE_FIRST_S = 5.0
_STORE_LONGEST_S = 900.0
_DOUBTFUL_TRIES = 4
"""So often a file that is shorter than it should be is fetched anew; then it is kept as it is, and marked."""
_TOLD_WITHIN_MS = 1500
"""Carriers tell lengths in whole seconds."""
_TOLD_WITHIN_SHARE = 0.01

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
        final = not (isinstance(exc, CarrierGone) or exc.http_status == 404)
        _again_or_fail(row, RecordingProblem.CARRIER, exc.code, final=final)
    except CarrierError as exc:
        _again_or_fail(row, RecordingProblem.CARRIER, exc.code)
    except wav.NotWav as exc:
        _again_or_fail(row, RecordingProblem.NOT_WAV, str(exc))
    except vault.Unreadable as exc:
        _not_taken(row, RecordingProblem.KEY, exc.code)
    except (StorageFault, FileMissing, store.Altered) as exc:
        _not_taken(row, RecordingProblem.STORAGE, getattr(exc, "reason", exc.code))
    except OSError as exc:  # no room for the temporary file
        _not_taken(row, RecordingProblem.STORAGE, type(exc).__name__)
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
    ours = Q(status=RecordingStatus.STORED, verified_at__isnull=False)
    if not settings.DELETE_RECORDINGS_AT_CARRIER:
        ours &= Q(call__off_record_at__isnull=False)
    # Theirs has what was said after an objection, so it goes whatever ours is like.
    objected = Q(status=RecordingStatus.STORED, call__off_record_at__isnull=False)
    unwanted = Q(status=RecordingStatus.DELETED) | ours | objected
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
    problem, detail = _doubt(row, info)
    if problem in _MAY_PASS and row.attempts < _DOUBTFUL_TRIES:
        _again_or_fail(row, problem, detail)
        return False
    keep_ms = _keep_ms(row)
    if keep_ms is not None and keep_ms < info.duration_ms:
        if keep_ms <= 0:
            return _unwanted(row)
        size = wav.shorten(file, info, keep_ms)
        file.seek(0)
        info = wav.read_header(file, size)
    file.seek(0)
    digest = store.digest(file)
    stored = store.put(row, f"recordings/{row.workspace_id}/{row.call_id}/{row.provider_sid}.wav", file, size)
    failpoint.hit("recording.stored")
    try:
        store.check(stored, digest)
    except TenexError:
        store.delete(stored.name)
        raise
    if _attach(row, stored, info, digest, problem, detail):
        log.info("recording stored", call_id=str(row.call_id), size_bytes=size, tries=row.attempts)
        return True
    if not Recording.objects.filter(file=stored.name).exists():
        store.delete(stored.name)  # deleted while we fetched it
    return False


_MAY_PASS = frozenset({RecordingProblem.TRUNCATED, RecordingProblem.SHORT})


def _doubt(row: Recording, info: wav.WavInfo) -> tuple[RecordingProblem, str]:
    """What speaks against these bytes being the whole recording of both sides."""
    if info.missing_bytes:
        return RecordingProblem.TRUNCATED, f"{info.missing_bytes} bytes"
    told_ms = row.told_ms
    if told_ms is not None:
        off_ms = info.duration_ms - told_ms
        if abs(off_ms) > _TOLD_WITHIN_MS + told_ms * _TOLD_WITHIN_SHARE:
            return RecordingProblem.SHORT, f"{info.duration_ms} ms instead of {told_ms}"
    if info.channels != 2:
        return RecordingProblem.ONE_CHANNEL, f"{info.channels}"
    return RecordingProblem.NONE, ""


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


def _attach(
    row: Recording, stored: Stored, info: wav.WavInfo, digest: str, problem: RecordingProblem, detail: str
) -> bool:
    """Row and event, once."""
    with transaction.atomic():
        call = Call.objects.select_related("workspace").get(pk=row.call_id)
        changed = Recording.objects.filter(pk=row.pk, status=RecordingStatus.PENDING).update(
            status=RecordingStatus.STORED,
            file=stored.name,
            at_rest=stored.at_rest,
            key_id=stored.key_id,
            channels=info.channels,
            duration_ms=info.duration_ms,
            size_bytes=stored.size,
            sha256=digest,
            verified_at=None if problem else timezone.now(),
            problem=problem,
            problem_detail=detail[:80],
            store_failures=0,
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
                "size_bytes": stored.size,
                "sha256": digest,
                "recording_url": url,
            },
            call_id=call.pk,
            once=str(row.pk),
        )
    return True


def _again_or_fail(row: Recording, problem: RecordingProblem, detail: str, *, final: bool = False) -> None:
    over = final or row.attempts >= MAX_TRIES
    wait_s = backoff.delay_s(row.attempts, first_s=_FIRST_S, longest_s=_LONGEST_S)
    Recording.objects.filter(pk=row.pk, status=RecordingStatus.PENDING).update(
        status=RecordingStatus.FAILED if over else RecordingStatus.PENDING,
        next_at=None if over else timezone.now() + scaled(wait_s),
        problem=problem,
        problem_detail=detail[:80],
    )
    log.warning(
        "recording not fetched",
        call_id=str(row.call_id),
        problem=problem,
        why=detail,
        tries=row.attempts,
        given_up=over,
    )


def _not_taken(row: Recording, problem: RecordingProblem, detail: str) -> None:
    """Our own trouble costs none of the tries: the carrier keeps the recording until we have it."""
    failures = row.store_failures + 1
    wait_s = backoff.delay_s(failures, first_s=_STORE_FIRST_S, longest_s=_STORE_LONGEST_S)
    Recording.objects.filter(pk=row.pk, status=RecordingStatus.PENDING).update(
        next_at=timezone.now() + scaled(wait_s),
        attempts=F("attempts") - 1,
        store_failures=Least(F("store_failures") + 1, 30_000),
        problem=problem,
        problem_detail=detail[:80],
    )
    log.error(
        "recording not stored, kept at the carrier",
        call_id=str(row.call_id),
        problem=problem,
        why=detail,
        failures=failures,
    )


def wake_due() -> None:
    """Wake a fetch for whatever is due."""
    for recording_id in due():
        wake("voice.postcall.recording", str(recording_id))
