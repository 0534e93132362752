"""The waveform of a recording."""

import io
from pathlib import Path

import pytest
from django.test import Client

from tenex.workspaces.models import Workspace
from tests.pages import desk
from tests.pages.calls.looks import L
from voice.models import Waveform
from voice.postcall import peaks, wav, waveform
from voice.services import recording_files

pytestmark = pytest.mark.django_db


def test_levels_and_the_place_of_the_turns_are_made_once(
    space: Workspace, client: Client, media: Path
) -> None:
    call = desk.judged(space)
    # The agent's turns are at 0.5 s and 6 s of the stream; the recording really began 0.64 s after the whole
    # second that the carrier told, so everything stands earlier in it.
    late = 640
    spans = [(1, 0, 1900 - late), (0, 2500 - late, 5000 - late), (1, 6000 - late, 7000 - late)]
    row = desk.recorded(call, desk.wav(spans, 12_000))
    assert client.get(f"{L}/{call.pk}/peaks").status_code == 202
    assert waveform.make(row.pk)
    assert not waveform.make(row.pk), "once"
    answer = client.get(f"{L}/{call.pk}/peaks")
    levels = answer.content
    assert (len(levels), answer["X-Peaks-Per-Second"]) == (2 * 12 * 50, "50")
    assert [levels[2 * step] > 0 for step in (50, 120, 300)] == [False, True, False]
    assert [levels[2 * step + 1] > 0 for step in (20, 120, 290)] == [True, False, True]
    assert abs(int(answer["X-Offset-Ms"]) + late) <= 40
    recording_files.delete(row, "user:x")
    assert not Waveform.objects.exists()
    assert client.get(f"{L}/{call.pk}/peaks").status_code == 410


def test_a_file_that_is_no_sound_has_no_waveform_but_says_so(
    space: Workspace, client: Client, media: Path
) -> None:
    call = desk.judged(space)
    row = desk.recorded(call, b"not a wav at all")
    assert waveform.make(row.pk)
    assert client.get(f"{L}/{call.pk}/peaks").json()["state"] == "failed"


def test_levels_of_one_channel_and_of_a_law(tmp_path: Path) -> None:
    mulaw = bytes([0x80]) * 8000  # the loudest code
    header = (
        b"RIFF" + (36 + len(mulaw)).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
        + (7).to_bytes(2, "little") + (1).to_bytes(2, "little") + (8000).to_bytes(4, "little") * 2
        + (1).to_bytes(2, "little") + (8).to_bytes(2, "little") + b"data" + len(mulaw).to_bytes(4, "little")
    )  # fmt: skip
    found = peaks.levels(io.BytesIO(header + mulaw), len(header) + len(mulaw))
    assert found.shape == (50, 2)
    assert found[:, 0].min() > 240
    assert not found[:, 1].any()
    with pytest.raises(wav.NotWav):
        peaks.levels(io.BytesIO(b"RIFFxxxxWAVE"), 12)


def test_without_clear_beginnings_the_guess_stays() -> None:
    noise = peaks.levels(io.BytesIO(desk.wav([(1, 0, 20_000)], 20_000)), 10**6)
    assert peaks.offset_ms(noise, [500, 6000], 137) == 137
    assert peaks.offset_ms(noise, [], 5) == 5
