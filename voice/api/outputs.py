"""What integrators get to see of calls (contract.md 5)."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as f

from tenex.rest.serializers import Output
from voice.models import (
    Call,
    CallStatus,
    Direction,
    EndReason,
    Outcome,
    RecordingStatus,
    SessionStatus,
    Speaker,
    ToolStatus,
    TurnStatus,
)


@extend_schema_field({})
class AnyJson(f.JSONField):
    """Any JSON, null too."""


class EvidenceOut(Output):
    """Words of the transcript that carry a conclusion."""

    quote = f.CharField()
    item_id = f.CharField(help_text="`item_id` of the transcript item that holds the quote.")


class CriterionOut(Output):
    """One qualification criterion and what the call showed about it."""

    name = f.CharField()
    met = f.BooleanField(allow_null=True, help_text="null: the call did not tell.")
    evidence = EvidenceOut(allow_null=True)


class BookedMeetingOut(Output):
    """The meeting that was booked in the call."""

    start = f.DateTimeField()
    end = f.DateTimeField()
    timezone = f.CharField()
    connector_id = f.CharField(allow_null=True)
    event_id = f.CharField(allow_null=True)
    join_url = f.CharField(allow_null=True)


class NeededFollowUpOut(Output):
    """What still has to be done by a person."""

    needed = f.BooleanField()
    reasons = f.ListField(child=f.CharField())
    callback_at = f.DateTimeField(allow_null=True)


class VerdictOut(Output):
    """What the call concluded about the lead, with quoted evidence."""

    qualification = f.ChoiceField(choices=["qualified", "unqualified", "undetermined"])
    confidence = f.FloatField(min_value=0, max_value=1)
    reasons = f.ListField(child=f.CharField())
    criteria = CriterionOut(many=True)
    meeting = BookedMeetingOut(allow_null=True)
    follow_up = NeededFollowUpOut()
    summary = f.CharField()
    undetermined_because = f.CharField(help_text="Why there is no conclusion; empty if there is one.")
    needs_review = f.BooleanField()
    corrected_at = f.DateTimeField(
        allow_null=True, help_text="When a person last corrected it; null: it is the model's."
    )

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """Stored as checked JSON by post-call: shown as it is, absent keys as null."""
        follow_up = instance.follow_up or {}
        return {
            "qualification": instance.qualification,
            "confidence": instance.confidence,
            "reasons": instance.reasons,
            "criteria": [
                {"name": c.get("name", ""), "met": c.get("met"), "evidence": c.get("evidence")}
                for c in instance.criteria
            ],
            "meeting": instance.meeting,
            "follow_up": {
                "needed": bool(follow_up.get("needed")),
                "reasons": follow_up.get("reasons", []),
                "callback_at": follow_up.get("callback_at"),
            },
            "summary": instance.summary,
            "undetermined_because": instance.undetermined_because,
            "needs_review": instance.needs_review,
            "corrected_at": instance.corrected_at
            and instance.corrected_at.isoformat().replace("+00:00", "Z"),
        }


class CallOut(Output):
    """A phone call, as in lists."""

    id = f.UUIDField()
    company_id = f.UUIDField(source="workspace_id", help_text="Your workspace.")
    direction = f.ChoiceField(choices=Direction.choices)
    status = f.ChoiceField(choices=CallStatus.choices)
    outcome = f.ChoiceField(
        choices=Outcome.choices, allow_null=True, help_text="Set when `status` is `finalized`."
    )
    end_reason = f.ChoiceField(choices=EndReason.choices, allow_null=True)
    locals()["from"] = f.CharField(source="from_number", help_text="E.164; may be withheld or a SIP address.")
    to = f.CharField(source="to_number")
    lead_id = f.UUIDField(allow_null=True)
    lead_name = f.SerializerMethodField()
    agent_id = f.SerializerMethodField()
    agent_version = f.SerializerMethodField(help_text="Number of the agent's version that ran.")
    batch_id = f.UUIDField(allow_null=True)
    number_id = f.UUIDField(allow_null=True)
    objective = f.CharField()
    answered_by = f.CharField(help_text="`human`, `machine_…`, `fax`, `unknown`, or empty.")
    qualification = f.SerializerMethodField()
    created_at = f.DateTimeField()
    placed_at = f.DateTimeField(allow_null=True)
    answered_at = f.DateTimeField(allow_null=True)
    ended_at = f.DateTimeField(allow_null=True)
    finalized_at = f.DateTimeField(allow_null=True)
    duration_ms = f.IntegerField(allow_null=True, help_text="From answer to end.")
    latency = f.DictField(
        help_text="Milliseconds by name, as measured in the call; `turn_ms.each` has every answer's delay."
    )
    usage = f.DictField(help_text="Model tokens by kind.")

    def get_lead_name(self, call: Call) -> str | None:
        return call.lead.name or None if call.lead else None

    def get_agent_id(self, call: Call) -> str | None:
        return str(call.agent_version.agent_id) if call.agent_version else None

    def get_agent_version(self, call: Call) -> int | None:
        return call.agent_version.number if call.agent_version else None

    def get_qualification(self, call: Call) -> str | None:
        verdict = getattr(call, "verdict", None)
        return verdict.qualification if verdict else None


class SessionOut(Output):
    """One realtime model session of a call; a reconnect makes another."""

    id = f.UUIDField()
    call_id = f.UUIDField()
    number = f.IntegerField()
    channel = f.ChoiceField(choices=["phone", "browser", "stream"])
    status = f.ChoiceField(choices=SessionStatus.choices)
    model = f.CharField()
    created_at = f.DateTimeField()
    opened_at = f.DateTimeField(allow_null=True)
    closed_at = f.DateTimeField(allow_null=True)
    close_reason = f.CharField()


class ProvisionedSessionOut(Output):
    """A session and its call. `id` is null while an outbound call waits for its first session."""

    id = f.UUIDField(allow_null=True)
    session_id = f.UUIDField(allow_null=True)
    call_id = f.UUIDField()
    direction = f.ChoiceField(choices=["inbound", "outbound", "browser"])
    status = f.ChoiceField(choices=["queued", *SessionStatus.values])
    call_status = f.ChoiceField(choices=CallStatus.choices)
    agent_id = f.UUIDField(allow_null=True)
    stream_url = f.CharField(
        allow_null=True, help_text="Opens the session's media socket, once, within 60 seconds."
    )
    created_at = f.DateTimeField()


class RecordingOut(Output):
    """A recording: caller on the first channel, agent on the second."""

    id = f.UUIDField()
    call_id = f.UUIDField()
    status = f.ChoiceField(choices=RecordingStatus.choices)
    channels = f.IntegerField(allow_null=True)
    duration_ms = f.IntegerField(allow_null=True)
    size_bytes = f.IntegerField(allow_null=True)
    sha256 = f.CharField()
    started_at = f.DateTimeField(allow_null=True)
    purge_after = f.DateTimeField(allow_null=True, help_text="When it will be deleted.")
    url = f.SerializerMethodField(help_text="Plays the file, with range requests; null until it is stored.")
    url_expires_at = f.SerializerMethodField()

    def get_url(self, recording: Any) -> str | None:
        link = self.context.get("link")
        return link[0] if link else None

    def get_url_expires_at(self, recording: Any) -> str | None:
        link = self.context.get("link")
        return link[1].isoformat().replace("+00:00", "Z") if link else None


class RecordingBriefOut(Output):
    """That there is a recording; its address is at `/calls/{id}/recording`."""

    id = f.UUIDField()
    status = f.ChoiceField(choices=RecordingStatus.choices)
    duration_ms = f.IntegerField(allow_null=True)


class CallDetailOut(CallOut):
    """A phone call with all that is known about it."""

    verdict = VerdictOut(allow_null=True)
    sessions = SessionOut(many=True)
    recordings = RecordingBriefOut(many=True)
    variables = f.DictField()
    transfer_to = f.CharField()
    transfer_state = f.CharField()


class TranscriptItemOut(Output):
    """Something said (`speech`) or done (`tool`), in order."""

    type = f.ChoiceField(choices=["speech", "tool"])
    start_ms = f.IntegerField(help_text="Milliseconds since the call was created.")
    end_ms = f.IntegerField(allow_null=True)
    item_id = f.CharField(allow_null=True)
    speaker = f.ChoiceField(choices=Speaker.choices, allow_null=True)
    text = f.CharField(allow_null=True, help_text="As generated (agent) or transcribed (caller).")
    heard_text = f.CharField(allow_null=True, help_text="What the caller heard of it before interrupting.")
    interrupted = f.BooleanField(allow_null=True)
    tool_call_id = f.CharField(allow_null=True)
    name = f.CharField(allow_null=True, help_text="Name of the tool.")
    arguments = f.DictField(allow_null=True)
    output = AnyJson(help_text="What the tool answered: any JSON.")
    status = f.ChoiceField(choices=sorted({*TurnStatus.values, *ToolStatus.values}))


class TranscriptOut(Output):
    """The conversation."""

    call_id = f.UUIDField()
    status = f.ChoiceField(choices=CallStatus.choices, help_text="Until `finalized`, texts may still change.")
    items = TranscriptItemOut(many=True)


class CommandOut(Output):
    """The command is on its way to the live call."""

    call_id = f.UUIDField()
    accepted = f.BooleanField()
    to = f.CharField(allow_null=True, help_text="Transfers: the number that is called.")


class StreamTokenOut(Output):
    """Opens the event stream of one call in a browser: `new EventSource(url)`."""

    token = f.CharField()
    url = f.CharField()
    expires_at = f.DateTimeField()
