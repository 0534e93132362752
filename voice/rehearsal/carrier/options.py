"""What a rehearsed carrier account looks like, and how its world behaves where Twilio leaves room."""

from dataclasses import dataclass, field

ACCOUNT_SID = "AC" + "0e" * 16
AUTH_TOKEN = "rehearsal-auth-token"  # noqa: S105 - opens nothing but an offline imitation


@dataclass(frozen=True, slots=True)
class NumberSetup:
    """A phone number that the account owns."""

    phone_number: str
    voice_url: str = ""
    voice_fallback_url: str = ""
    status_callback: str = ""


@dataclass(frozen=True, slots=True)
class CarrierOptions:
    """All seconds are of the rehearsal's clock."""

    account_sid: str = ACCOUNT_SID
    auth_token: str = AUTH_TOKEN
    api_keys: dict[str, str] = field(default_factory=dict)
    """API key sid (SK…) to secret, besides the account's own token."""
    numbers: tuple[NumberSetup, ...] = ()
    base_url: str = ""
    """Where this carrier is reached (for RecordingUrl); empty: taken from the listening socket."""
    calls_per_second: float = 1.0
    strict: bool = False
    """A message that breaks the Media Streams protocol ends the call instead of only being logged."""
    webhook_timeout_s: float = 15.0
    """Real seconds (twilio.md 7)."""
    connect_timeout_s: float = 10.0
    recording_ready_s: float = 0.5
    """From the end of a recording to its completed callback."""
    default_scenario: str = ""
    """What happens on numbers that no scenario was set for; empty: nobody answers."""
    caller_patience_s: float = 12.0
    """Quiet after which a caller goes on although the agent has not answered."""
    farewell_s: float = 6.0
    """How long a caller whose script is over waits for the other side to hang up."""
    seed: int = 1
