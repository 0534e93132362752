"""The offline model with ears: what it does with recognized words. Real recognition is in with_ears.py."""

import asyncio
import hashlib
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.rehearsal.offline_model import SILENCE, Client, Script, connected, serving, speech, speech_pcm24
from voice.rehearsal import scenario
from voice.rehearsal.ears import model_files, recognizer, script_fit, word_errors
from voice.rehearsal.ears.port import EarsUnavailable, NotRecognized, Recognized
from voice.rehearsal.ears.script_fit import Line, Place
from voice.rehearsal.ears.whisper import WhisperEars
from voice.rehearsal.model import small_talk

HELLO = "Hello, this is Ava."
TRANSCRIPTION = "conversation.item.input_audio_transcription"


class Dictated:
    """Ears that are told what to understand, turn by turn; None is a turn that they cannot recognize."""

    def __init__(self, *texts: str | None) -> None:
        self.texts = list(texts)
        self.asked: list[tuple[bytes, str]] = []

    async def recognize(self, sound: bytes, audio_format: str) -> Recognized:
        self.asked.append((sound, audio_format))
        text = self.texts.pop(0)
        if text is None:
            raise NotRecognized("too much is waiting")
        return Recognized(text)


async def answered(client: Client) -> str:
    """The words of the next response that is completed."""
    done = await client.until("response.done", lambda event: event["response"]["status"] == "completed")
    return " ".join(
        part["transcript"] for item in done["response"]["output"] for part in item.get("content", [])
    )


async def greeted(client: Client, **session: Any) -> None:
    await client.configure(**session)
    await client.send("response.create", response={"metadata": {"purpose": "greeting"}})
    assert await answered(client) == HELLO
    client.seen.clear()


# --- the session -----------------------------------------------------------------------------------


async def test_recognized_words_are_the_transcript_and_find_the_answer() -> None:
    """The stage is told nothing: the line is found by its words, although two of them are wrong."""
    script = Script([("agent", HELLO), ("caller", "Yes, we need it next month."), ("agent", "Very good.")])
    ears = Dictated("Yes, we needed next month.")
    async with serving(script, ears=ears) as server, connected(server) as client:
        await greeted(client)
        await client.speak()
        assert await answered(client) == "Very good."
        deltas = [event["delta"] for event in client.seen if event["type"] == f"{TRANSCRIPTION}.delta"]
        [completed] = [event for event in client.seen if event["type"] == f"{TRANSCRIPTION}.completed"]
        assert completed["transcript"] == "".join(deltas) == "Yes, we needed next month."
        heard = server.truth["heard"][0]
        assert heard["text"] == "Yes, we needed next month."
        assert heard["recognized_in_ms"] >= 0


async def test_ears_get_the_sound_of_the_turn_and_no_more() -> None:
    """From the padding before the first word to the silence that ended the turn."""
    ears = Dictated("one", "two")
    async with serving(ears=ears) as server, connected(server) as client:
        await client.configure()
        for _ in range(2):
            await client.append(SILENCE * 8 * 3000)  # more than is kept between turns
            await client.speak(tail_ms=900)
            committed = await client.until("conversation.item.added")
            assert committed["item"]["role"] == "user"
            await client.until("response.done")
        for sound, audio_format in ears.asked:
            assert audio_format == "audio/pcmu"
            assert speech()[800:-800] in sound
            assert len(sound) <= len(speech()) + 8 * (300 + 500 + 100)


async def test_pcm_reaches_the_ears_in_its_own_format() -> None:
    ears = Dictated("one")
    async with serving(ears=ears) as server, connected(server) as client:
        await client.configure(input={"format": {"type": "audio/pcm", "rate": 24000}})
        await client.append(bytes(48 * 500) + speech_pcm24() + bytes(48 * 800), chunk=4800)
        await client.until("response.done")
        [(sound, audio_format)] = ears.asked
        assert audio_format == "audio/pcm"
        assert speech_pcm24()[4800:-4800] in sound


async def test_words_that_are_in_no_line_get_small_talk_and_leave_the_script_alone() -> None:
    script = Script([("agent", HELLO), ("caller", "Yes, we need it next month."), ("agent", "Very good.")])
    ears = Dictated("Where did I put my glasses?", "Yes, we need it next month.")
    async with serving(script, ears=ears) as server, connected(server) as client:
        await greeted(client)
        await client.speak()
        assert await answered(client) == small_talk.GO_ON
        await client.speak()
        assert await answered(client) == "Very good."


