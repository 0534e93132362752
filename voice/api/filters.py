"""Filters of the lists (contract.md 2). Their help texts are the documentation."""

import django_filters as df
from django.db.models import Q, QuerySet

from voice.models import (
    Agent,
    Batch,
    BatchStatus,
    Call,
    CallStatus,
    Direction,
    Outcome,
    RecipientStatus,
)


class CallFilters(df.FilterSet):  # type: ignore[misc]
    lead_id = df.UUIDFilter(help_text="Calls with this lead.")
    agent_id = df.UUIDFilter("agent_version__agent_id", help_text="Calls of this agent.")
    batch_id = df.UUIDFilter(help_text="Calls of this batch.")
    direction = df.ChoiceFilter(choices=Direction.choices, help_text="Who called.")
    status = df.ChoiceFilter(choices=CallStatus.choices, help_text="Where the call is.")
    outcome = df.ChoiceFilter(choices=Outcome.choices, help_text="What came of it.")
    locals()["from"] = df.IsoDateTimeFilter(
        "created_at", lookup_expr="gte", help_text="Created at this instant (ISO 8601) or later."
    )
    to = df.IsoDateTimeFilter(
        "created_at", lookup_expr="lt", help_text="Created before this instant (ISO 8601)."
    )
    q = df.CharFilter(
        method="search", max_length=100, help_text="Part of a phone number or of the lead's name."
    )

    def search(self, rows: QuerySet[Call], name: str, value: str) -> QuerySet[Call]:
        return rows.filter(
            Q(from_number__contains=value)
            | Q(to_number__contains=value)
            | Q(lead__first_name__icontains=value)
            | Q(lead__last_name__icontains=value)
        )


class AgentFilters(df.FilterSet):  # type: ignore[misc]
    archived = df.BooleanFilter(
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
