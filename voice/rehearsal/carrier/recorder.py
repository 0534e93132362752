"""Recordings: started by REST or TwiML, finished with the call, reported by callback, kept packed on disk."""

import asyncio
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from voice.rehearsal import mulaw
from voice.rehearsal.carrier import shapes, tape
from voice.rehearsal.carrier.params import RecordingPlan
from voice.rehearsal.carrier.records import RecordingRecord, new_sid, utc_now

if TYPE_CHECKING:
    from voice.rehearsal.carrier.call import LiveCall
    from voice.rehearsal.carrier.exchange import Exchange


class Recorder:
    def __init__(self, exchange: "Exchange") -> None:
        self._exchange = exchange
        self._work: dict[asyncio.Task[None], str] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def close(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def start(self, live: "LiveCall", plan: RecordingPlan, *, source: str) -> RecordingRecord:
        """Record from the next frame on."""
        recording = RecordingRecord(
            new_sid("RE"), live.record.sid, plan.channels, source, plan.track, plan.callback, trim=plan.trim
        )
        recording.not_found_left = self._exchange.dice.faults.recording_404
        self._exchange.books.recordings[recording.sid] = recording
        live.line.recordings.append(recording)
        if "in-progress" in plan.callback.events:
            self._notify(recording)
        return recording

    def finish(self, live: "LiveCall", recording: RecordingRecord) -> None:
        """Stop recording; the completed callback follows when it has been processed."""
        if recording not in live.line.recordings:
            return
        live.line.recordings.remove(recording)
        recording.status = "processing"
        length_ms = len(recording.remote) // mulaw.BYTES_PER_MS
        recording.duration_s = round(length_ms / 1000)
        recording.date_updated = utc_now()
        task = self._exchange.spawn(self._process(recording, length_ms))
        self._work[task] = recording.call_sid
        task.add_done_callback(self._work.pop)

    def unfinished(self, call_sid: str) -> set[asyncio.Task[None]]:
        return {task for task, sid in self._work.items() if sid == call_sid}

    async def _process(self, recording: RecordingRecord, length_ms: int) -> None:
        dice = self._exchange.dice
        await self._exchange.clock.sleep(self._exchange.options.recording_ready_s)
        if length_ms == 0 or dice.strikes(dice.faults.recording_absent):
            recording.status = "absent"
            recording.duration_s = 0
        else:
            if self._folder is None:  # here and not in a thread: two would make one each, and one be lost
                self._folder = tempfile.TemporaryDirectory(prefix="tenex-carrier-")
            await asyncio.to_thread(self._pack, recording)
            recording.status = "completed"
        recording.date_updated = utc_now()
        if recording.status in recording.callback.events:
            self._notify(recording)

    def _notify(self, recording: RecordingRecord) -> None:
        options = self._exchange.options
        form = {
            "AccountSid": options.account_sid,
            "CallSid": recording.call_sid,
            "RecordingSid": recording.sid,
            "RecordingUrl": self._exchange.recording_url(recording),
            "RecordingStatus": recording.status,
            "RecordingDuration": str(recording.duration_s or 0),
            "RecordingChannels": str(recording.channels),
            "RecordingStartTime": shapes.rfc2822(recording.start_time) or "",
            "RecordingSource": recording.source,
            "RecordingTrack": recording.track,
            "ErrorCode": "0",
        }
        callback = recording.callback
        self._exchange.webhooks.notify(
            callback.url, form, method=callback.method, call_sid=recording.call_sid
        )

    # --- the sound ---------------------------------------------------------------------------------

    def _pack(self, recording: RecordingRecord) -> None:
        """Out of memory, onto the disk: thousands of rehearsed calls must not fill the machine."""
        for name, track in (("remote", recording.remote), ("ours", recording.ours)):
            self._file(recording, name).write_bytes(zlib.compress(bytes(track), 1))
            track.clear()

    def _file(self, recording: RecordingRecord, track: str) -> Path:
        folder = self._folder.name if self._folder is not None else ""
        return Path(folder) / f"{recording.sid}.{track}"

    def wav(self, recording: RecordingRecord, channels: int) -> bytes:
        """A completed recording as WAV. Blocking: call it in a thread."""
        tracks = [zlib.decompress(self._file(recording, name).read_bytes()) for name in ("remote", "ours")]
        return tape.wav(tracks[0], tracks[1], channels)

    def delete(self, recording: RecordingRecord) -> None:
        """The audio is gone, the metadata stay for a while (twilio.md 11)."""
        books = self._exchange.books
        books.recordings.pop(recording.sid, None)
        books.deleted_recordings[recording.sid] = recording
        recording.status = "deleted"
        for name in ("remote", "ours"):
            self._file(recording, name).unlink(missing_ok=True)
