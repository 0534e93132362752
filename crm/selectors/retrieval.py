"""Finding the passages that answer a question: by its words and by its meaning, in one statement.

Words are full text with the weight of rarity, which PostgreSQL's own ranks do not know; meaning is nearness
of vectors of one model. Either alone misses what the other finds, so both are fused: each as a share of its
own best, for their numbers have nothing in common, and differ from model to model.
"""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import structlog
from django.db import connection, transaction

from crm.knowledge.embedding import engines
from crm.models.knowledge import LOCAL_MODEL, OPENAI_MODEL
from crm.selectors import corpora

log = structlog.get_logger(__name__)

MAX_QUERY: Final = 400
VECTOR_WITHIN_S: Final = 0.4
"""A question's vector that takes longer is gone without."""
_DEPTH: Final = 40
"""Of each of both orders."""
_EXACT_UP_TO: Final = 15_000
"""Passages of a workspace; below, to compare them all is faster than to look for them among others'."""
_RANKED: Final = 400
"""Passages whose words are looked at: the rarest words of the question choose them."""
_MOST_WORDS: Final = 8
_SCANNED: Final = 40_000
"""Of the index over all workspaces, in search of one's own."""
FLOOR: Final = {LOCAL_MODEL: 0.83, OPENAI_MODEL: 0.25}
"""Less near than this and without one of the question's words: it is about something else."""
_WORD: Final = re.compile(r"[^\W\d_]{2}")
MEANING: Final = 0.75
"""Its weight beside words: chosen on half of a set, reported on the other (`make bench-retrieval`)."""


@dataclass(frozen=True, slots=True)
class Found:
    """A passage, where it stands, and why it was found. Places count from 1; None: not by this way."""

    chunk_id: uuid.UUID
    document_id: uuid.UUID
    document: str
    kind: str
    """Of a structured entry; empty for a document."""
    heading: str
    page: int | None
    text: str
    score: float
    words_place: int | None
    words_score: float | None
    meaning_place: int | None
    distance: float | None
    marked: str = ""
    """The text with \\x01 and \\x02 around the question's words."""


@dataclass(frozen=True, slots=True)
class Result:
    """`meaning` is empty when vectors took part, else why they did not."""

    found: list[Found] = field(default_factory=list)
    meaning: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class _Words:
    """The question as words: stems with their weights, and the tsquery that chooses passages."""

    stems: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    choosing: str = ""


def search(
    workspace_id: uuid.UUID,
    query: str,
    limit: int = 5,
    *,
    within_s: float = VECTOR_WITHIN_S,
    explain: bool = False,
) -> Result:
    """The best passages for a question, best first; nothing if nothing is near it.

    `explain` marks the question's words in the texts.
    """
    asked = " ".join(query.replace("\x00", " ").split())[:MAX_QUERY]
    if not asked:
        return Result()
    vector, why = _vector(workspace_id, asked, within_s)
    known = corpora.words(workspace_id)
    words = _words(asked, known)
    if not words.stems and vector is None:
        return Result(meaning=why)
    model = engines.model()
    rows = _rows(workspace_id, words, vector, model, limit, exact=known.chunks <= _EXACT_UP_TO)
    found = [Found(*row) for row in rows]
    if explain and words.stems:
        found = _marked(found, words)
    return Result(found, why, model)


def _vector(workspace_id: uuid.UUID, asked: str, within_s: float) -> tuple[list[float] | None, str]:
    if not _WORD.search(asked):
        return None, "there is no word in it"
    try:
        return engines.query(workspace_id, asked, within_s), ""
    except engines.EmbeddingFailed as exc:
        log.info("search without vectors", workspace_id=str(workspace_id), why=exc.detail)
        return None, exc.detail


