"""Our own lines as sound: 8 kHz µ-law, made once and kept in the storage under a hash of words and voice.

Made by the speech endpoint of the configured OpenAI server, in the agent's own voice, or by the packaged
voice, which speaks English. Blocking, and seconds long the first time: never on an event loop, and before
anybody is dialed.
"""

import base64
import hashlib
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from tenex.errors import Unavailable
from tenex.lib import storage_faults
from tenex.monitoring import counts
from voice.wire import g711
from voice.wire.model_access import ModelAccess

if TYPE_CHECKING:
    from openai.types.audio.speech_create_params import VoiceID

log = structlog.get_logger(__name__)

_FOLDER: Final = "lines"
_REVISION: Final = "1"
"""Part of every key: raise it when the sound of the same words changes."""
_RATE_HZ: Final = 24_000
_PEAK: Final = 0.7
_TAIL_MS: Final = 120
_MAX_KEPT: Final = 256
_TIMEOUT_S: Final = 15.0
_QUIET_S: Final = 60.0
"""After a failure the endpoint is left alone for so long: five lines must not wait for it five times."""
_PACKAGED: Final = "en"
_COUNTED: Final = {result: counts.MODEL_REQUESTS.labels("speech", result) for result in ("ok", "unavailable")}

_kept: OrderedDict[str, str] = OrderedDict()
_lock = threading.Lock()
_rendering = threading.Lock()
_quiet_until: dict[ModelAccess, float] = {}
"""One breaker a process and key: a workspace whose key is refused keeps nobody else from the endpoint."""


class NoVoice(Unavailable):
    """No voice for this language could be had."""

    code = "no_voice"


@dataclass(frozen=True, slots=True)
class Speaker:
    """How a line is to sound."""

    language: str
    """ISO 639-1."""
    language_name: str
    voice: str
    speed: float = 1.0
    access: ModelAccess = field(default_factory=ModelAccess)
    """With whose key the speech endpoint is asked."""

    @property
    def engine(self) -> str:
        """Which of the two voices is asked first."""
        return "openai" if settings.SPEECH_MODEL and self.access.api_key else "packaged"


def ensure(text: str, speaker: Speaker, *, best: bool = False) -> str:
    """The line as base64 µ-law: from memory, from the storage, or made now.

    `best`: not content with the packaged voice where the agent's own could be had by now.

    Raises:
        NoVoice: nobody here speaks that language.
    """
    for engine in _engines(speaker):
        found = _look(_key(text, speaker, engine))
        if found is not None:
            return found
        if best and not _is_quiet(speaker.access):
            break
    with _rendering:  # one at a time: whoever waited finds it
        return _make(text, speaker)


def ms(payload: str) -> float:
    return g711.base64_ms(payload)


def _is_quiet(access: ModelAccess) -> bool:
    until = _quiet_until.get(access, 0.0)
    if until and until <= time.monotonic():
        _quiet_until.pop(access, None)
        return False
    return bool(until)


def _engines(speaker: Speaker) -> tuple[str, ...]:
    if speaker.engine == "packaged":
        return ("packaged",) if speaker.language == _PACKAGED else ()
    return ("openai", "packaged") if speaker.language == _PACKAGED else ("openai",)


def _make(text: str, speaker: Speaker) -> str:
    for engine in _engines(speaker):
        key = _key(text, speaker, engine)
        if (found := _look(key)) is not None:
            return found
        if engine == "openai" and _is_quiet(speaker.access):
            continue
        try:
            raw = _by_openai(text, speaker) if engine == "openai" else by_package(text)
        except Exception as exc:  # an SDK, a network or a synthesizer: another voice may do
            log.warning(
                "line not rendered", engine=engine, language=speaker.language, error=type(exc).__name__
            )
            if engine == "openai":
                _COUNTED["unavailable"].inc()
                _quiet_until[speaker.access] = time.monotonic() + _QUIET_S
            continue
        if engine == "openai":
            _COUNTED["ok"].inc()
        _store(key, raw)
        return _keep(key, raw)
    raise NoVoice(f"no voice speaks {speaker.language_name} here")


def _key(text: str, speaker: Speaker, engine: str) -> str:
    voice = f"{settings.SPEECH_MODEL}|{speaker.voice}|{speaker.speed}" if engine == "openai" else "packaged"
    parts = f"{_REVISION}|{engine}|{voice}|{speaker.language}|{text}"
    return hashlib.sha256(parts.encode("utf-8", "replace")).hexdigest()


# --- memory and storage ---------------------------------------------------------------------------


def _look(key: str) -> str | None:
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    name = f"{_FOLDER}/{key}.ulaw"
    try:
        if not default_storage.exists(name):
            return None
        with default_storage.open(name, "rb") as file:
            return _keep(key, file.read())
    except storage_faults.faults() as exc:
        log.warning("line not read", error=type(exc).__name__)
        return None


def _keep(key: str, raw: bytes) -> str:
    payload = base64.b64encode(raw).decode("ascii")
    with _lock:
        _kept[key] = payload
        while len(_kept) > _MAX_KEPT:
            _kept.popitem(last=False)
    return payload


def _store(key: str, raw: bytes) -> None:
    """For the other processes; without it each of them makes its own."""
    name = f"{_FOLDER}/{key}.ulaw"
    try:
        if not default_storage.exists(name):
            default_storage.save(name, ContentFile(raw, name=name))
    except storage_faults.faults() as exc:
        log.warning("line not stored", error=type(exc).__name__)


# --- voices ---------------------------------------------------------------------------------------


def _by_openai(text: str, speaker: Speaker) -> bytes:
    """`POST /audio/speech`: 16-bit PCM, 24 kHz, mono."""
    from openai import OpenAI

    client = OpenAI(**speaker.access.sdk(), timeout=_TIMEOUT_S, max_retries=1)
    with client:
        own: VoiceID = {"id": speaker.voice}
        voice = own if speaker.voice.startswith("voice_") else speaker.voice
        answer = client.audio.speech.create(
            model=settings.SPEECH_MODEL,
            voice=voice,
            input=text,
            instructions=f"Speak {speaker.language_name}, clearly and friendly, at a normal pace.",
            response_format="pcm",
            speed=speaker.speed,
        )
        pcm = answer.content
    if len(pcm) < _RATE_HZ // 5:
        raise ValueError("hardly any sound")
    return _phone(pcm[: len(pcm) // 2 * 2])


def by_package(text: str) -> bytes:
    """English by the packaged voice, as telephone µ-law at an even loudness."""
    import numpy as np

    from voice.opening import packaged

    sound = packaged.speak(text.replace("AI", "A.I."))
    peak = max(1e-6, float(np.abs(sound).max(initial=0.0)))
    pcm = (np.clip(sound * (_PEAK / peak), -1, 1) * 32_767).astype("<i2").tobytes()
    return _phone(pcm)


def _phone(pcm24: bytes) -> bytes:
    """24 kHz PCM to telephone µ-law with a short silence behind."""
    import numpy as np
    import soxr

    samples = np.frombuffer(pcm24, dtype="<i2").astype(np.float32) / 32_768
    phone = soxr.resample(samples, _RATE_HZ, 8_000, quality="HQ")
    pcm = (np.clip(phone, -1, 1) * 32_767).astype("<i2").tobytes()
    return g711.pcm16_to_mulaw(pcm) + bytes([g711.MULAW_SILENCE]) * (g711.BYTES_PER_MS * _TAIL_MS)
