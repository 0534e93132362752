"""G.711 tables and length arithmetic, against the definition and known values."""

import base64

import pytest

from voice.wire import g711


def samples(pcm: bytes) -> list[int]:
    return [int.from_bytes(pcm[i : i + 2], "little", signed=True) for i in range(0, len(pcm), 2)]


def test_known_values_of_mulaw() -> None:
    # ITU-T G.711, table 2a: both zeros, both ends, the smallest step
    assert samples(g711.mulaw_to_pcm16(b"\xff\x7f\x00\x80\xfe\x7e")) == [0, 0, -32124, 32124, 8, -8]


def test_known_values_of_alaw() -> None:
    assert samples(g711.alaw_to_pcm16(b"\xd5\x55\x2a\xaa")) == [8, -8, -32256, 32256]


def test_every_code_survives_the_round_trip() -> None:
    codes = bytes(range(256))
    back = g711.pcm16_to_mulaw(g711.mulaw_to_pcm16(codes))
    assert back == codes.replace(b"\x7f", b"\xff")  # minus zero becomes zero


def test_the_nearest_code_is_chosen_and_loud_samples_are_clipped() -> None:
    levels = sorted(samples(g711.mulaw_to_pcm16(bytes(range(256)))))
    for value in (-32768, -32767, -20_000, -999, -1, 0, 1, 33, 999, 20_000, 32767):
        (got,) = samples(g711.mulaw_to_pcm16(g711.pcm16_to_mulaw(value.to_bytes(2, "little", signed=True))))
        best = min(abs(level - value) for level in levels)
        step = max(8, abs(value) // 16)
        assert abs(got - value) <= best + step / 2


def test_silence_is_the_code_of_zero() -> None:
    assert g711.pcm16_to_mulaw(b"\0\0")[0] == g711.MULAW_SILENCE


def test_an_odd_byte_is_dropped() -> None:
    assert g711.pcm16_to_mulaw(b"\0\0\1") == bytes([g711.MULAW_SILENCE])


@pytest.mark.parametrize("size", [1, 2, 3, 79, 80, 160, 161, 162, 4000])
def test_the_length_of_base64_is_known_without_decoding(size: int) -> None:
    text = base64.b64encode(bytes(size)).decode()
    assert g711.base64_bytes(text) == size
    assert g711.base64_ms(text) == size / 8
    assert g711.base64_ms(text, g711.PCM24K_BYTES_PER_MS) == size / 48
    assert g711.is_base64(text)


@pytest.mark.parametrize(
    "text",
    ["", "A", "AB", "ABC", "AB=C", "A===", "====", "=AAA", "AA=A", "AAAA=", "AA\nA", 'AA"A', "AA\\A",
     "AA-_", "ÄAAA", "AAA\ud800", "AAA ", "A A ", "AAA=AAAA", "AA==AA==", "AA=AAAA="],
)  # fmt: skip
def test_what_is_not_base64(text: str) -> None:
    assert not g711.is_base64(text)
