"""I5: who objects to being recorded is not kept: no byte of sound, no word of a transcript, from then on.

They say so in some language, or the model's own tool says it for them; then they tell a secret, and the agent
repeats it. Meanwhile the model's connection is lost, or our media socket with everything that its process
knew, or the carrier refuses to stop recording. Afterwards every row of every table, the logs, the files and
the broker are searched for the secret, and the recording that the carrier made all the same is fetched.
"""

import asyncio
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from tests.prove.live_mind import PlainMind
from tests.prove.live_system import LiveSystem, main, run_live, until
from voice.rehearsal.model.steps import Cue, Say, Step, UseTool

if TYPE_CHECKING:
    from tests.prove.called_phone import CalledPhone

_SCALE = 2.0
_AT_ONCE = 8
WAYS = ("word", "tool", "model lost", "socket lost", "carrier records on")
_WORDS = (
    "Please don't record me.",
    "I do not want to be recorded.",
    "Stop recording, please.",
    "Ich möchte nicht aufgezeichnet werden.",
    "No quiero ser grabado.",
    "Ne m'enregistrez pas.",
    "Non mi registrate.",
)
CALLERS_SECRET, AGENTS_SECRET = "Quetzalcoatl", "Popocatepetl"
_RECORDED_S = 40
"""What a carrier that goes on recording has in the end."""


@dataclass
class Trial:
    phone: "CalledPhone"
    way: str
    objected_at: float = 0.0
    told: bool = False
    problem: str = ""


class _Mind(PlainMind):
    def hear(self, speech_ms: float | None) -> str | None:
        super().hear(speech_ms)
        number = int(self.remote[-4:])
        if self.remote not in OBJECTED:
            OBJECTED.add(self.remote)
            return (
                "Well, hm." if _way_of(self.remote) == "tool" else _WORDS[number // len(WAYS) % len(_WORDS)]
            )
        return f"My secret is {CALLERS_SECRET}."


OBJECTED: set[str] = set()
"""Who has said it: a model that comes back after a loss hears the secret."""


def _way_of(remote: str) -> str:
    return WAYS[int(remote[-4:]) % len(WAYS)]


def _script(mind: PlainMind, cue: Cue) -> list[Step]:
    if mind.remote not in OBJECTED:
        return [Say("Nice to meet you.")]
    if _way_of(mind.remote) == "tool" and not mind.outputs:
        return [UseTool("stop_recording", {})]
    return [Say(f"I see: it is {AGENTS_SECRET}.")]


def prove(full: bool) -> dict[str, Any]:
    rounds = 60 if full else 2
    return run_live(
        lambda system: _body(system, rounds),
        scale=_SCALE,
        script=_script,
        mind=_Mind,
        worker=True,
        tools=("stop_recording",),
        settings={"LOG_LEVEL": "WARNING"},
        workspace={"legal_name": "Acme", "recording_consent": "announce"},
    )


async def _body(system: LiveSystem, rounds: int) -> dict[str, Any]:
    trials = []
    for number in range(rounds * len(WAYS)):
        phone = system.called(f"+1415{number:07d}")
        trials.append(Trial(phone, _way_of(phone.remote)))
    for first in range(0, len(trials), _AT_ONCE):
        some = trials[first : first + _AT_ONCE]
        for trial in some:  # not earlier: the sweep hangs up on what rings too long
            await trial.phone.prepare()
        await asyncio.gather(*(_one(system, trial) for trial in some))
    ids = [trial.phone.call_id for trial in trials if trial.phone.call_id]
    unfinished = len(ids)
    deadline = asyncio.get_running_loop().time() + 60
    while unfinished and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.5)
        unfinished = await system.rows(lambda: _unfinished(ids))
    kept_ms = 0
    for trial in trials:
        kept_ms += await system.rows(lambda trial=trial: _fetch(trial))  # type: ignore[misc]
    found = await system.rows(_found_in_rows)
    found |= {"log": _found_in_text(system.server.log_path)}
    broken = [trial for trial in trials if trial.problem]
    return {
        "trials": len(trials),
        "violations": len(broken) + unfinished + sum(found.values()),
        "secrets_told": sum(trial.told for trial in trials),
        "not_finished": unfinished,
        "found": {place: count for place, count in found.items() if count},
        "recorded_before_the_objection_ms": kept_ms,
        "problems": sorted({f"{trial.way}: {trial.problem}" for trial in broken})[:8],
    }