def _words(asked: str, known: corpora.Words) -> _Words:
    """Stems in all languages that the workspace has, rarest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT lexeme FROM unnest(%s::text[]) AS language,"
            " unnest(to_tsvector(language::regconfig, %s))",
            [list(known.languages), asked],
        )
        stems = sorted((str(stem) for (stem,) in cursor), key=lambda stem: (known.passages_with(stem), stem))
    stems = stems[:_MOST_WORDS]
    return _Words(tuple(stems), tuple(map(known.weight, stems)), _choosing(stems, known))


def _choosing(stems: Sequence[str], known: corpora.Words) -> str:
    """Passages with any of the rarest stems, as many as are looked at; if even the rarest is frequent, with
    that and one of the others."""
    if len(stems) > 1 and known.passages_with(stems[0]) > _RANKED:
        return f"{_quoted(stems[0])} & ({_any_of(stems[1:])})"
    chosen: list[str] = []
    passages = 0
    for stem in stems:
        passages += known.passages_with(stem)
        if chosen and passages > _RANKED:
            break
        chosen.append(stem)
    return _any_of(chosen)


def _any_of(stems: Sequence[str]) -> str:
    return " | ".join(map(_quoted, stems))


def _quoted(stem: str) -> str:
    return "'" + stem.replace("\\", "\\\\").replace("'", "''") + "'"


_BY_WORDS = """
    SELECT id, score, row_number() OVER (ORDER BY score DESC, id) AS place,
        score / nullif(max(score) OVER (), 0) AS share
    FROM (
        SELECT near.id, (
            SELECT sum(weight * ts_rank('{0.1,0.2,0.5,1}', near.search, term, 1))
            FROM unnest(%(terms)s::tsquery[], %(weights)s::float8[]) AS asked(term, weight)
        ) AS score
        FROM (
            SELECT id, search FROM crm_chunk
            WHERE workspace_id = %(workspace)s AND live AND enabled AND search @@ %(choosing)s::tsquery
            LIMIT %(ranked)s
        ) AS near
        ORDER BY score DESC, near.id LIMIT %(depth)s
    ) AS ranked"""
_BY_MEANING = """
    SELECT id, distance, row_number() OVER (ORDER BY distance, id) AS place,
        coalesce((max(distance) OVER () - distance)
            / nullif(max(distance) OVER () - min(distance) OVER (), 0), 1) AS share
    FROM (
        SELECT vector.chunk_id AS id, 1 + (vector.embedding <#> %(vector)s::halfvec) AS distance
        FROM crm_chunkvector AS vector JOIN crm_chunk AS chunk ON chunk.id = vector.chunk_id
        WHERE vector.workspace_id = %(workspace)s AND vector.model = %(model)s
          AND chunk.live AND chunk.enabled
        ORDER BY {order} LIMIT %(depth)s
    ) AS ranked"""
_NOTHING_BY_WORDS = (
    "SELECT NULL::uuid AS id, NULL::float8 AS score, NULL::bigint AS place, NULL::float8 AS share WHERE false"
)
_NOTHING_BY_MEANING = (
    "SELECT NULL::uuid AS id, NULL::float8 AS distance, NULL::bigint AS place, NULL::float8 AS share"
    " WHERE false"
)
_FUSED = """
WITH words AS MATERIALIZED ({words}), meaning AS MATERIALIZED ({meaning}), fused AS (
    SELECT id, words.place AS words_place, words.score AS words_score,
        meaning.place AS meaning_place, meaning.distance AS distance,
        (1 - %(weight)s) * coalesce(words.share, 0) + %(weight)s * coalesce(meaning.share, 0) AS score
    FROM words FULL JOIN meaning USING (id)
    WHERE words.place IS NOT NULL OR meaning.distance <= %(farthest)s
    ORDER BY score DESC, id LIMIT %(limit)s
)
SELECT chunk.id, document.id, document.title, document.entry_kind, chunk.heading, chunk.page, chunk.text,
    fused.score, fused.words_place, fused.words_score, fused.meaning_place, fused.distance
FROM fused JOIN crm_chunk AS chunk USING (id) JOIN crm_document AS document ON document.id = chunk.document_id
ORDER BY fused.score DESC, chunk.id"""


def _rows(
    workspace_id: uuid.UUID,
    words: _Words,
    vector: list[float] | None,
    model: str,
    limit: int,
    *,
    exact: bool,
) -> list[Any]:
    # An expression instead of the operator keeps the index out of it: few vectors are compared one by one.
    order = "distance" if exact else "vector.embedding <#> %(vector)s::halfvec"
    by_words = _BY_WORDS if words.choosing else _NOTHING_BY_WORDS
    by_meaning = _BY_MEANING.format(order=order) if vector is not None else _NOTHING_BY_MEANING
    given: dict[str, Any] = {
        "workspace": workspace_id,
        "model": model,
        "terms": [_quoted(stem) for stem in words.stems],
        "weights": list(words.weights),
        "choosing": words.choosing,
        "ranked": _RANKED,
        "vector": "" if vector is None else "[" + ",".join(f"{one:.5f}" for one in vector) + "]",
        "depth": _DEPTH,
        "limit": limit,
        "weight": MEANING,
        "farthest": 1 - FLOOR[model],
    }
    with transaction.atomic(), connection.cursor() as cursor:
        if vector is not None and not exact:
            # Goes on in the index until there are enough of this workspace.
            cursor.execute(
                "SELECT set_config('hnsw.iterative_scan', 'strict_order', true),"
                " set_config('hnsw.ef_search', '40', true),"
                " set_config('hnsw.max_scan_tuples', %s, true)",
                [str(_SCANNED)],
            )
        cursor.execute(_FUSED.format(words=by_words, meaning=by_meaning), given)
        return list(cursor.fetchall())


def _marked(found: list[Found], words: _Words) -> list[Found]:
    """With the question's words marked, as a reader of the passage's language sees them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, ts_headline(language::regconfig, text, %s::tsquery,"
            " 'HighlightAll=true, StartSel=' || chr(1) || ', StopSel=' || chr(2))"
            " FROM crm_chunk WHERE id = ANY(%s)",
            [_any_of(words.stems), [one.chunk_id for one in found]],
        )
        marked = dict(cursor.fetchall())
    return [replace(one, marked=marked.get(one.chunk_id, one.text)) for one in found]
