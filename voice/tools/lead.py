"""Tools around the person on the line."""

from datetime import datetime, timedelta
from typing import Any

from pydantic import Field, model_validator

from crm.models import Lead, SuppressionSource
from crm.selectors import leads as read
from crm.services import follow_ups, leads, suppressions
from crm.services.lead_fields import LeadFields
from tenex.errors import Conflict, InvalidInput
from voice.tools.arguments import Arguments, NoArguments
from voice.tools.calendar import upcoming
from voice.tools.scope import Answer, Scope
from voice.tools.spoken import instant_of, spoken

_HISTORY = 5
_CALLBACK_DAYS = 90


def lookup_lead(scope: Scope, _: NoArguments) -> Answer:
    """What we know about the person on the line."""
    lead = scope.lead
    if lead is None:
        return Answer({"known": False, "note": "This caller is not in the CRM yet."})
    return Answer(
        {
            "known": True,
            "lead": {key: value for key, value in read.facts(lead).items() if key not in {"id", "custom"}},
            "meetings": upcoming(scope),
            "notes": lead.notes,
            "custom": lead.custom,
            "history": [
                {"at": spoken(entry.created_at, scope.zone), "type": entry.type, "summary": entry.summary}
                for entry in read.timeline(lead.workspace_id, lead.pk)[:_HISTORY]
            ],
        }
    )


class LeadChange(Arguments):
    """What the caller has told about themselves. Only what is given is written."""

    first_name: str | None = Field(None, max_length=100)
    last_name: str | None = Field(None, max_length=100)
    title: str | None = Field(None, max_length=120, description="Job title.")
    company: str | None = Field(None, max_length=200)
    email: str | None = Field(None, max_length=254)
    time_zone: str | None = Field(None, max_length=64, description="IANA name, such as America/New_York.")
    note: str | None = Field(None, max_length=2000, description="Anything else worth keeping, in a sentence.")

    @model_validator(mode="after")
    def _something(self) -> "LeadChange":
        if not any(self.model_dump().values()):
            raise ValueError("give at least one field")
        return self


class UpdateLead(Arguments):
    fields: LeadChange


def update_lead(scope: Scope, arguments: UpdateLead) -> Answer:
    """Write what the caller told about themselves. A caller whom we did not know becomes a lead."""
    told = {key: value for key, value in arguments.fields.model_dump().items() if value}
    lead = scope.ensure_lead()
    note = told.pop("note", None)
    if "company" in told:
        told["company_name"] = told.pop("company")
    changed = sorted(told)
    if told:
        lead = _update(scope, lead, LeadFields(**told))  # type: ignore[typeddict-item]
    if note:
        leads.note(scope.call.workspace, lead.pk, note, actor=scope.actor, call_id=scope.call.pk)
        changed.append("note")
    return Answer({"updated": True, "fields": changed})


def _update(scope: Scope, lead: Lead, fields: LeadFields) -> Lead:
    try:
        return leads.update(scope.call.workspace, lead.pk, actor=scope.actor, **fields)
    except Conflict as exc:
        # Whose it is stays secret: the caller may only learn that it cannot be written here.
        raise InvalidInput("this e-mail address belongs to another contact", type_="email_taken") from exc


class OptOut(Arguments):
    reason: str = Field("", max_length=300, description="What the caller said, in their words.")


def note_opt_out(scope: Scope, arguments: OptOut) -> Answer:
    """The caller must never be called again. Committed before the agent says so."""
    suppressions.add(
        scope.call.workspace_id,
        scope.call.remote_number,
        source=SuppressionSource.CALL,
        reason=arguments.reason,
        call_id=scope.call.pk,
        lead_id=scope.call.lead_id,
        actor=scope.actor,
    )
    return Answer(
        {"opted_out": True, "say": "Confirm once that they will not be called again, then say goodbye."},
    )


class ScheduleCallback(Arguments):
    at: str = Field(
        max_length=40,
        description="When to call back, ISO 8601, such as 2026-12-01T15:00; without an offset it is the "
        "caller's own time.",
    )
    note: str = Field("", max_length=500, description="Why, and what to talk about.")


def schedule_callback(scope: Scope, arguments: ScheduleCallback) -> Answer:
    """Promise to call back at a time."""
    at: datetime = instant_of(arguments.at, scope.zone)
    if at <= scope.now:
        raise InvalidInput("that time has passed", type_="in_the_past")
    if at - scope.now > timedelta(days=_CALLBACK_DAYS):
        raise InvalidInput(f"that is more than {_CALLBACK_DAYS} days away", type_="too_far")
    row = follow_ups.schedule(scope.ensure_lead(), due_at=at, note=arguments.note, call_id=scope.call.pk)
    output: dict[str, Any] = {
        "scheduled": True,
        "follow_up_id": str(row.pk),
        "at": at.isoformat(),
        "spoken": spoken(at, scope.zone),
        "time_zone": str(scope.zone),
    }
    return Answer(output)
