"""Filters of the lists (contract.md 2). Their help texts are the documentation."""

import django_filters as df
from django.db.models import Q, QuerySet

from tenex.lib.periods import Granularity
from tenex.rest.filters import Flag, Several
from tenex.rest.moments import MomentFilter
from voice.models import (
    Agent,
    Batch,
    BatchStatus,
    Call,
    CallStatus,
    DecisionStage,
    Direction,
    KeptClass,
    Outcome,
    RecipientStatus,
)
from voice.selectors.retention import DAYS_MOST


class CallFilters(df.FilterSet):  # type: ignore[misc]
    lead_id = df.UUIDFilter(help_text="Calls with this lead.")
    agent_id = df.UUIDFilter(help_text="Calls of this agent.")
    batch_id = df.UUIDFilter(help_text="Calls of this batch.")
    direction = df.ChoiceFilter(choices=Direction.choices, help_text="Who called.")
    status = df.ChoiceFilter(choices=CallStatus.choices, help_text="Where the call is.")
    outcome = Several(choices=Outcome.choices, help_text="What came of it; several with commas.")
    number_id = df.UUIDFilter(help_text="Calls from or to this number of yours.")
    version = df.NumberFilter(
        "agent_version__number",
        min_value=1,
        max_value=1_000_000,
        decimal_places=0,
        help_text="Number of the agent's version that ran; best with `agent_id`.",
    )
    needs_review = Flag("verdict__needs_review", help_text="Whether a person should look at the verdict.")
    locals()["from"] = df.IsoDateTimeFilter(
        "created_at", lookup_expr="gte", help_text="Created at this instant (ISO 8601) or later."
    )
    to = df.IsoDateTimeFilter(
        "created_at", lookup_expr="lt", help_text="Created before this instant (ISO 8601)."
    )
    q = df.CharFilter(
        method="search",
        max_length=100,
        help_text="Part of a phone number, or of the lead's name, e-mail or company. One or two characters: "
        "the end of a number, the beginning of a word.",
    )

    def search(self, rows: QuerySet[Call], name: str, value: str) -> QuerySet[Call]:
        """The view narrows by it last: see `selectors.calls.matching`."""
        return rows


class AgentFilters(df.FilterSet):  # type: ignore[misc]
    archived = Flag(
        "archived_at", lookup_expr="isnull", exclude=True, help_text="Only archived ones, or only the others."
    )
    profile_id = df.UUIDFilter(help_text="Agents with this voice profile.")
    q = df.CharFilter(method="search", max_length=100, help_text="Part of the name or of the slug.")

    def search(self, rows: QuerySet[Agent], name: str, value: str) -> QuerySet[Agent]:
        return rows.filter(Q(name__icontains=value) | Q(slug__icontains=value))


class BatchFilters(df.FilterSet):  # type: ignore[misc]
    status = df.ChoiceFilter(choices=BatchStatus.choices, help_text="Where the batch is.")
    agent_id = df.UUIDFilter(help_text="Batches of this agent.")
    locals()["from"] = df.IsoDateTimeFilter(
        "created_at", lookup_expr="gte", help_text="Created at this instant (ISO 8601) or later."
    )
    to = df.IsoDateTimeFilter(
        "created_at", lookup_expr="lt", help_text="Created before this instant (ISO 8601)."
    )
    q = df.CharFilter(method="search", max_length=100, help_text="Part of the name or of the reference.")

    def search(self, rows: QuerySet[Batch], name: str, value: str) -> QuerySet[Batch]:
        return rows.filter(Q(name__icontains=value) | Q(client_reference__icontains=value))


class ResultFilters(df.FilterSet):  # type: ignore[misc]
    status = df.ChoiceFilter(choices=RecipientStatus.choices, help_text="How far it is with the lead.")
    outcome = df.ChoiceFilter(choices=Outcome.choices, help_text="What came of the last call.")
    lead_id = df.UUIDFilter(help_text="Only this lead.")


class DecisionFilters(df.FilterSet):  # type: ignore[misc]
    lead_id = df.UUIDFilter(help_text="About this lead.")
    batch_id = df.UUIDFilter(help_text="In this batch.")
    call_id = df.UUIDFilter(help_text="Of this call.")
    stage = df.ChoiceFilter(choices=DecisionStage.choices, help_text="When it was decided.")
    allowed = Flag(help_text="Whether it was allowed.")
    code = df.CharFilter(max_length=40, help_text="Why it was not, as in the table of reasons.")
    locals()["from"] = df.IsoDateTimeFilter(
        "created_at", lookup_expr="gte", help_text="Written at this instant (ISO 8601) or later."
    )
    to = df.IsoDateTimeFilter(
        "created_at", lookup_expr="lt", help_text="Written before this instant (ISO 8601)."
    )


def _happened(column: str, what: str) -> Flag:
    """Whether an instant has been set in `column`."""
    told = f"Only those that are {what}, or only the others."
    return Flag(column, lookup_expr="isnull", exclude=True, help_text=told)


class ErasureFilters(df.FilterSet):  # type: ignore[misc]
    done = _happened("finished_at", "done")


class HoldFilters(df.FilterSet):  # type: ignore[misc]
    lead_id = df.UUIDFilter(help_text="On this lead.")
    call_id = df.UUIDFilter(help_text="On this call.")
    released = _happened("released_at", "released")


class ReceiptFilters(df.FilterSet):  # type: ignore[misc]
    kept_class = df.ChoiceFilter(
        choices=[*KeptClass.choices, ("person", "Everything about one person")], help_text="Of this class."
    )


def _days(what: str) -> df.NumberFilter:
    return df.NumberFilter(
        min_value=1,
        max_value=DAYS_MOST,
        decimal_places=0,
        help_text=f"As if {what} were kept for so many days.",
    )


class OutlookFilters(df.FilterSet):  # type: ignore[misc]
    recording_retention_days = _days("recordings")
    transcript_retention_days = _days("transcripts")
    journal_retention_days = _days("journals")
    evidence_retention_days = _days("evidence")

    class Meta:
        model = Call
        fields: tuple[str, ...] = ()


class _WhichCalls(df.FilterSet):  # type: ignore[misc]
    """What both kinds of figures take."""

    locals()["from"] = MomentFilter(
        help_text="Calls created at this instant (ISO 8601) or later; a date or time without offset is one "
        "of `time_zone`. Without it: the last 30 days."
    )
    to = MomentFilter(help_text="Calls created before this instant. Without it: now.")
    time_zone = df.CharFilter(max_length=64, help_text="IANA name; the workspace's if absent.")
    agent_id = df.UUIDFilter(help_text="Calls of this agent.")
    batch_id = df.UUIDFilter(help_text="Calls of this batch.")
    number_id = df.UUIDFilter(help_text="Calls from or to this number of yours.")
    direction = df.ChoiceFilter(choices=Direction.choices, help_text="Who called.")

    class Meta:
        model = Call
        fields: tuple[str, ...] = ()


class MetricsFilters(_WhichCalls):
    compare = df.ChoiceFilter(
        choices=[("previous", "Previous period")],
        help_text="Also the figures of the period of the same length right before, by the calendar.",
    )


class SeriesFilters(_WhichCalls):
    granularity = df.ChoiceFilter(
        choices=[(one.value, one.value) for one in Granularity],
        help_text="Length of a bucket; `day` if absent. Weeks begin on Monday.",
    )
