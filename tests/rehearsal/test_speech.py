"""Sound: the µ-law tables, rendered lines, the cache."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from voice.rehearsal import mulaw, speech
from voice.rehearsal.speech import Speech


def test_mulaw_is_g711() -> None:
    assert [mulaw.encode(np.array([value], dtype=np.int16))[0] for value in (0, -1, 32767, -32768)] == [
        0xFF, 0x7F, 0x80, 0x00,
    ]  # fmt: skip
    codes = bytes(range(256))
    again = mulaw.encode(mulaw.decode(codes))
    assert again == codes.replace(b"\x7f", b"\xff")  # minus zero becomes zero
    samples = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
    error = np.abs(mulaw.decode(mulaw.encode(samples)).astype(np.int32) - samples)
    half_step = (np.abs(samples.astype(np.int32)) + 132) // 32 + 1
    assert (error <= np.where(np.abs(samples.astype(np.int32)) > 32_635, 700, half_step)).all()


async def test_a_line_is_rendered_once_in_both_forms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    voice = speech.caller_voice("+14155550101")
    first = Speech(tmp_path)
    narrow = await first.mulaw("Good morning.", voice)
    wide = await first.pcm24("Good morning.", voice)
    assert 300 < len(narrow) / 8 < 3000
    assert abs(len(narrow) / 8 - len(wide) / 48) < 5
    loud = mulaw.decode(narrow).astype(np.int32)
    assert 10_000 < np.abs(loud).max() < 25_000
    first.close()
    second = Speech(tmp_path)
    monkeypatch.setattr(second, "_synthesize", None)
    assert await second.mulaw("Good morning.", voice) == narrow
    second.close()


async def test_a_line_may_be_asked_for_twice_at_once(tmp_path: Path) -> None:
    rendered = Speech(tmp_path)
    first, *others = await asyncio.gather(*(rendered.mulaw("At once.", speech.AGENT) for _ in range(8)))
    assert others == [first] * 7
    rendered.close()
    assert _files(tmp_path) == 1


def _files(folder: Path) -> int:
    return len(list(folder.iterdir()))


async def test_voices_differ_in_pitch_and_not_in_pace(tmp_path: Path) -> None:
    rendered = Speech(tmp_path)
    line = "This is a line of some length, to be told apart."
    lengths = {}
    pitches = {}
    for voice in (speech.AGENT, *speech.CALLERS):
        sound = mulaw.decode(await rendered.mulaw(line, voice)).astype(float)
        lengths[voice.name] = len(sound)
        pitches[voice.name] = _pitch_hz(sound)
    rendered.close()
    assert max(lengths.values()) / min(lengths.values()) < 1.35
    by_pitch = sorted((speech.AGENT, *speech.CALLERS), key=lambda voice: voice.pitch)
    measured = [pitches[voice.name] for voice in by_pitch]
    assert measured == sorted(measured)


def _pitch_hz(sound: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
    """Median over voiced frames of the strongest period between 100 and 400 Hz."""
    found = []
    for start in range(0, len(sound) - 640, 320):
        frame = sound[start : start + 640]
        if np.abs(frame).mean() < 800:
            continue
        frame = frame - frame.mean()
        auto = np.correlate(frame, frame, "full")[639:]
        lag = 20 + int(np.argmax(auto[20:80]))
        found.append(8000 / lag)
    return float(np.median(found))


def test_a_number_keeps_its_voice() -> None:
    assert speech.caller_voice("+14155550101") is speech.caller_voice("+14155550101")
    assert {speech.caller_voice(f"+1415555010{n}") for n in range(4)} == set(speech.CALLERS)
    assert speech.caller_voice("anonymous") in speech.CALLERS
