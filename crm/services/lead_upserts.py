"""Many leads at once: by the bulk request and by imports. Some ten statements, however many there are.

The items are taken one after the other in memory, as if each had been a request of its own; then all is
written in one transaction, with the events that single requests would have recorded.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.utils import timezone

from crm.models import Company, Lead, OnDuplicate, Suppression, TimelineEntry
from crm.services import companies, lead_changes, suppressions
from crm.services.lead_fields import LeadFields, Lookup, clean
from tenex.errors import Conflict, InvalidInput, TenexError
from tenex.events import services as events
from tenex.workspaces.models import Workspace

MAX_ITEMS = 500
_TRIES = 3

type Key = tuple[str, str]
"""("phone", E.164) or ("email", address)."""
type Cleaned = dict[str, Any] | InvalidInput


class Result(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item. `lead_id` is the lead that was made, changed or found in the way."""

    result: Result
    lead_id: uuid.UUID | None = None
    error: TenexError | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """What would become of the items, and whose each phone and e-mail would be."""

    outcomes: list[Outcome]
    owners: dict[Key, uuid.UUID]


def save_many(
    workspace: Workspace,
    items: Sequence[LeadFields | InvalidInput],
    *,
    on_duplicate: OnDuplicate,
    actor: str,
    lookup: Lookup | None = None,
) -> list[Outcome]:
    """Make or change up to MAX_ITEMS leads; an outcome for each, in order. One that fails hinders no other.

    A lead is found by its phone, else by its e-mail; archived ones are not. An item that is an error already
    stays one.
    """
    cleaned = _clean_all(workspace, items, lookup or Lookup(workspace))
    for _ in range(_TRIES):
        try:
            with transaction.atomic():
                return _save(workspace, cleaned, on_duplicate, actor)
        except IntegrityError:
            continue  # somebody else has just taken a phone or e-mail: now it is seen
    if len(cleaned) == 1:
        return [Outcome(Result.FAILED, error=Conflict("this lead is being changed by somebody else"))]
    # Items that trade a phone among themselves cannot be written at once.
    return [
        save_many(workspace, [item], on_duplicate=on_duplicate, actor=actor, lookup=lookup)[0]
        for item in items
    ]


def preview(
    workspace: Workspace,
    items: Sequence[LeadFields | InvalidInput],
    *,
    on_duplicate: OnDuplicate,
    lookup: Lookup,
    met: Callable[[set[Key]], Mapping[Key, uuid.UUID]],
) -> Preview:
    """What :func:`save_many` would do, without doing it; `met`: whose phones and e-mails would be by now."""
    cleaned = _clean_all(workspace, items, lookup)
    run = _Run(workspace, on_duplicate, "", _existing(workspace, cleaned, lock=False))
    run.companies = companies.ensure_many(workspace, _names(cleaned), make=False)
    run.expect(met(keys_of(cleaned)))
    outcomes = [run.take(one) for one in cleaned]
    return Preview(outcomes, {key: lead.id for key, lead in run.owners.items()})


def keys_of(items: Sequence[Cleaned]) -> set[Key]:
    """Phones and e-mails that the items name."""
    return {
        (name, item[name])
        for item in items
        if not isinstance(item, InvalidInput)
        for name in ("phone", "email")
        if item.get(name)
    }


def _clean_all(
    workspace: Workspace, items: Sequence[LeadFields | InvalidInput], lookup: Lookup
) -> list[Cleaned]:
    given = [item for item in items if not isinstance(item, InvalidInput)]
    lookup.expect_companies(one for item in given if (one := item.get("company_id")))
    cleaned: list[Cleaned] = []
    for item in items:
        try:
            cleaned.append(item if isinstance(item, InvalidInput) else clean(workspace, item, lookup))
        except InvalidInput as exc:
            cleaned.append(exc)
    return cleaned


def _save(
    workspace: Workspace, cleaned: Sequence[Cleaned], on_duplicate: OnDuplicate, actor: str
) -> list[Outcome]:
    _one_at_a_time(workspace.id)
    run = _Run(workspace, on_duplicate, actor, _existing(workspace, cleaned, lock=True))
    run.companies = companies.ensure_many(workspace, _names(cleaned))
    phones = [number for kind, number in keys_of(cleaned) if kind == "phone"]
    run.suppressed = _suppressed(workspace.id, phones)
    outcomes = [run.take(one) for one in cleaned]
    run.write()
    return outcomes


