"""Times and bounds of one live call, in seconds unless the name says otherwise. Plain data."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    greeting_first: bool = True
    """The agent speaks first, once the stream, the model and (outbound) a person are there."""
    answer_wait_s: float = 3.0
    """Outbound with AMD on: how long the greeting waits for the verdict before a person is assumed."""
    model_ready_s: float = 5.0
    """From stream start to `session.updated`; beyond it the model counts as lost."""
    reconnect_tries: int = 3
    reconnect_window_s: float = 3.0
    apology_s: float = 8.0
    """Longest time from losing the model for good to the end of the apology."""
    silence_reprompt_s: float = 12.0
    silence_reprompts: int = 2
    silence_hangup_s: float = 12.0
    """After the last re-prompt without an answer: goodbye and hang up."""
    max_duration_s: float = 1800.0
    wrap_up_s: float = 30.0
    """Before max_duration_s the agent is told to come to an end."""
    tool_deadline_s: float = 8.0
    tool_filler_s: float = 1.5
    end_playback_s: float = 12.0
    """Longest wait for the end of playback before a hang-up or transfer happens anyway."""
    last_transcript_s: float = 2.5
    """After hang-up: bounded wait for the last transcription."""
    rotate_after_s: float = 3300.0
    """Open a new model session at a quiet moment after this age (the provider ends it at 3600 s)."""
    tool_output_bytes: int = 8192
    tool_calls_per_call: int = 60
    early_audio_ms: int = 1000
    """Caller audio kept while the model is not ready yet; older audio is dropped."""
    server_interrupts: bool = True
    """The model cancels its own response when the caller speaks (turn_detection.interrupt_response)."""
