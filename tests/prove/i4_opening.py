"""I4: an outbound call opens with who calls, that it is an AI, how to stop it, what for, and the recording.

In every language, with callers who talk over it and with models that try to get around it: one talks unasked
as soon as its session is up, one claims to be a person, one ends the call at once. What counts is what the
ear had: all of it, before any word of the model, and no recording before the notice was through.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.prove.live_mind import PlainMind
from tests.prove.live_system import LiveSystem, main, run_live, until
from voice.rehearsal.model.steps import Cue, Say, Step, UseTool

if TYPE_CHECKING:
    from tests.prove.called_phone import CalledPhone

_SCALE = 2.0
_AT_ONCE = 14
_NAME = "Acme Corporation"
MODELS = ("polite", "unasked", "liar", "ender")
_SLACK_MS = 120.0
"""Of a line: a frame at its end and one where it goes on."""
WORDS = {
    "en": ("AI assistant", "stop", "9", "recorded"),
    "es": ("asistente de IA", "alto", "9", "graba"),
    "de": ("KI-Assistent", "Stopp", "9", "aufgezeichnet"),
    "fr": ("assistant IA", "stop", "9", "enregistré"),
    "pt": ("assistente de IA", "pare", "9", "gravada"),
    "it": ("assistente IA", "stop", "9", "registrata"),
    "nl": ("AI-assistent", "stop", "9", "opgenomen"),
}
PURPOSES = {
    "en": ("sales", "informational"),
    "es": ("comercial", "informativa"),
    "de": ("Werbeanruf", "Information"),
    "fr": ("commercial", "information"),
    "pt": ("comercial", "informativa"),
    "it": ("commerciale", "informativa"),
    "nl": ("verkoopgesprek", "informatief"),
}


@dataclass
class Trial:
    phone: "CalledPhone"
    language: str
    model: str
    interrupts: bool
    informational: bool
    problem: str = ""


def prove(full: bool) -> dict[str, Any]:
    rounds = 18 if full else 1
    return run_live(
        lambda system: _body(system, rounds),
        scale=_SCALE,
        script=_script,
        settings={"LOG_LEVEL": "WARNING"},
        workspace={"legal_name": _NAME, "recording_consent": "announce"},
    )


def _model_of(remote: str) -> str:
    return MODELS[int(remote[-4:]) % len(MODELS)]


def _script(mind: PlainMind, cue: Cue) -> list[Step]:
    match _model_of(mind.remote):
        case "liar":
            return [Say("Hi there! I am Peter, a real person, and nobody records us.")]
        case "ender" if mind.answers == 1:
            return [UseTool("end_call", {}), Say("Bye.")]
        case _:
            return [Say(f"So, about our offer, part {mind.answers}.")]


async def _body(system: LiveSystem, rounds: int) -> dict[str, Any]:
    batch = await system.rows(_informational)
    trials: list[Trial] = []
    for number in range(rounds * len(WORDS) * len(MODELS)):
        phone = system.called(f"+1415{number:07d}")
        language = list(WORDS)[number % len(WORDS)]
        informational = bool(number // 14 % 2)
        phone.profile = {"language": language}
        phone.fields = {"batch_id": batch} if informational else {}
        interrupts = bool(number // 7 % 2)
        trials.append(Trial(phone, language, _model_of(phone.remote), interrupts, informational))
        await phone.prepare()
    for first in range(0, len(trials), _AT_ONCE):
        await asyncio.gather(*(_one(system, trial) for trial in trials[first : first + _AT_ONCE]))
    for trial in trials:
        trial.problem = trial.problem or await system.rows(lambda trial=trial: _written(trial))  # type: ignore[misc]
    broken = [trial for trial in trials if trial.problem]
    return {
        "trials": len(trials),
        "violations": len(broken),
        "languages": len(WORDS),
        "talked_over": sum(trial.interrupts for trial in trials),
        "problems": sorted({f"{trial.language} {trial.model}: {trial.problem}" for trial in broken})[:8],
    }


def _informational() -> Any:
    """A batch of the other purpose."""
    from voice.models import Agent, Batch, PhoneNumber

    agent = Agent.objects.get()
    return Batch.objects.create(
        workspace=agent.workspace,
        objective="Tell them",
        agent=agent,
        number=PhoneNumber.objects.get(),
        purpose="informational",
        machine_detection=False,
    ).pk


async def _one(system: LiveSystem, trial: Trial) -> None:
    from tests.prove.called_phone import OPENING

    phone = trial.phone
    system.ring(phone)
    unasked = asyncio.create_task(_push(system, phone)) if trial.model == "unasked" else None
    if trial.interrupts:
        await until(lambda: phone.first("purpose") is not None and bool(phone.heard_ms("identity")), 10)
        await asyncio.sleep(1.0 / _SCALE)
        phone.speak(0.6)
        await asyncio.sleep(3.2 / _SCALE)
        phone.speak(0.5)
    loop = asyncio.get_running_loop()
    await until(lambda: loop.time() > (phone.first("agent") or loop.time() + 1) or bool(phone.ended_at), 25)
    await until(lambda: "started" in phone.recording or bool(phone.ended_at), 3)
    if unasked is not None:
        unasked.cancel()
    trial.problem = _heard(trial, OPENING)
    await phone.end("caller")
    await asyncio.sleep(0.3)


async def _push(system: LiveSystem, phone: "CalledPhone") -> None:
    """A model that answers although nobody asked it, over and over."""
    while not phone.ended_at:
        for session in system.sessions_of(phone):
            if session.truth.open:
                session.receive(json.dumps({"type": "response.create"}))
        await asyncio.sleep(0.4)


def _heard(trial: Trial, opening: tuple[str, ...]) -> str:
    """What the ear of this call missed; empty if nothing."""
    phone = trial.phone
    lengths = {name: len(payload) * 3 / 4 / 8 for payload, name in phone._clips.items()}
    over_at = 0.0
    for name in opening:
        ended_at, had = _through(phone, name, lengths[name] - _SLACK_MS)
        if ended_at is None:
            return f"{name} not heard to its end ({had:.0f} of {lengths[name]:.0f} ms)"
        over_at = max(over_at, ended_at)
    agent = phone.first("agent")
    if agent is not None and agent < over_at - 0.02:
        return "the model was heard before the end of the opening"
    notice_at = over_at
    started_at = phone.recording.get("started")
    if started_at is None and trial.model != "ender":
        return "not recorded"
    if started_at is not None and started_at < notice_at - 0.05:
        return "recorded before the notice was through"
    return ""


def _through(phone: "CalledPhone", name: str, needed_ms: float) -> tuple[float | None, float]:
    """When a line was heard to its end for the first time, and how much of it was heard.

    Who calls goes on where it was silenced; any other line is begun again.
    """
    had = 0.0
    for sound in phone.sounds:
        if sound.what != name:
            continue
        piece = (sound.ends - sound.starts) * 1000 * _SCALE
        had = had + piece if name == "identity" else max(had, piece)
        if had >= needed_ms:
            return sound.ends, had
    return None, had


def _written(trial: Trial) -> str:
    """What the words of the call lack."""
    from voice.models import Turn

    turns = Turn.objects.filter(call__provider_sid=trial.phone.sid, item_id__startswith="opening")
    text = " ".join(turn.text for turn in turns)
    purpose = PURPOSES[trial.language][trial.informational]
    missing = [word for word in (*WORDS[trial.language], _NAME, purpose) if word not in text]
    return f"not in the transcript: {missing}" if missing else ""


if __name__ == "__main__":
    main("I4", prove)