def _one_at_a_time(workspace_id: uuid.UUID) -> None:
    """Two writers of many leads with the same phones in another order would wait for each other."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"lead-upserts:{workspace_id}"]
        )


def _existing(workspace: Workspace, cleaned: Sequence[Cleaned], *, lock: bool) -> list[Lead]:
    """The live leads that have a phone or e-mail of these; locked, so that before and after are true."""
    by_kind: dict[str, list[str]] = {"phone": [], "email": []}
    for kind, value in keys_of(cleaned):
        by_kind[kind].append(value)
    rows = Lead.objects.select_related("company").filter(
        Q(phone__in=by_kind["phone"]) | Q(email__in=by_kind["email"]), workspace=workspace, archived_at=None
    )
    return list((rows.select_for_update(of=("self",)) if lock else rows).order_by("pk"))


def _names(cleaned: Sequence[Cleaned]) -> set[str]:
    return {
        item["company_name"]
        for item in cleaned
        if not isinstance(item, InvalidInput) and item.get("company_name")
    }


def _suppressed(workspace_id: uuid.UUID, phones: Sequence[str]) -> set[str]:
    """Those of `phones` that must not be dialled."""
    digests = {suppressions.digest(number): number for number in phones}
    listed = Suppression.objects.filter(workspace_id=workspace_id, phone_hash__in=list(digests))
    return {digests[bytes(found)] for found in listed.values_list("phone_hash", flat=True)}


class _Run:
    """Takes items one after the other; keeps in memory what is to be written."""

    def __init__(
        self, workspace: Workspace, on_duplicate: OnDuplicate, actor: str, existing: Sequence[Lead]
    ) -> None:
        self.companies: Mapping[str, Company] = {}
        self.suppressed: set[str] = set()
        self.owners: dict[Key, Lead] = {}
        self._workspace = workspace
        self._on_duplicate = on_duplicate
        self._actor = actor
        self._now = timezone.now()
        self._new: dict[uuid.UUID, Lead] = {}
        self._changed: dict[uuid.UUID, Lead] = {}
        self._columns = {"updated_at"}
        self._facts: list[events.Fact] = []
        for lead in existing:
            self._own(lead)

    def expect(self, met: Mapping[Key, uuid.UUID]) -> None:
        """Stand-ins for the leads that an earlier part of a dry run would have made."""
        known = {lead.id: lead for lead in self.owners.values()}
        for (kind, value), lead_id in met.items():
            if (kind, value) not in self.owners:
                lead = known.setdefault(lead_id, Lead(id=lead_id, workspace=self._workspace))
                setattr(lead, kind, value)
                self.owners[kind, value] = lead

    def take(self, item: Cleaned) -> Outcome:
        """One item, after those before it."""
        if isinstance(item, InvalidInput):
            return Outcome(Result.FAILED, error=item)
        values = dict(item)
        if name := values.pop("company_name", None):
            values.pop("company_id", None)
            values["company"] = self.companies[name]
        same_phone = self.owners.get(("phone", values.get("phone") or ""))
        same_email = self.owners.get(("email", values.get("email") or ""))
        twin = same_phone or same_email
        try:
            if twin is None:
                return self._create(values)
            if self._on_duplicate == OnDuplicate.SKIP:
                return Outcome(Result.SKIPPED, twin.id)
            if self._on_duplicate == OnDuplicate.ERROR:
                return _duplicate(twin, "a lead with this phone or e-mail exists")
            if same_phone and same_email and same_phone is not same_email:
                return _duplicate(twin, "phone and e-mail belong to two different leads")
            return self._update(twin, values)
        except InvalidInput as exc:
            return Outcome(Result.FAILED, error=exc)

    def write(self) -> None:
        """All rows, then the events. In the caller's transaction."""
        if self._changed:
            Lead.objects.bulk_create(
                self._changed.values(),
                update_conflicts=True,
                unique_fields=["id"],
                update_fields=sorted(self._columns),
            )
        Lead.objects.bulk_create(self._new.values())
        TimelineEntry.objects.bulk_create(
            TimelineEntry(
                workspace=self._workspace,
                lead=lead,
                type="lead.created",
                summary="Lead created",
                data={"actor": self._actor, "source": lead.source},
            )
            for lead in self._new.values()
        )
        if self._facts:
            events.record_first(self._workspace.id, self._facts)

    def _create(self, values: dict[str, Any]) -> Outcome:
        lead = Lead(workspace=self._workspace, created_at=timezone.now(), updated_at=self._now)
        lead_changes.assign(lead, values)
        self._mark(lead)
        self._new[lead.id] = lead
        self._own(lead)
        self._facts.append(lead_changes.created(lead, self._actor))
        return Outcome(Result.CREATED, lead.id)

    def _update(self, lead: Lead, values: dict[str, Any]) -> Outcome:
        keys = {("phone", lead.phone or ""), ("email", lead.email or "")}
        changes = lead_changes.assign(lead, values)
        if not changes:
            return Outcome(Result.UNCHANGED, lead.id)
        for key in keys:
            self.owners.pop(key, None)
        self._own(lead)
        lead.updated_at = self._now
        if "phone" in changes and self._mark(lead):
            self._columns.add("opted_out_at")
        if lead.id not in self._new:
            self._changed[lead.id] = lead
            self._columns |= changes.keys()
        self._facts.append(lead_changes.updated(lead, changes, self._actor))
        return Outcome(Result.UPDATED, lead.id)

    def _mark(self, lead: Lead) -> bool:
        """A number that must not be dialled makes a lead that has opted out."""
        if lead.phone in self.suppressed and lead.opted_out_at is None:
            lead.opted_out_at = self._now
            return True
        return False

    def _own(self, lead: Lead) -> None:
        if lead.phone:
            self.owners["phone", lead.phone] = lead
        if lead.email:
            self.owners["email", lead.email] = lead


def _duplicate(twin: Lead, why: str) -> Outcome:
    error = Conflict(why, code="duplicate_lead", extra={"lead_id": str(twin.id)})
    return Outcome(Result.FAILED, twin.id, error)
