"""What the server remembers: sessions with their truth, and the faults that wait."""

from collections import deque
from dataclasses import dataclass, field

from aiohttp import web

from tenex.lib.clock import Clock
from voice.rehearsal.ears.port import Ears
from voice.rehearsal.model.faults import Faults
from voice.rehearsal.model.mind import Minds
from voice.rehearsal.model.options import Options
from voice.rehearsal.model.session import RealtimeSession
from voice.rehearsal.model.steps import Voice
from voice.rehearsal.model.transcription import TranscriptionSession

_KEPT_SESSIONS = 1000


@dataclass(slots=True)
class OfflineModel:
    """`sessions` holds open and past ones, newest last."""

    minds: Minds
    voice: Voice
    clock: Clock
    options: Options
    ears: Ears | None = None
    """None: what was said is told by the scenario."""
    faults: Faults = field(default_factory=Faults)
    sessions: dict[str, RealtimeSession] = field(default_factory=dict)
    transcriptions: dict[str, TranscriptionSession] = field(default_factory=dict)
    dictation: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_SESSIONS))
    """What is said next in transcription sessions, a text a turn."""

    def remember(self, session: RealtimeSession) -> None:
        self.sessions[session.id] = session
        while len(self.sessions) > _KEPT_SESSIONS:
            del self.sessions[next(iter(self.sessions))]

    def remember_transcription(self, session: TranscriptionSession) -> None:
        self.transcriptions[session.id] = session
        while len(self.transcriptions) > _KEPT_SESSIONS:
            del self.transcriptions[next(iter(self.transcriptions))]

    @property
    def open_sessions(self) -> list[RealtimeSession]:
        return [session for session in self.sessions.values() if session.truth.open]


MODEL = web.AppKey("offline_model", OfflineModel)
