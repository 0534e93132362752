"""The agent's voice: the rehearsal's synthesizer in the formats of the Realtime API."""

from voice.rehearsal.model.audio import alaw_decode, ulaw_decode
from voice.rehearsal.speech import AGENT, Speech


def _ulaw_to_alaw() -> bytes:
    """For each µ-law byte the A-law byte that sounds most like it."""
    levels = [(alaw_decode(code), code) for code in range(256)]
    return bytes(min(levels, key=lambda level: abs(level[0] - ulaw_decode(code)))[1] for code in range(256))


_ALAW = _ulaw_to_alaw()


class AgentVoice:
    """A :class:`voice.rehearsal.model.steps.Voice` on top of :class:`voice.rehearsal.speech.Speech`."""

    def __init__(self, speech: Speech) -> None:
        self._speech = speech

    async def speak(self, text: str, audio_format: str) -> bytes:
        """Audio of `text`; rendered lines come from the synthesizer's cache."""
        if audio_format == "audio/pcm":
            return await self._speech.pcm24(text, AGENT)
        sound = await self._speech.mulaw(text, AGENT)
        return sound.translate(_ALAW) if audio_format == "audio/pcma" else sound