async def _one(system: LiveSystem, trial: Trial) -> None:
    phone, loop = trial.phone, asyncio.get_running_loop()
    system.ring(phone)
    await until(lambda: phone.first("agent") is not None, 25)
    await until(lambda: "started" in phone.recording, 3)
    await until(lambda: not phone.sounding, 8)
    phone.speak(0.7)
    if not await until(lambda: "stopped" in phone.recording, 12):
        trial.problem = "the carrier was not told to stop"
    trial.objected_at = phone.recording.get("stopped", loop.time())
    for _ in range(2):  # what was lost must have been written: an instant, as long as a write takes
        await asyncio.sleep(0.4)
        if trial.way == "model lost":
            for session in system.sessions_of(phone):
                _lose(session)
        elif trial.way == "socket lost" and phone._ws is not None:
            phone._ws.transport.abort()
        await until(lambda: not phone.sounding, 8)
        await asyncio.sleep(1.5)
        phone.speak(0.8)
        trial.told |= await until(_answered(phone, loop.time()), 12)
    await phone.end("caller")
    if not trial.told:
        trial.problem = trial.problem or "the secret was not told: nothing was tried"


def _answered(phone: "CalledPhone", since: float) -> Callable[[], bool]:
    return lambda: any(sound.what == "agent" and sound.at > since for sound in phone.sounds)


def _lose(session: Any) -> None:
    from voice.rehearsal.model.faults import Armed, Fault, strike

    if session.truth.open:
        strike(session, Armed(Fault.DROP_RST))


def _unfinished(ids: list[uuid.UUID]) -> int:
    from voice.models import Call, CallStatus

    return len(ids) - Call.objects.filter(pk__in=ids, status=CallStatus.FINALIZED).count()


def _found_in_rows() -> dict[str, int]:
    """Rows in which a secret is, by table: whatever the columns are. And the broker's memory."""
    import redis
    from django.conf import settings
    from django.db import connection

    found = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(
                f'SELECT count(*) FROM "{table}" AS r WHERE r::text ~* %s',  # noqa: S608 - names of ours
                [f"{CALLERS_SECRET}|{AGENTS_SECRET}"],
            )
            found[table] = int(cursor.fetchone()[0])
    broker = redis.Redis.from_url(settings.REDIS_URL)
    for key in broker.scan_iter():
        value = broker.dump(key) or b""
        found["broker"] = found.get("broker", 0) + (CALLERS_SECRET.encode() in value)
    return found


def _found_in_text(path: Path) -> int:
    text = path.read_text(errors="replace")
    return text.count(CALLERS_SECRET) + text.count(AGENTS_SECRET)


def _fetch(trial: Trial) -> int:
    """Bring in what a carrier has that went on recording to the end; how much of it was kept, in ms.

    Its sound is silence up to the objection and loud from there on.
    """
    from email.utils import format_datetime

    from voice.models import Call, Recording
    from voice.postcall import recording
    from voice.services import recording_store, recordings

    call = Call.objects.get(provider_sid=trial.phone.sid)
    if call.off_record_at is None:
        trial.problem = trial.problem or "the objection is not on the call"
        return 0
    started = datetime.fromtimestamp(trial.phone.wall(trial.phone.recording["started"]), tz=UTC)
    quiet_s = trial.phone.wall(trial.objected_at) - started.timestamp()
    data = _wav(int(quiet_s * _SCALE * 8000))
    form = {
        "RecordingSid": "RE" + trial.phone.sid[2:],
        "RecordingUrl": "http://127.0.0.1/recording",
        "RecordingStatus": "completed",
        "RecordingStartTime": format_datetime(started.replace(microsecond=0)),
        "RecordingDuration": str(_RECORDED_S),
    }
    row = recordings.note_callback(call.pk, form)
    assert row is not None
    recording.fetch(row.pk, get=lambda url, file: _give(data, file))
    row = Recording.objects.get(pk=row.pk)
    if not row.file:
        return 0
    with recording_store.opened(recording_store.of(row)) as file:
        kept = file.read()
    recording_store.delete(row.file)
    if kept[44:].strip(b"\xff"):
        trial.problem = trial.problem or "sound after the objection was kept"
    if row.duration_ms is None or abs((len(kept) - 44) / 16 - row.duration_ms) > 1:
        trial.problem = trial.problem or "the length of what was kept is wrong"
    return row.duration_ms or 0


def _wav(quiet_samples: int) -> bytes:
    """Two channels of µ-law: silence, then a noise to the end."""
    total = _RECORDED_S * 8000
    audio = b"\xff" * (2 * quiet_samples) + b"\x12" * (2 * (total - quiet_samples))
    layout = struct.pack("<HHIIHH", 7, 2, 8000, 16_000, 2, 8)
    body = b"fmt " + struct.pack("<I", len(layout)) + layout + b"data" + struct.pack("<I", len(audio)) + audio
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body


def _give(data: bytes, file: BinaryIO) -> int:
    file.write(data)
    return len(data)


if __name__ == "__main__":
    main("I5", prove)
