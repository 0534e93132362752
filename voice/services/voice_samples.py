"""How a voice profile sounds: the first words of an outbound call, as a file that a browser plays."""

import base64
import io
import uuid
import wave
from dataclasses import dataclass

from django.conf import settings

from tenex.workspaces.models import Workspace
from voice.models import CredentialKind, VoiceProfile
from voice.opening import sound
from voice.opening.wording import Wish, compose
from voice.services import entrusted, model_access
from voice.wire import g711

_RATE_HZ = 8000


@dataclass(frozen=True, slots=True)
class Sample:
    """What is to be said, by whom."""

    text: str
    speaker: sound.Speaker


def of(workspace: Workspace, profile: VoiceProfile) -> Sample:
    """The words that every outbound call with this voice begins with.

    Raises:
        vault.Unreadable: the workspace has a key of its own that cannot be opened.
    """
    wording = compose(Wish(caller=workspace.legal_name or workspace.name, language=profile.language))
    speaker = sound.Speaker(
        language=wording.language,
        language_name=wording.language_name,
        voice=profile.voice,
        speed=profile.speed,
        access=model_access.of(workspace.pk),
    )
    return Sample(wording.opening["identity"], speaker)


def is_own_voice(workspace_id: uuid.UUID) -> bool:
    """Whether there is a key for a speech endpoint; without one the packaged voice stands in."""
    shared = bool(settings.OPENAI_API_KEY)
    return bool(settings.SPEECH_MODEL) and (shared or entrusted.has(workspace_id, CredentialKind.OPENAI))


def wav(sample: Sample) -> bytes:
    """A WAV file in phone quality; seconds long the first time, kept in the storage then. Never on a loop.

    Raises:
        NoVoice: nobody here speaks that language.
    """
    pcm = g711.mulaw_to_pcm16(base64.b64decode(sound.ensure(sample.text, sample.speaker)))
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(_RATE_HZ)
        out.writeframes(pcm)
    return file.getvalue()
