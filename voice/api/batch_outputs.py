"""What integrators get to see of batches (contract.md 5)."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as f

from crm.models import ImportStatus
from tenex.rest.local_time import LocalTime
from tenex.rest.serializers import Output
from tenex.workspaces.models import CallingPurpose
from voice.api.outputs import VerdictOut
from voice.models import (
    BatchStatus,
    CallStatus,
    DialState,
    Outcome,
    PauseCode,
    RecipientStatus,
    VoicemailPolicy,
)
from voice.services import costs


class CountersOut(Output):
    """How far a batch is. The five states add up to `total`."""

    total = f.IntegerField()
    pending = f.IntegerField()
    calling = f.IntegerField()
    done = f.IntegerField()
    refused = f.IntegerField()
    canceled = f.IntegerField()
    outcomes = f.DictField(child=f.IntegerField(), help_text="Finished leads by outcome.")


class RetryPolicyOut(Output):
    """Seconds to wait after each try, by outcome. A list that is absent: no other try."""

    locals()["no-answer"] = f.ListField(child=f.IntegerField(), required=False)
    busy = f.ListField(child=f.IntegerField(), required=False)
    voicemail = f.ListField(child=f.IntegerField(), required=False)
    failed = f.ListField(child=f.IntegerField(), required=False)


class WeightedVersionOut(Output):
    """One version of a split."""

    agent_version_id = f.UUIDField()
    number = f.IntegerField(source="agent_version.number")
    weight = f.IntegerField()


class BatchOut(Output):
    """An outbound batch."""

    id = f.UUIDField()
    company_id = f.UUIDField(source="workspace_id")
    name = f.CharField()
    objective = f.CharField()
    status = f.ChoiceField(choices=BatchStatus.choices)
    status_reason = f.CharField()
    pause_code = f.ChoiceField(
        choices=[*PauseCode.choices, ("", "Not paused")], help_text="Why it is paused; empty if it is not."
    )
    agent_id = f.UUIDField()
    agent_version = f.SerializerMethodField(help_text="The pinned version; null uses the current one.")
    versions = WeightedVersionOut(many=True, help_text="The split, if there is one.")
    number_id = f.UUIDField()
    calendar_connector_id = f.UUIDField(source="calendar_id", allow_null=True)
    segment_id = f.UUIDField(allow_null=True)
    filling = f.SerializerMethodField(help_text="Leads of a segment or file are still being put in.")
    purpose = f.ChoiceField(choices=CallingPurpose.choices)
    window_start = LocalTime(allow_null=True)
    window_end = LocalTime(allow_null=True)
    window_days = f.ListField(child=f.IntegerField(), allow_null=True)
    concurrency = f.IntegerField()
    calls_per_second = f.FloatField(allow_null=True)
    max_attempts = f.IntegerField()
    retry_after_s = f.IntegerField()
    retry_policy = f.SerializerMethodField()
    machine_detection = f.BooleanField()
    voicemail_policy = f.ChoiceField(choices=VoicemailPolicy.choices)
    voicemail_message = f.CharField()
    priority = f.IntegerField()
    budget_soft_minor = f.IntegerField(allow_null=True)
    budget_hard_minor = f.IntegerField(allow_null=True)
    spent_minor = f.SerializerMethodField(help_text="US cents that its finished calls cost, estimated.")
    soft_budget_at = f.DateTimeField(
        allow_null=True, help_text="Since then nobody else is dialed: a budget is spent."
    )
    is_standing = f.BooleanField(help_text="The standing batch of callbacks; it is never completed.")
    client_reference = f.CharField(allow_null=True)
    starts_at = f.DateTimeField(allow_null=True)
    created_at = f.DateTimeField()
    started_at = f.DateTimeField(allow_null=True)
    completed_at = f.DateTimeField(allow_null=True)
    totals = f.SerializerMethodField()

    def get_filling(self, batch: Any) -> bool:
        return batch.filling_from is not None or bool(getattr(batch, "files_open", False))

    def get_agent_version(self, batch: Any) -> int | None:
        return batch.agent_version.number if batch.agent_version else None

    def get_spent_minor(self, batch: Any) -> int:
        return costs.minor(batch.spent_microusd)

    @extend_schema_field(RetryPolicyOut)
    def get_retry_policy(self, batch: Any) -> Any:
        return batch.retry_policy

    @extend_schema_field(CountersOut)
    def get_totals(self, batch: Any) -> Any:
        return CountersOut(self.context["counters"][batch.id]).data


class PastOut(Output):
    """The last calls that the workspace placed: what an estimate is based on."""

    calls = f.IntegerField()
    connect_rate = f.FloatField(help_text="Answered by a person.")
    connected_s = f.FloatField(help_text="Mean seconds of a line for a connected call.")
    missed_s = f.FloatField(help_text="The same for one that was not.")
    cost_minor = f.SerializerMethodField(help_text="Mean US cents of a dial.")

    def get_cost_minor(self, past: Any) -> float:
        return round(float(past.cost_microusd) / costs.MICRO_PER_MINOR, 3)


class ForecastOut(Output):
    """Estimates; null while fewer than 20 calls of the workspace are there to base them on."""

    end_at = f.DateTimeField(allow_null=True)
    dials = f.IntegerField(allow_null=True, help_text="Calls that it takes, retries included.")
    cost_minor = f.SerializerMethodField(help_text="US cents of these calls.")
    based_on = PastOut(allow_null=True)

    def get_cost_minor(self, expected: Any) -> int | None:
        return None if expected.cost_microusd is None else costs.minor(expected.cost_microusd)


class ProgressOut(Output):
    """Where the batch stands, and when it would be through."""

    done = f.IntegerField()
    waiting = f.IntegerField()
    waiting_until = f.DateTimeField(
        allow_null=True, help_text="When the next one is due; null: somebody is due now, or nobody waits."
    )
    refused = f.DictField(child=f.IntegerField(), help_text="Leads that are not called, by code.")
    live = f.IntegerField(help_text="Calls under way.")
    cost_minor = f.SerializerMethodField(help_text="US cents so far, calls under way included.")
    over_soft_budget = f.BooleanField()
    expected = ForecastOut()

    def get_cost_minor(self, found: Any) -> int:
        return costs.minor(found["cost_microusd"])


class BatchUploadOut(Output):
    """A file of leads and how far it is. Bad rows: `GET /crm/leads/imports/{import_id}/errors`."""

    import_id = f.UUIDField(source="lead_import_id")
    file_name = f.CharField(source="lead_import.file_name")
    status = f.ChoiceField(choices=ImportStatus.choices, source="lead_import.status")
    done = f.SerializerMethodField(help_text="Every row is read and taken over.")
    percent = f.SerializerMethodField(help_text="How much of the file is read.")
    rows_read = f.IntegerField(source="lead_import.rows_read")
    failed = f.IntegerField(source="lead_import.failed_count", help_text="Rows that made no lead.")
    taken = f.IntegerField(source="taken_count", help_text="Rows that are in the batch.")
    refused = f.IntegerField(source="refused_count", help_text="Of these: not to be called.")
    duplicates = f.IntegerField(
        source="duplicate_count", help_text="Rows whose lead was in the batch already."
    )

    def get_done(self, upload: Any) -> bool:
        return upload.done_at is not None

    @extend_schema_field({"type": "number", "minimum": 0, "maximum": 100})
    def get_percent(self, upload: Any) -> float:
        row = upload.lead_import
        if row.status == ImportStatus.COMPLETED:
            return 100.0
        return round(100 * int(row.next_byte) / max(1, int(row.size_bytes)), 1)


class BatchDetailOut(BatchOut):
    """An outbound batch, where it stands and when it would be through."""

    progress = f.SerializerMethodField()
    uploads = f.SerializerMethodField(help_text="Its files, the newest first.")

    @extend_schema_field(ProgressOut)
    def get_progress(self, batch: Any) -> Any:
        return ProgressOut(self.context["progress"]).data

    @extend_schema_field(BatchUploadOut(many=True))
    def get_uploads(self, batch: Any) -> Any:
        return BatchUploadOut(self.context["uploads"], many=True).data


class RejectedLeadOut(Output):
    """A lead that the batch does not take."""

    lead_id = f.UUIDField()
    code = f.CharField()
    detail = f.CharField()


class CreatedBatchOut(BatchOut):
    """The new batch, and what became of each lead."""

    call_batch_id = f.UUIDField(source="id", help_text="The same as `id`.")
    accepted = f.SerializerMethodField(help_text="How many leads were taken.")
    rejected = f.SerializerMethodField()

    def get_accepted(self, batch: Any) -> int:
        return int(self.context["accepted"])

    @extend_schema_field(RejectedLeadOut(many=True))
    def get_rejected(self, batch: Any) -> Any:
        return self.context["rejected"]


class AppendedOut(Output):
    """What became of each appended lead."""

    call_batch_id = f.UUIDField()
    accepted = f.IntegerField()
    rejected = RejectedLeadOut(many=True)


class ReasonOut(Output):
    """Why leads are not called, or wait."""

    code = f.CharField()
    detail = f.CharField()
    count = f.IntegerField()
    final = f.BooleanField(help_text="true: these are not called. false: they wait.")


class OpeningOut(Output):
    """Leads that can be called from an hour on."""

    hour = f.DateTimeField()
    count = f.IntegerField()


class ProspectOut(Output):
    """One lead and what would become of it."""

    lead_id = f.UUIDField()
    lead_name = f.CharField()
    position = f.IntegerField()
    at = f.DateTimeField(allow_null=True, help_text="When it can be called at the earliest; null: it is not.")
    code = f.CharField(help_text="Why it is not called, or waits; empty: it can be called at once.")
    detail = f.CharField()


class PreviewOut(Output):
    """Who would be called when, who would not and why. Nothing has happened."""

    at = f.DateTimeField(help_text="The instant that this is about: now, or when the batch is to start.")
    total = f.IntegerField()
    call_now = f.IntegerField()
    wait = f.IntegerField()
    refused = f.IntegerField()
    reasons = f.SerializerMethodField()
    hours = f.SerializerMethodField(help_text="In UTC, in order.")
    not_called = ProspectOut(many=True, help_text="The first 50; all of them: `GET …/preview/leads`.")
    expected = ForecastOut()

    @extend_schema_field(ReasonOut(many=True))
    def get_reasons(self, found: Any) -> Any:
        ordered = sorted(found.reasons.values(), key=lambda one: (-one.count, one.code))
        return ReasonOut(ordered, many=True).data

    @extend_schema_field(OpeningOut(many=True))
    def get_hours(self, found: Any) -> Any:
        hours = [{"hour": hour, "count": count} for hour, count in sorted(found.hours.items())]
        return OpeningOut(hours, many=True).data


class DialOut(Output):
    """One request to the carrier to place the call."""

    number = f.IntegerField()
    state = f.ChoiceField(choices=DialState.choices)
    posted_at = f.DateTimeField(allow_null=True)
    resolved_at = f.DateTimeField(allow_null=True)
    http_status = f.IntegerField(allow_null=True)
    error_code = f.CharField()


class AttemptOut(Output):
    """One call to the lead."""

    call_id = f.UUIDField(source="id")
    status = f.ChoiceField(choices=CallStatus.choices)
    outcome = f.SerializerMethodField()
    end_reason = f.SerializerMethodField()
    answered_by = f.CharField()
    agent_version = f.SerializerMethodField(help_text="Number of the agent's version that ran.")
    created_at = f.DateTimeField()
    placed_at = f.DateTimeField(allow_null=True)
    answered_at = f.DateTimeField(allow_null=True)
    ended_at = f.DateTimeField(allow_null=True)
    duration_ms = f.IntegerField(allow_null=True, help_text="From answer to end.")
    cost_minor = f.SerializerMethodField(help_text="US cents, estimated; null until it is over.")
    dials = DialOut(many=True, help_text="What was asked of the carrier.")

    def get_outcome(self, call: Any) -> str | None:
        return call.outcome or None

    def get_end_reason(self, call: Any) -> str | None:
        return call.end_reason or None

    def get_agent_version(self, call: Any) -> int | None:
        return call.agent_version.number if call.agent_version else None

    def get_cost_minor(self, call: Any) -> int | None:
        return costs.minor(costs.of_call(call.usage, call.duration_ms)) if call.ended_at else None


class NextActionOut(Output):
    """What happens next with this lead."""

    type = f.ChoiceField(
        choices=["call", "retry", "callback", "calling", "none"],
        help_text="First call, another try, a call that the lead asked for, under way, nothing more.",
    )
    at = f.DateTimeField(allow_null=True, help_text="At the earliest; null: as soon as a line is free.")


class BatchResultOut(Output):
    """One lead of a batch and what came of it."""

    recipient_id = f.UUIDField(source="id")
    lead_id = f.UUIDField()
    lead_name = f.CharField(source="lead.name")
    position = f.IntegerField()
    status = f.ChoiceField(choices=RecipientStatus.choices)
    outcome = f.SerializerMethodField()
    refusal = f.SerializerMethodField(help_text="Why the lead was not called.")
    calls_made = f.IntegerField()
    next_at = f.DateTimeField(allow_null=True, help_text="When the lead is tried next, at the earliest.")
    next_action = f.SerializerMethodField()
    callback_of = f.UUIDField(
        source="callback_of_id", allow_null=True, help_text="The call in which the lead asked for this one."
    )
    variables = f.DictField()
    attempts = AttemptOut(source="calls.all", many=True, help_text="The calls, the newest first.")
    call_id = f.SerializerMethodField(help_text="The last call to this lead in this batch.")
    verdict = f.SerializerMethodField()

    def get_outcome(self, row: Any) -> str | None:
        return row.outcome or None

    @extend_schema_field(RejectedLeadOut(allow_null=True))
    def get_refusal(self, row: Any) -> dict[str, str] | None:
        if not row.refusal_code:
            return None
        return {"lead_id": str(row.lead_id), "code": row.refusal_code, "detail": row.refusal_detail}

    @extend_schema_field(NextActionOut)
    def get_next_action(self, row: Any) -> Any:
        return NextActionOut(next_action(row)).data

    def get_call_id(self, row: Any) -> str | None:
        call = next(iter(row.calls.all()), None)
        return str(call.id) if call else None

    @extend_schema_field(VerdictOut(allow_null=True))
    def get_verdict(self, row: Any) -> Any:
        call = next(iter(row.calls.all()), None)
        verdict = getattr(call, "verdict", None) if call else None
        return VerdictOut(verdict).data if verdict else None


def next_action(row: Any) -> dict[str, Any]:
    """Of a result: its own next call, else the callback that one of its calls gave rise to."""
    match row.status:
        case RecipientStatus.CALLING:
            return {"type": "calling", "at": None}
        case RecipientStatus.PENDING:
            first = "callback" if row.callback_of_id else "call"
            return {"type": "retry" if row.calls_made else first, "at": row.next_at}
    if row.callback_status == RecipientStatus.PENDING:
        return {"type": "callback", "at": row.callback_next_at}
    return {"type": "none", "at": None}


class FunnelOut(Output):
    """Leads, each step a part of the one before."""

    total = f.IntegerField()
    allowed = f.IntegerField(help_text="Not refused.")
    dialed = f.IntegerField()
    connected = f.IntegerField(help_text="A person answered.")
    qualified = f.IntegerField()
    meetings = f.IntegerField(help_text="Qualified, and a meeting is booked.")


class HourOut(Output):
    """Calls placed in one hour of the day, by the lead's clock."""

    hour = f.IntegerField(min_value=0, max_value=23)
    dialed = f.IntegerField()
    connected = f.IntegerField()


