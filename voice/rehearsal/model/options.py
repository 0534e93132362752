"""How the offline model behaves where the real one leaves room: speeds, delays, limits."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Options:
    """All seconds are of the rehearsal's clock, so a speed factor shortens them too."""

    api_keys: frozenset[str] = frozenset()
    """Bearer keys that are let in; empty: any key that is not empty."""
    more_keys: set[str] = field(default_factory=set, compare=False)
    """Let in besides, since a test has said so (`PUT /control/keys`)."""
    uses: Counter[tuple[str, str]] = field(default_factory=Counter, compare=False)
    """(key, path) -> how often it was let in there."""
    max_session_s: float = 3600.0
    """Hard cap of a session (60 minutes in the real service)."""
    first_audio_s: float = 0.12
    """From `response.created` to the first sound."""
    delta_ms: int = 240
    """Audio in one `response.output_audio.delta`."""
    pace: float = 6.0
    """How many times faster than real time audio is produced."""
    transcription_delay_s: float = 0.35
    """From the commit to the caller's transcript; sometimes after the answer has begun, as in the field."""
    mid_line_wait_s: float = 1.5
    """A commit in the middle of a scripted line (a breath) is answered after this pause at the earliest."""
    tokens_per_minute: int = 200_000
    requests_per_minute: int = 5_000


@dataclass(frozen=True, slots=True)
class KnownModel:
    id: str
    created: int
    shutdown_date: str | None = None


CATALOGUE = (
    KnownModel("gpt-realtime-2.1", 1_789_000_000),
    KnownModel("gpt-realtime-2.1-mini", 1_789_000_000),
    KnownModel("gpt-realtime-2", 1_778_000_000),
    KnownModel("gpt-realtime-1.5", 1_771_000_000),
    KnownModel("gpt-realtime", 1_756_300_000, "2027-01-20"),
    KnownModel("gpt-realtime-mini", 1_759_500_000, "2027-01-20"),
    KnownModel("gpt-audio-mini", 1_759_500_000, "2027-01-20"),
    KnownModel("gpt-transcribe", 1_780_000_000),
    KnownModel("gpt-4o-transcribe", 1_742_000_000, "2027-02-26"),
    KnownModel("whisper-1", 1_677_500_000, "2027-02-26"),
    KnownModel("gpt-5.2-mini", 1_768_000_000),
)
"""What `GET /v1/models` lists (openai_realtime.md 1, 8). Realtime connections take the gpt-realtime* ones."""
