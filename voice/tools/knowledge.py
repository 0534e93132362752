"""Looking things up in the workspace's documents."""

from typing import Any

import structlog
from django.db import DatabaseError, connection, transaction
from pydantic import Field

from crm.knowledge.embedding import engines
from crm.selectors import retrieval
from crm.services import corpora
from voice.tools.arguments import Arguments
from voice.tools.scope import Answer, Scope

log = structlog.get_logger(__name__)

_RESULTS = 4
_TEXT_CHARS = 3600
"""Of all results together, about 900 tokens: more of it only delays the answer."""
_MOST_OF_ONE = 1600
_SEARCH_MS = 1500
NOT_FOUND = (
    "Nothing found. Say that you do not know, and offer that somebody gets back to them with the answer."
)
UNAVAILABLE = (
    "The documents cannot be searched right now. Say plainly that you cannot look it up at the moment, and "
    "offer that somebody gets back to them with the answer. Their question is noted. Do not guess."
)


class SearchKnowledge(Arguments):
    query: str = Field(
        min_length=2, max_length=400, description="What the caller wants to know, in a few words."
    )


def warm() -> None:
    """Before the first question: what makes vectors is started, so that a caller does not wait for it."""
    engines.warm()


def search_knowledge(scope: Scope, arguments: SearchKnowledge) -> Answer:
    """Passages with where they stand. Nothing found is an answer too: then the agent must not guess.

    A fault or slowness of the search is one as well; the question is answered after the call
    (voice.postcall.questions).
    """
    try:
        found = _search(scope, arguments.query)
    except DatabaseError as exc:
        name = type(exc).__name__
        log.warning("knowledge not searched", call_id=str(scope.call.pk), error=name)
        corpora.note_fault(scope.call.workspace_id, name)
        return Answer({"results": [], "unavailable": True, "note": UNAVAILABLE})
    if not found:
        return Answer({"results": [], "note": NOT_FOUND})
    return Answer({"results": list(_told(found))})


def _search(scope: Scope, query: str) -> list[retrieval.Found]:
    """In a part of the tool's transaction that may fail alone, and that has less time than the whole."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('statement_timeout')")
            before = cursor.fetchone()[0]
            cursor.execute(f"SET LOCAL statement_timeout = {_SEARCH_MS}")
        found = retrieval.search(scope.call.workspace_id, query, _RESULTS).found
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [before])
    return found


def _told(found: list[retrieval.Found]) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    room = _TEXT_CHARS
    for one in found:
        text = _cut(one.text, min(_MOST_OF_ONE, room))
        if not text:
            break
        room -= len(text)
        entry: dict[str, Any] = {
            "document": one.document,
            "heading": one.heading,
            "page": one.page,
            "chunk_id": str(one.chunk_id),
            "text": text,
        }
        if one.kind:
            entry["kind"] = one.kind
        told.append({name: value for name, value in entry.items() if value not in (None, "")})
    return told


def _cut(text: str, most: int) -> str:
    """At the end of a sentence if one is near, so that nothing half is told as if it were whole."""
    if len(text) <= most:
        return text
    if most < 200:
        return ""
    end = max(text.rfind(sign, most // 2, most) for sign in (". ", "! ", "? ", "\n"))
    return text[: end + 1].strip() + " …" if end > 0 else text[:most].rsplit(" ", 1)[0] + " …"
