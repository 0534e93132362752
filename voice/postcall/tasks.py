"""Celery doors of post-call. They carry an id, may run any number of times, and hold no rule."""

import uuid

from celery import shared_task

from tenex.lib.storage_faults import StorageFault
from voice.postcall import pipeline
from voice.postcall import recording as recordings
from voice.services import accounts, recording_files
from voice.telephony.errors import CarrierError


@shared_task(name="voice.postcall.finalize")
def finalize(call_id: str) -> None:
    pipeline.finalize(uuid.UUID(call_id))


@shared_task(name="voice.postcall.recording")
def recording(recording_id: str) -> None:
    recordings.fetch(uuid.UUID(recording_id))


@shared_task(
    name="voice.postcall.waveform",
    autoretry_for=(StorageFault,),
    retry_backoff=2,
    retry_backoff_max=60,
    max_retries=8,
)
def waveform(recording_id: str) -> None:
    from voice.postcall import waveform as waveforms  # numpy, which only this needs

    waveforms.make(uuid.UUID(recording_id))


@shared_task(
    name="voice.postcall.delete_recording",
    autoretry_for=(CarrierError,),
    retry_backoff=5,
    retry_backoff_max=60,
    max_retries=20,
)
def delete_recording(recording_id: str) -> None:
    recordings.delete_at_carrier(uuid.UUID(recording_id))


@shared_task(name="voice.postcall.sweep")
def sweep() -> None:
    """Whatever a lost wake-up left behind."""
    pipeline.sweep()
    recordings.wake_due()


@shared_task(name="voice.postcall.clear_carrier")
def clear_carrier() -> None:
    """Copies that the carrier should have deleted already."""
    if accounts.any_usable():
        recordings.clear_carrier()


@shared_task(name="voice.postcall.files")
def files() -> None:
    """Files that should be gone already, and files that were stored before they were read back."""
    recording_files.sweep()
    recording_files.verify_due()
