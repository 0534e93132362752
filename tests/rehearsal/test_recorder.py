"""Recordings of the offline carrier."""

import asyncio
import io
import tempfile
import time
import wave
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tenex.lib.clock import Clock
from voice.rehearsal import mulaw
from voice.rehearsal.carrier import tape
from voice.rehearsal.carrier.faults import Dice
from voice.rehearsal.carrier.options import CarrierOptions
from voice.rehearsal.carrier.params import RecordingPlan
from voice.rehearsal.carrier.recorder import Recorder
from voice.rehearsal.carrier.records import CallbackPlan


async def test_calls_that_end_at_the_same_moment_all_keep_their_sound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Slow(tempfile.TemporaryDirectory[str]):
        def __init__(self, *args: Any, **options: Any) -> None:
            time.sleep(0.05)
            super().__init__(*args, **options)

    monkeypatch.setattr(tempfile, "TemporaryDirectory", Slow)
    exchange = SimpleNamespace(
        dice=Dice(1),
        clock=Clock(1000),
        options=CarrierOptions(),
        books=SimpleNamespace(recordings={}, deleted_recordings={}),
        spawn=asyncio.ensure_future,
    )
    recorder = Recorder(cast(Any, exchange))
    live: Any = SimpleNamespace(record=SimpleNamespace(sid="CA1"), line=SimpleNamespace(recordings=[]))
    plan = RecordingPlan(2, "both", trim=False, callback=CallbackPlan(events=frozenset()))
    made = [recorder.start(live, plan, source="test") for _ in range(4)]
    for number, recording in enumerate(made, 1):
        for _ in range(number):
            tape.feed(recording, mulaw.SILENT_FRAME, mulaw.SILENT_FRAME)
        recorder.finish(live, recording)
    await asyncio.gather(*recorder.unfinished("CA1"))
    frames = []
    for recording in made:
        with wave.open(io.BytesIO(recorder.wav(recording, 2))) as file:
            frames.append(file.getnframes())
    assert frames == [160, 320, 480, 640]
    recorder.close()
