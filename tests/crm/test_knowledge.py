from itertools import pairwise

import pytest

from crm.knowledge.chunking import OVERLAP_TOKENS, TARGET_TOKENS, passages, tokens
from crm.models import Chunk, DocumentStatus
from crm.selectors.knowledge import search
from crm.services import knowledge
from tests import rows

PRICING = """\
# Pricing
Plans start at 49 dollars a seat.

## Discounts
Nonprofits get 30 percent off. Annual plans save two months.

```
# not a heading
```

## Refunds
We refund within thirty days.
"""


def test_passages_follow_headings() -> None:
    found = passages(PRICING)
    assert [passage.heading for passage in found] == [
        "Pricing",
        "Pricing > Discounts",
        "Pricing > Refunds",
    ]
    assert "# not a heading" in found[1].text


def test_long_sections_are_cut_with_overlap_and_lose_nothing() -> None:
    sentences = [f"Sentence number {index} says something of its own." for index in range(400)]
    found = passages("# Long\n" + " ".join(sentences))
    assert len(found) > 5
    assert all(tokens(passage.text) <= TARGET_TOKENS + OVERLAP_TOKENS for passage in found)
    joined = " ".join(passage.text for passage in found)
    assert all(sentence in joined for sentence in sentences)
    for before, after in pairwise(found):
        assert after.text.split("\n\n")[0].split(". ")[0] in before.text


@pytest.mark.parametrize("text", ["", "   \n\n", "# Only a heading", "x" * 20_000, "word " * 5000])
def test_odd_documents(text: str) -> None:
    assert all(tokens(passage.text) <= 2 * TARGET_TOKENS for passage in passages(text))


@pytest.mark.django_db
def test_search_cites_and_keeps_to_its_workspace() -> None:
    space, other = rows.workspace(), rows.workspace("other")
    knowledge.put(space, "Price list", PRICING)
    knowledge.put(other, "Secrets", "# Discounts\nNonprofits get everything free.")
    best = search(space.id, "discount for nonprofits")[0]
    assert (best.document, best.heading) == ("Price list", "Pricing > Discounts")
    assert Chunk.objects.get(pk=best.chunk_id).text == best.text
    assert all(citation.document == "Price list" for citation in search(space.id, "nonprofits"))


@pytest.mark.django_db
def test_a_spoken_question_finds_something() -> None:
    space = rows.workspace()
    knowledge.put(space, "Price list", PRICING)
    found = search(space.id, "what happens if I am not happy, do you give refunds or so?")
    assert found[0].heading == "Pricing > Refunds"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query", ["", "  ", "\x00", "' OR 1=1 --", "& | !", '"', "zebra crossing", "a" * 5000]
)
def test_odd_queries_find_nothing_and_break_nothing(query: str) -> None:
    space = rows.workspace()
    knowledge.put(space, "Price list", PRICING)
    assert search(space.id, query) == []


@pytest.mark.django_db
def test_indexing_again_replaces() -> None:
    space = rows.workspace()
    document = knowledge.put(space, "Price list", PRICING)
    assert knowledge.put(space, "Price list", "# New\nAll free.").pk == document.pk
    assert [chunk.heading for chunk in Chunk.objects.all()] == ["New"]
    document.refresh_from_db()
    assert document.status == DocumentStatus.INDEXED


@pytest.mark.django_db(transaction=True)
def test_indexers_of_one_document_queue_up() -> None:
    document = knowledge.put(rows.workspace(), "Price list", PRICING)
    results = rows.together(*[lambda: knowledge.index(document)] * 5)
    assert results == [3] * 5
    assert Chunk.objects.count() == 3
