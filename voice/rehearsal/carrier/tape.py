"""Recordings: two µ-law tracks become a WAV file (16 bit, 8 kHz), mono or with one person a channel."""

import io
import wave

import numpy as np

from voice.rehearsal import mulaw
from voice.rehearsal.carrier.records import RecordingRecord


def feed(recording: RecordingRecord, remote: bytes, ours: bytes) -> None:
    """Add one frame of both sides (same length). `track` leaves one side silent, a pause skips or mutes."""
    if recording.paused == "skip":
        return
    silent = mulaw.SILENT_FRAME if recording.paused else None
    recording.remote += silent or (remote if recording.track != "outbound" else mulaw.SILENT_FRAME)
    recording.ours += silent or (ours if recording.track != "inbound" else mulaw.SILENT_FRAME)


def wav(remote_track: bytes, our_track: bytes, channels: int) -> bytes:
    """Two µ-law tracks as a WAV file. Channel 1 is the remote person, channel 2 what our side played."""
    remote, ours = mulaw.decode(remote_track), mulaw.decode(our_track)
    if channels == 2:
        samples = np.column_stack((remote, ours))
    else:
        mixed = remote.astype(np.int32) + ours.astype(np.int32)
        samples = np.clip(mixed, -32768, 32767).astype(np.int16)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(mulaw.RATE_HZ)
        out.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()
