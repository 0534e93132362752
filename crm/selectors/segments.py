"""Reading segments: who belongs to one, in pages and in portions.

Archived leads belong to no segment; a member of a static one is back when it is unarchived.
"""

import uuid
from collections.abc import Sequence

from django.db.models import Exists, OuterRef, Q, QuerySet

from crm.models import Lead, Segment, SegmentKind, SegmentMember
from crm.selectors import conditions, fields, leads
from tenex.errors import existing


def all_of(workspace_id: uuid.UUID) -> QuerySet[Segment]:
    return Segment.objects.filter(workspace_id=workspace_id)


def get(workspace_id: uuid.UUID, segment_id: uuid.UUID) -> Segment:
    """
    Raises:
        NotFound: not there, or of another workspace.
    """
    return existing(all_of(workspace_id).filter(pk=segment_id).first(), "no such segment")


def belongs(segment: Segment, customs: conditions.Customs | None = None) -> Q:
    """The segment as a filter of leads; `customs` saves a query where the definitions are known."""
    if segment.kind == SegmentKind.STATIC:
        return Q(Exists(SegmentMember.objects.filter(segment_id=segment.pk, lead_id=OuterRef("pk"))))
    known = fields.by_key(segment.workspace_id) if customs is None else customs
    return conditions.compile_rules(segment.rules, known)


def leads_of(segment: Segment) -> QuerySet[Lead]:
    """The leads that belong to it now, the newest first."""
    return leads.all_of(segment.workspace_id).filter(belongs(segment))


def lead_ids(
    workspace_id: uuid.UUID, segment_id: uuid.UUID, *, after: uuid.UUID | None = None, limit: int = 500
) -> Sequence[uuid.UUID]:
    """The next `limit` ids of leads that belong to a segment, ascending, those above `after`.

    For who works through a segment in portions, each in a transaction of its own: begin without `after`, then
    give the last id of the portion before, until a portion is empty. Two or three queries and `limit` ids in
    memory, however large the segment is. Ids ascend with creation, so leads made during the walk come at its
    end; a lead that leaves the segment meanwhile is left out, and none comes twice. Leads that have opted out
    or have no phone belong to a segment like any other: whoever dials checks each lead.

    Raises:
        NotFound: no such segment in this workspace.
    """
    found = leads_of(get(workspace_id, segment_id)).order_by("pk")
    if after is not None:
        found = found.filter(pk__gt=after)
    return list(found.values_list("pk", flat=True)[:limit])


def count(workspace_id: uuid.UUID, segment_id: uuid.UUID) -> int:
    """How many leads belong to a segment now.

    Raises:
        NotFound: no such segment in this workspace.
    """
    return leads_of(get(workspace_id, segment_id)).count()
