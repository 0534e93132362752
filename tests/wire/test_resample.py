"""8 kHz µ-law <-> 24 kHz PCM16, streaming: no clicks at joints, nothing lost, nothing left over."""

import base64
import math

import numpy as np
import pytest

from voice.wire import g711
from voice.wire.resample import ModelToPhone, PhoneToModel


def tone(hz: int, rate: int, seconds: float) -> np.ndarray:
    return (12_000 * np.sin(2 * math.pi * hz * np.arange(int(rate * seconds)) / rate)).astype("<i2")


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def level_db(signal: np.ndarray, hz: int, rate: int) -> tuple[float, float]:
    """Power of `hz` and of everything else, in dB relative to full scale."""
    n = len(signal)
    t = np.arange(n) / rate
    x = signal.astype(float) / 32768
    basis = np.stack([np.sin(2 * math.pi * hz * t), np.cos(2 * math.pi * hz * t)], axis=1)
    fit = basis @ np.linalg.lstsq(basis, x, rcond=None)[0]
    return (
        10 * math.log10(float(np.mean(fit**2)) + 1e-12),
        10 * math.log10(float(np.mean((x - fit) ** 2)) + 1e-12),
    )


@pytest.mark.parametrize("hz", [200, 1000, 3000])
@pytest.mark.parametrize("chunk", [160, 37])
def test_a_tone_goes_up_and_down_in_chunks_without_clicks(hz: int, chunk: int) -> None:
    mulaw = g711.pcm16_to_mulaw(tone(hz, 8000, 1.0).tobytes())
    up, down = PhoneToModel(), ModelToPhone()
    out, total_ms = bytearray(), 0.0
    for start in range(0, len(mulaw), chunk):
        text, ms = down.feed(up.feed(b64(mulaw[start : start + chunk])))
        out += base64.b64decode(text)
        total_ms += ms
    assert total_ms == len(out) / 8
    got = np.frombuffer(g711.mulaw_to_pcm16(bytes(out)), dtype="<i2")[800:-800]
    signal, noise = level_db(got, hz, 8000)
    assert abs(signal - level_db(tone(hz, 8000, 1.0), hz, 8000)[0]) < 1.0
    assert signal - noise > 30  # two passes of µ-law; a click or a wrong joint is far above that


def test_flush_returns_what_the_filter_holds_and_starts_anew() -> None:
    down = ModelToPhone()
    pcm = tone(440, 24_000, 0.5).tobytes()
    _, first = down.feed(b64(pcm))
    _, rest = down.flush()
    assert first + rest == pytest.approx(500, abs=1)
    assert down.flush()[1] == pytest.approx(0, abs=1)


def test_half_a_sample_waits_for_its_other_half() -> None:
    whole, split = ModelToPhone(), ModelToPhone()
    pcm = tone(440, 24_000, 0.2).tobytes()
    expected = base64.b64decode(whole.feed(b64(pcm))[0]) + base64.b64decode(whole.flush()[0])
    got = b"".join(base64.b64decode(split.feed(b64(part))[0]) for part in (pcm[:1001], pcm[1001:]))
    got += base64.b64decode(split.flush()[0])
    assert len(got) == len(expected)
    one, other = (np.frombuffer(g711.mulaw_to_pcm16(x), dtype="<i2").astype(int) for x in (got, expected))
    assert np.max(np.abs(one - other)) <= 512  # the filter dithers: at most one step of µ-law


def test_after_clear_nothing_of_the_old_audio_is_heard() -> None:
    down = ModelToPhone()
    down.feed(b64(tone(440, 24_000, 0.5).tobytes()))
    down.clear()
    text, _ = down.feed(b64(bytes(24_000)))
    assert set(g711.mulaw_to_pcm16(base64.b64decode(text))) <= {0, 8, 255, 248}