async def test_nothing_understood_is_an_empty_transcript_and_a_question_back() -> None:
    script = Script([("agent", HELLO), ("caller", "Yes, we need it next month."), ("agent", "Very good.")])
    async with serving(script, ears=Dictated("")) as server, connected(server) as client:
        await greeted(client)
        await client.speak()
        assert await answered(client) == small_talk.PARDON
        [completed] = [event for event in client.seen if event["type"] == f"{TRANSCRIPTION}.completed"]
        assert completed["transcript"] == ""


async def test_a_turn_that_cannot_be_recognized_fails_its_transcript_and_not_the_call() -> None:
    async with serving(ears=Dictated(None, "My name is Walter.")) as server, connected(server) as client:
        await client.configure()
        await client.speak()
        assert await answered(client) == small_talk.PARDON
        assert f"{TRANSCRIPTION}.failed" in client.kinds()
        assert f"{TRANSCRIPTION}.completed" not in client.kinds()
        await client.speak()
        assert await answered(client) == small_talk.CONVERSATION[0]


async def test_a_line_in_two_breaths_is_one_line() -> None:
    """The beginning of a line waits for its rest; both turns keep words of their own."""
    line = "We looked at your robots last month, and we would like to know what they cost."
    script = Script([("agent", HELLO), ("caller", line), ("agent", "Let me see."), ("caller", "Thanks.")])
    ears = Dictated("We looked at your robots last month", "and we would like to know what they cost")
    async with serving(script, scale=4.0, ears=ears) as server, connected(server) as client:
        await greeted(client)
        await client.speak()
        await client.until(f"{TRANSCRIPTION}.completed")
        await client.speak()
        assert await answered(client) == "Let me see."
        texts = [event["transcript"] for event in client.seen if event["type"].endswith("tion.completed")]
        assert texts == ["We looked at your robots last month", "and we would like to know what they cost"]
        ended = [event["response"]["status"] for event in client.seen if event["type"] == "response.done"]
        assert ended == ["cancelled", "completed"]


async def test_half_a_line_is_answered_when_nothing_follows() -> None:
    line = "We looked at your robots last month, and we would like to know what they cost."
    script = Script([("agent", HELLO), ("caller", line), ("agent", "Let me see.")])
    ears = Dictated("We looked at your robots last month")
    async with serving(script, ears=ears) as server, connected(server) as client:
        await greeted(client)
        await client.speak()
        assert await answered(client) == "Let me see."


async def test_a_client_that_makes_its_own_responses_gets_them_after_the_words() -> None:
    """With manual turns: the answer waits for the recognition of what was committed before it."""

    class Slow(Dictated):
        async def recognize(self, sound: bytes, audio_format: str) -> Recognized:
            await asyncio.sleep(0.3)
            return await super().recognize(sound, audio_format)

    script = Script([("agent", HELLO), ("caller", "Yes, we need it next month."), ("agent", "Very good.")])
    ears = Slow("Yes, we need it next month.")
    async with serving(script, ears=ears) as server, connected(server) as client:
        await greeted(client, input={"turn_detection": None})
        await client.append(speech())
        await client.send("input_audio_buffer.commit")
        await client.send("response.create")
        assert await answered(client) == "Very good."
        assert ears.asked == [(speech(), "audio/pcmu")]


# --- which line was it -----------------------------------------------------------------------------


def test_lines_are_found_by_their_words_as_a_whole_and_in_pieces() -> None:
    lines = [Line(1, "Becker here."), Line(3, "No. Please do not call me again, and take my number off.")]
    assert script_fit.find("Backer here.", lines) == Place(1, begun=False)
    assert script_fit.find("no please don't call me again and take my number of", lines) == Place(3, False)
    assert script_fit.find("no, please do not call me", lines) == Place(3, begun=True)
    assert script_fit.find("and take my number off", lines) == Place(3, begun=False)
    assert script_fit.find("What is the weather like in Paris today?", lines) is None
    assert script_fit.find("", lines) is None
    assert script_fit.find("no", lines) is None


def test_packaged_lines_are_not_taken_for_their_neighbors() -> None:
    for name in scenario.names():
        lines = [Line(at, text) for at, text in enumerate(scenario.load(name).lines("caller"))]
        for line in lines:
            others = [other for other in lines[max(0, line.index - 2) : line.index + 3] if other != line]
            assert script_fit.find(line.text, lines[max(0, line.index - 2) :]) == Place(line.index, False)
            assert script_fit.find(line.text, others) is None, line.text


