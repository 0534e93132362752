"""Cutting documents into passages, and what language they are in. Pure."""

from itertools import pairwise

import pytest

from crm.knowledge import languages
from crm.knowledge.blocks import Block, as_text, of_markdown
from crm.knowledge.chunking import OVERLAP_TOKENS, TARGET_TOKENS, digest, passages, tokens

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
    found = passages(of_markdown(PRICING))
    assert [passage.heading for passage in found] == [
        "Pricing",
        "Pricing > Discounts",
        "Pricing > Refunds",
    ]
    assert "# not a heading" in found[1].text


def test_long_sections_are_cut_with_overlap_and_lose_nothing() -> None:
    sentences = [f"Sentence number {index} says something of its own." for index in range(400)]
    found = passages(of_markdown("# Long\n" + " ".join(sentences)))
    assert len(found) > 5
    assert all(tokens(passage.text) <= TARGET_TOKENS + OVERLAP_TOKENS for passage in found)
    joined = " ".join(passage.text for passage in found)
    assert all(sentence in joined for sentence in sentences)
    for before, after in pairwise(found):
        assert after.text.split("\n\n")[0].split(". ")[0] in before.text


def test_a_passage_is_on_the_page_where_it_begins() -> None:
    words = " ".join(f"Word {index} of the page." for index in range(120))
    found = passages([Block("Terms", 1, 1), *(Block(words, 0, page) for page in (1, 2, 3))])
    assert [one.page for one in found] == sorted(one.page or 0 for one in found)
    assert {1, 2, 3} <= {one.page for one in found}
    assert {one.heading for one in found} == {"Terms"}


def test_a_deep_path_keeps_the_nearest_heading() -> None:
    [found] = passages([*(Block("Title " * 20, level) for level in range(1, 6)), Block("Text.")])
    assert len(found.heading) <= 300
    assert found.heading.endswith("Title")


@pytest.mark.parametrize("text", ["", "   \n\n", "# Only a heading", "x" * 20_000, "word " * 5000])
def test_odd_documents(text: str) -> None:
    assert all(tokens(passage.text) <= 2 * TARGET_TOKENS for passage in passages(of_markdown(text)))


def test_spaces_make_no_other_passage() -> None:
    assert digest("a  b\n\nc") == digest("a b c") != digest("a b d")


def test_blocks_as_text_are_the_same_blocks_again() -> None:
    assert [one.text for one in of_markdown(as_text(of_markdown(PRICING)))] == [
        one.text for one in of_markdown(PRICING)
    ]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("english", "Plans start at 49 dollars a seat and can be canceled by the end of the month."),
        ("german", "Der Preis ist 49 Euro im Monat und wird mit der Rechnung für das Unternehmen bezahlt."),
        ("french", "Les prix sont de 49 euros par mois et vous pouvez payer avec une carte."),
        ("spanish", "El precio es de 49 euros al mes para los equipos y no se cobra por el soporte."),
        ("dutch", "Het is niet voor de mensen van een bedrijf en wordt ook bij deze prijs betaald."),
        ("simple", "Cena wynosi 49 euro miesięcznie i obejmuje wsparcie dla wszystkich zespołów klienta."),
        ("simple", "1234 5678 90"),
    ],
)
def test_the_language_of_a_text(language: str, text: str) -> None:
    assert languages.found(text) == language


def test_tags_of_languages() -> None:
    assert [languages.of_tag(tag) for tag in ("de-AT", "EN", "pl", "")] == ["german", "english", "", ""]
