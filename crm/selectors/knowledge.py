"""Searching the knowledge corpus."""

import re
import uuid
from dataclasses import dataclass

from django.contrib.postgres.search import SearchQuery, SearchRank
from django.db.models import F

from crm.models import Chunk

_WORD = re.compile(r"\w+", re.UNICODE)
_MAX_QUERY = 400
_LENGTH_NORMALIZED = 1
"""ts_rank_cd: divide by 1 + log(length), so that a long chunk does not win by its size."""


@dataclass(frozen=True, slots=True)
class Citation:
    """A passage and where it stands. `rank` compares within one answer only."""

    document: str
    heading: str
    chunk_id: str
    text: str
    rank: float


def search(workspace_id: uuid.UUID, query: str, limit: int = 5) -> list[Citation]:
    """The best passages for a question, best first.

    All its words first (PostgreSQL's websearch syntax); if too few passages have them all, those with any.
    """
    asked = query.replace("\x00", " ")[:_MAX_QUERY].strip()
    if not asked:
        return []
    found = _ranked(workspace_id, SearchQuery(asked, config="english", search_type="websearch"), limit)
    if len(found) < limit:
        any_word = " or ".join(_WORD.findall(asked)[:20])
        seen = {citation.chunk_id for citation in found}
        loose = _ranked(workspace_id, SearchQuery(any_word, config="english", search_type="websearch"), limit)
        found += [citation for citation in loose if citation.chunk_id not in seen]
    return found[:limit]


def _ranked(workspace_id: uuid.UUID, query: SearchQuery, limit: int) -> list[Citation]:
    rank = SearchRank(F("search"), query, cover_density=True, normalization=_LENGTH_NORMALIZED)
    rows = (
        Chunk.objects.filter(workspace_id=workspace_id, search=query)
        .annotate(rank=rank)
        .select_related("document")
        .order_by("-rank", "document__title", "position")[:limit]
    )
    return [
        Citation(
            document=row.document.title,
            heading=row.heading,
            chunk_id=str(row.pk),
            text=row.text,
            rank=float(row.rank),
        )
        for row in rows
    ]