@pytest.mark.parametrize(
    ("said", "heard", "count", "words"),
    [
        ("We need eighty thousand dollars.", "we need $80,000", 0, 5),
        ("one hundred and twenty thousand", "120,000", 0, 4),
        ("about four percent", "About 4%.", 0, 3),
        ("Take that one.", "Take one", 1, 3),
        ("Thanks, bye.", "Thanks a lot, buy!", 3, 2),
        ("Hello there", "", 2, 2),
    ],
)
def test_word_errors(said: str, heard: str, count: int, words: int) -> None:
    assert word_errors.compare(said, heard) == word_errors.Errors(count, words)


# --- the recognizer's model, and its queue ---------------------------------------------------------


def test_sound_of_every_format_becomes_the_same_samples() -> None:
    from_phone = recognizer.to_16k(speech(), "audio/pcmu")
    from_wide = recognizer.to_16k(speech_pcm24(), "audio/pcm")
    assert abs(len(from_phone) - len(from_wide)) <= 4
    assert len(from_phone) == 2 * len(speech())
    assert 0.05 < float(abs(from_phone).max()) <= 1.0
    length = min(len(from_phone), len(from_wide))
    likeness = float((from_phone[:length] * from_wide[:length]).sum())
    assert likeness > 0.8 * float((from_phone**2).sum() * (from_wide**2).sum()) ** 0.5


def test_another_file_than_the_known_one_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in model_files.SHA256:
        (tmp_path / name).write_bytes(b"not the model")
    with pytest.raises(EarsUnavailable, match="is not the model that we know, and is not loaded") as caught:
        recognizer.load(tmp_path, 1)
    assert "model.bin" in caught.value.detail
    assert len(caught.value.detail.splitlines()) == 1
    assert pickle.loads(pickle.dumps(caught.value)).detail == caught.value.detail  # noqa: S301 - our own
    known = hashlib.sha256(b"not the model").hexdigest()
    monkeypatch.setattr(model_files, "SHA256", dict.fromkeys(model_files.SHA256, known))
    assert model_files.read(tmp_path) == dict.fromkeys(model_files.SHA256, b"not the model")
    (tmp_path / "vocabulary.txt").unlink()
    with pytest.raises(EarsUnavailable, match=r"vocabulary.txt cannot be read .* `make offline-voice`"):
        model_files.read(tmp_path)


@pytest.mark.parametrize("missing", ["faster-whisper", "no-such-models"])
@pytest.mark.parametrize("command", [["hear"], ["serve", "--ears=whisper"]])
def test_a_missing_extra_is_one_line(
    command: list[str], missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = None if missing == "faster-whisper" else object()
    monkeypatch.setattr(model_files, "find_spec", lambda _name: found)
    monkeypatch.setattr(model_files, "PACKAGE", "no-such-models")
    with pytest.raises(CommandError) as caught:
        call_command("rehearse", *command)
    assert str(caught.value) == (
        f"recognition needs the package {missing}: install the extra with `make offline-voice`"
    )


async def test_the_queue_is_bounded_and_a_place_is_free_when_the_work_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    going_on = threading.Event()

    def recognize(folder: Path, threads: int, sound: bytes, audio_format: str) -> Recognized:
        going_on.wait(10)
        return Recognized(sound.decode())

    monkeypatch.setattr(model_files, "installed", lambda: tmp_path)
    monkeypatch.setattr(recognizer, "recognize", recognize)
    monkeypatch.setattr(WhisperEars, "_new_pool", lambda _self: ThreadPoolExecutor(1))
    ears = WhisperEars(max_waiting=2)
    first = asyncio.ensure_future(ears.recognize(b"one", "audio/pcmu"))
    second = asyncio.ensure_future(ears.recognize(b"two", "audio/pcmu"))
    await asyncio.sleep(0)
    first.cancel()  # its caller hung up; the recognizer is busy with it all the same
    with pytest.raises(NotRecognized, match="2 turns are waiting"):
        await ears.recognize(b"three", "audio/pcmu")
    going_on.set()
    assert (await second).text == "two"
    assert (await ears.recognize(b"four", "audio/pcmu")).text == "four"
    ears.close()
