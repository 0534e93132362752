"""Times and bounds of one live call, in seconds unless the name says otherwise. Plain data."""

from dataclasses import dataclass

from tenex.lib import limits


@dataclass(frozen=True, slots=True)
class Prices:
    """Microdollars per 1,000 tokens (so USD per million tokens x 1,000). Zero = not counted."""

    text_in: int = 0
    text_cached: int = 0
    text_out: int = 0
    audio_in: int = 0
    audio_cached: int = 0
    audio_out: int = 0


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
    max_duration_s: float = limits.CALL_S
    wrap_up_s: float = 30.0
    """Before max_duration_s the agent is told to come to an end."""
    tool_deadline_s: float = limits.TOOL_DEADLINE_S
    tool_filler_s: float = 1.5
    end_playback_s: float = 12.0
    """Longest wait for the end of playback before a hang-up or transfer happens anyway."""
    last_transcript_s: float = 2.5
    """After hang-up: bounded wait for the last transcription."""
    rotate_after_s: float = 3300.0
    """Open a new model session at a quiet moment after this age (the provider ends it at 3600 s)."""
    tool_output_bytes: int = limits.TOOL_OUTPUT_BYTES
    tool_calls_per_call: int = 60
    early_audio_ms: int = 1000
    """Caller audio kept while the model is not ready yet; older audio is dropped."""
    server_interrupts: bool = True
    """The model cancels its own response when the caller speaks (turn_detection.interrupt_response)."""
    server_responds: bool = True
    """The model answers a committed turn by itself (turn_detection.create_response)."""
    stall_filler_s: float = 2.5
    """The model owes speech and sends none: a filler line is played."""
    stall_lost_s: float = 5.0
    """The model owes speech and none comes, whatever else does: the connection counts as lost."""
    stall_grace_s: float = 1.5
    """So long the model has at least, however late the news came that it owes."""
    reconnects_per_call: int = 10
    response_wait_s: float = 4.0
    """From `response.create` to `response.created`; beyond it the response is asked for once more."""
    hangup_wait_s: float = 5.0
    """From a hang-up or transfer to the end of the media stream; then the socket is closed by us."""
    no_media_s: float = 15.0
    """The carrier sends a frame every 20 ms, silence included; none for so long is a dead stream."""
    operator_gone_s: float = 3.0
    """An operator who talks and whose microphone is not heard of for so long is gone: the agent goes on."""
    dtmf_gap_s: float = 1.0
    """Digits closer together than this are one entry. A lone 9 is an opt-out."""
    max_backlog_ms: int = 120_000
    """Agent audio sent but not yet played; what comes on top of it is dropped."""
    max_turns: int = 2000
    max_turn_chars: int = 16_000
    max_spend_microusd: int = 0
    """Cost of the model at which the call is wrapped up; 0 = no bound."""
    prices: Prices = Prices()

    @property
    def still_s(self) -> float:
        """No frame for so long: the stream stands still. It may go on, but nobody on it is silent now."""
        return self.no_media_s / 5
