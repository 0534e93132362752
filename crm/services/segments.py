"""Segments: making, changing, and who is in a static one."""

import uuid
from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from crm.models import Company, Lead, Segment, SegmentKind, SegmentMember
from crm.selectors import conditions, fields
from crm.selectors import segments as read
from tenex.errors import Conflict, InvalidInput
from tenex.workspaces.models import Membership, Workspace
from tenex.workspaces.services import audit

MAX_SEGMENTS = 500
MAX_AT_ONCE = 500


def create(
    workspace: Workspace,
    *,
    name: str,
    kind: str,
    actor: str,
    description: str = "",
    rules: dict[str, Any] | None = None,
) -> Segment:
    """
    Raises:
        InvalidInput: rules that make no sense, or are missing, or given for a static segment.
        Conflict: `name_taken`, `too_many_segments`.
    """
    with transaction.atomic():
        Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)  # definitions hold still
        if read.all_of(workspace.id).count() >= MAX_SEGMENTS:
            raise Conflict(f"a workspace has at most {MAX_SEGMENTS} segments", code="too_many_segments")
        segment = Segment(workspace=workspace, name=name, kind=kind, description=description)
        if kind == SegmentKind.RULES:
            segment.rules = _checked(workspace, rules)
        elif rules is not None:
            raise InvalidInput(
                "a static segment has no rules", loc=("body", "rules"), type_="extra_forbidden"
            )
        _save(segment)
        _note(segment, actor, "created", rules=segment.rules)
    return segment


def update(workspace: Workspace, segment_id: uuid.UUID, *, actor: str, **changes: Any) -> Segment:
    """Change `name`, `description` or the `rules` of a segment that has some.

    Raises:
        NotFound, InvalidInput, Conflict: as in :func:`create`.
    """
    with transaction.atomic():
        Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
        segment = read.get(workspace.id, segment_id)
        if "rules" in changes:
            if segment.kind != SegmentKind.RULES:
                raise InvalidInput(
                    "a static segment has no rules", loc=("body", "rules"), type_="extra_forbidden"
                )
            changes["rules"] = _checked(workspace, changes["rules"])
        for name, value in changes.items():
            setattr(segment, name, value)
        segment.updated_at = timezone.now()
        _save(segment)
        _note(segment, actor, "updated", changed=sorted(changes), rules=segment.rules)
    return segment


def delete(workspace: Workspace, segment_id: uuid.UUID, *, actor: str) -> None:
    """The leads stay.

    Raises:
        NotFound.
    """
    with transaction.atomic():
        segment = read.get(workspace.id, segment_id)
        _note(segment, actor, "deleted", rules=segment.rules)
        segment.delete()


def add(workspace: Workspace, segment_id: uuid.UUID, lead_ids: Sequence[uuid.UUID]) -> int:
    """Put up to MAX_AT_ONCE leads into a static segment; how many were not in it.

    Raises:
        NotFound: no such segment.
        InvalidInput: an id that names no lead, with its place; nothing was added.
        Conflict: `segment_has_rules`.
    """
    with transaction.atomic():
        segment = _static(workspace, segment_id)
        known = _known(workspace, lead_ids)
        before = SegmentMember.objects.filter(segment=segment, lead_id__in=known)
        new = known - set(before.values_list("lead_id", flat=True))
        SegmentMember.objects.bulk_create(
            (SegmentMember(segment=segment, lead_id=lead_id) for lead_id in sorted(new)),
            ignore_conflicts=True,
        )
        return len(new)


def remove(workspace: Workspace, segment_id: uuid.UUID, lead_ids: Sequence[uuid.UUID]) -> int:
    """Take leads out of a static segment; how many were in it.

    Raises:
        NotFound, InvalidInput, Conflict: as in :func:`add`.
    """
    with transaction.atomic():
        segment = _static(workspace, segment_id)
        _known(workspace, lead_ids)
        removed, _ = SegmentMember.objects.filter(segment=segment, lead_id__in=lead_ids).delete()
        return removed


def _known(workspace: Workspace, lead_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    known = set(Lead.objects.filter(workspace=workspace, pk__in=lead_ids).values_list("pk", flat=True))
    for index, lead_id in enumerate(lead_ids):
        if lead_id not in known:
            raise InvalidInput("no such lead", loc=("body", "lead_ids", index), type_="missing")
    return known


def _static(workspace: Workspace, segment_id: uuid.UUID) -> Segment:
    segment = read.get(workspace.id, segment_id)
    if segment.kind != SegmentKind.STATIC:
        raise Conflict("this segment is made of rules", code="segment_has_rules")
    return segment


def _checked(workspace: Workspace, rules: object) -> Any:
    """Rules that make sense here and now."""
    loc = ("body", "rules")
    if rules is None:
        raise InvalidInput("rules are missing", loc=loc, type_="missing")
    conditions.compile_rules(rules, fields.by_key(workspace.id), loc=loc)
    named = conditions.ids_named(rules)
    people = Membership.objects.filter(workspace=workspace, user_id__in=named["owner_id"])
    firms = Company.objects.filter(workspace=workspace, pk__in=named["organization_id"])
    known = {
        "owner_id": set(people.values_list("user_id", flat=True)),
        "organization_id": set(firms.values_list("pk", flat=True)),
    }
    for field, ids in named.items():
        if ids - known[field]:
            raise InvalidInput(f"an {field} that does not exist here", loc=loc, type_="missing")
    return rules


def _save(segment: Segment) -> None:
    try:
        with transaction.atomic():
            segment.save(force_update=not segment._state.adding)  # what is deleted meanwhile stays so
    except IntegrityError as exc:
        raise Conflict("a segment of this name exists", code="name_taken") from exc


def _note(segment: Segment, actor: str, what: str, **data: Any) -> None:
    audit.record(
        segment.workspace_id,
        actor,
        f"segment.{what}",
        object_type="segment",
        object_id=segment.pk,
        data={"name": segment.name, "kind": segment.kind, **data},
    )