class VersionStatsOut(Output):
    """Calls of one agent version."""

    agent_version_id = f.UUIDField()
    number = f.IntegerField()
    weight = f.IntegerField(allow_null=True, help_text="Its part of the split; null: it has none.")
    leads = f.IntegerField()
    dialed = f.IntegerField()
    connected = f.IntegerField()
    qualified = f.IntegerField()
    meetings = f.IntegerField()
    connect_rate = f.SerializerMethodField(help_text="Connected / dialed; null: none was dialed.")
    qualified_rate = f.SerializerMethodField(help_text="Qualified / connected; null: none was connected.")
    cost_minor = f.SerializerMethodField()

    def get_connect_rate(self, one: Any) -> float | None:
        return round(one.connected / one.dialed, 4) if one.dialed else None

    def get_qualified_rate(self, one: Any) -> float | None:
        return round(one.qualified / one.connected, 4) if one.connected else None

    def get_cost_minor(self, one: Any) -> int:
        return costs.minor(one.cost_microusd)


class OutcomeCountOut(Output):
    """Leads by their last outcome."""

    outcome = f.ChoiceField(choices=Outcome.choices)
    count = f.IntegerField()


class BatchStatsOut(Output):
    """Figures of a batch."""

    batch_id = f.UUIDField()
    funnel = FunnelOut()
    outcomes = f.SerializerMethodField()
    refusals = f.DictField(child=f.IntegerField(), help_text="Leads that were not called, by code.")
    hours = HourOut(many=True, help_text="All 24.")
    versions = VersionStatsOut(many=True)
    cost_minor = f.SerializerMethodField(help_text="US cents that finished calls cost, estimated.")

    @extend_schema_field(OutcomeCountOut(many=True))
    def get_outcomes(self, found: Any) -> Any:
        rows = [{"outcome": name, "count": count} for name, count in sorted(found["outcomes"].items())]
        return OutcomeCountOut(rows, many=True).data

    def get_cost_minor(self, found: Any) -> int:
        return costs.minor(found["cost_microusd"])
