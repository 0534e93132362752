"""Companies: made by hand, or when first named."""

import uuid
from collections.abc import Iterable

from django.db import IntegrityError, transaction
from django.db.models import Value
from django.db.models.functions import Upper

from crm.models import Company, Lead
from crm.selectors import companies as read
from tenex.errors import Conflict, InvalidInput
from tenex.lib import storable
from tenex.workspaces.models import Workspace


def ensure(workspace: Workspace, name: str, *, domain: str = "") -> Company:
    """The company of that name (letter case does not matter), made if there is none.

    Raises:
        InvalidInput: an empty name.
    """
    cleaned = _name(name)
    known = Company.objects.filter(workspace=workspace, name__iexact=cleaned).order_by("created_at").first()
    if known:
        return known
    company, _ = Company.objects.get_or_create(
        workspace=workspace, name=cleaned, defaults={"domain": domain[:200].lower()}
    )
    return company


def ensure_many(workspace: Workspace, names: Iterable[str], *, make: bool = True) -> dict[str, Company]:
    """The companies of these names, each under its name as given; up to three queries.

    Without `make`, those that do not exist are objects without a row.
    """
    wanted = {name: name.strip()[:200] for name in names if name.strip()}
    if not wanted:
        return {}
    rows = Company.objects.filter(workspace=workspace).order_by("-created_at")
    there = rows.annotate(upper=Upper("name")).filter(
        upper__in=[Upper(Value(name)) for name in set(wanted.values())]
    )
    known: dict[str, Company] = {}
    for row in there:
        known[row.name.lower()] = row
    missing = {name.lower(): name for name in wanted.values() if name.lower() not in known}
    new = [Company(workspace=workspace, name=name) for name in missing.values()]
    if new and make:
        # Somebody else may make one of them at the same moment.
        Company.objects.bulk_create(new, ignore_conflicts=True)
        new = list(rows.filter(name__in=missing.values()))
    known |= {row.name.lower(): row for row in new}
    return {given: known[name.lower()] for given, name in wanted.items()}


def create(workspace: Workspace, *, name: str, domain: str = "") -> Company:
    """
    Raises:
        InvalidInput: an empty name.
        Conflict: `name_taken`; `extra["organization_id"]` is the company of that name.
    """
    company = Company(workspace=workspace, name=_name(name), domain=_domain(domain))
    return _save(company)


def update(
    workspace: Workspace, company_id: uuid.UUID, *, name: str | None = None, domain: str | None = None
) -> Company:
    """Change what is given. A new name is found by `q` of its leads at once.

    Raises:
        NotFound, InvalidInput, Conflict: as in :func:`create`.
    """
    company = read.get(workspace.id, company_id)
    if name is not None:
        company.name = _name(name)
    if domain is not None:
        company.domain = _domain(domain)
    return _save(company)


def delete(workspace: Workspace, company_id: uuid.UUID) -> None:
    """Delete a company that no lead belongs to.

    Raises:
        NotFound.
        Conflict: `organization_in_use`.
    """
    with transaction.atomic():
        company = read.get(workspace.id, company_id)
        # Whoever gives a lead this company holds a lock on the row that this waits for.
        Company.objects.select_for_update().filter(pk=company.pk).first()
        if Lead.objects.filter(company=company).exists():
            raise Conflict("leads belong to this organization", code="organization_in_use")
        company.delete()


def _save(company: Company) -> Company:
    twin = Company.objects.filter(workspace=company.workspace, name__iexact=company.name).exclude(
        pk=company.pk
    )
    try:
        with transaction.atomic():
            if not (found := twin.first()):
                company.save(force_update=not company._state.adding)  # what is deleted meanwhile stays so
                return company
    except IntegrityError:
        found = twin.first()
        if found is None:
            raise
    raise Conflict(
        "an organization of this name exists", code="name_taken", extra={"organization_id": str(found.pk)}
    )


def _name(name: str) -> str:
    cleaned = storable.text(name).strip()[:200]
    if not cleaned:
        raise InvalidInput("a company needs a name", loc=("body", "name"), type_="missing")
    return cleaned


def _domain(domain: str) -> str:
    return storable.text(domain).strip().lower()[:200]
