"""The picture of a recording: made once after it is stored, or when an old one is looked at."""

import uuid

import structlog
from django.utils import timezone

from tenex.lib.storage_faults import FileMissing
from voice.models import Recording, RecordingStatus, Speaker, Turn, Waveform
from voice.postcall import peaks, wav
from voice.selectors import call_clock
from voice.selectors.calls import is_past
from voice.services import recording_files
from voice.services import recording_store as store

log = structlog.get_logger(__name__)


def make(recording_id: uuid.UUID) -> bool:
    """Compute and keep the levels of a stored recording; False if there is nothing to do.

    Any number of times: whoever comes second writes the same.

    Raises:
        StorageFault: the storage cannot be read now; the task is tried again.
    """
    row = Recording.objects.select_related("call").filter(pk=recording_id).first()
    if row is None or row.status != RecordingStatus.STORED or is_past(row):
        return False
    if Waveform.objects.filter(recording=row).exists():
        return False
    found, problem = peaks.levels_of_nothing(), ""
    try:
        with store.opened(store.of(row)) as file:
            found = peaks.levels(file, store.size_of(store.of(row)))
    except wav.NotWav as exc:
        problem = str(exc)[:80]
    except (FileMissing, store.Altered) as exc:
        problem = exc.detail[:80]
        recording_files.note_broken(row, exc)
    made = {
        "peaks": found.tobytes(),
        "peaks_per_s": peaks.PER_S,
        "offset_ms": _offset_ms(row, found),
        "problem": problem,
        "made_at": timezone.now(),
    }
    Waveform.objects.update_or_create(recording=row, defaults=made)
    # Deleted while it was read: its levels go too.
    Waveform.objects.filter(recording=row).exclude(recording__status=RecordingStatus.STORED).delete()
    log.info("waveform made", call_id=str(row.call_id), steps=len(found), problem=problem)
    return True


def _offset_ms(row: Recording, found: peaks.Levels) -> int:
    later = call_clock.shifts(row.call)
    turns = Turn.objects.filter(call=row.call, speaker=Speaker.AGENT).exclude(heard_text="")
    starts = [
        start + later.get(item, 0)
        for item, start in turns.order_by("position").values_list("item_id", "start_ms")
    ]
    channel = 1 if (row.channels or 2) > 1 else 0
    return peaks.offset_ms(found, starts, call_clock.guess_ms(row), channel=channel)
