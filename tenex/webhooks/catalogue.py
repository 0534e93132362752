"""The closed list of what subscribers can hear of; docs/webhooks.md shows one of each."""

from typing import Final

EVENT_TYPES: Final = (
    "agent.run.completed",
    "agent.run.started",
    "batch.completed",
    "batch.paused",
    "batch.resumed",
    "batch.started",
    "call.answered",
    "call.ended",
    "call.ringing",
    "knowledge.document.failed",
    "knowledge.document.indexed",
    "lead.created",
    "lead.opted_out",
    "lead.updated",
    "meeting.booked",
    "meeting.canceled",
    "meeting.rescheduled",
    "number.updated",
    "recording.available",
    "transcript.available",
    "verdict.corrected",
    "webhook.disabled",
    "webhook.test",
)
TEST_TYPE: Final = "webhook.test"
"""Goes to the one subscription that it was asked for, whatever its filter says."""
