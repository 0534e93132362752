"""Which of PostgreSQL's text configurations a text should be read by. Pure."""

import re
from typing import Final

_WORD = re.compile(r"[^\W\d_]+", re.UNICODE)
_LOOKED_AT_CHARS = 20_000
_FEWEST_WORDS = 8
_SHARE = 0.08

# Words that are frequent in one of these languages and rare or absent in the others.
_TELLING: Final[dict[str, frozenset[str]]] = {
    "english": frozenset(
        [
            "the",
            "and",
            "of",
            "to",
            "is",
            "that",
            "for",
            "with",
            "this",
            "are",
            "you",
            "not",
            "be",
            "from",
            "have",
            "or",
            "by",
            "it",
            "can",
        ]
    ),
    "german": frozenset(
        [
            "der",
            "die",
            "das",
            "und",
            "ist",
            "nicht",
            "mit",
            "ein",
            "eine",
            "zu",
            "den",
            "von",
            "für",
            "auf",
            "sich",
            "auch",
            "wird",
            "sie",
        ]
    ),
    "french": frozenset(
        [
            "le",
            "les",
            "et",
            "des",
            "est",
            "une",
            "dans",
            "pour",
            "que",
            "qui",
            "pas",
            "sur",
            "vous",
            "nous",
            "avec",
            "du",
            "aux",
            "sont",
        ]
    ),
    "spanish": frozenset(
        [
            "el",
            "los",
            "las",
            "y",
            "una",
            "es",
            "por",
            "para",
            "con",
            "no",
            "su",
            "del",
            "se",
            "lo",
            "más",
            "como",
            "pero",
            "este",
        ]
    ),
    "italian": frozenset(
        [
            "il",
            "gli",
            "di",
            "che",
            "è",
            "per",
            "non",
            "una",
            "con",
            "del",
            "della",
            "sono",
            "si",
            "dei",
            "nel",
            "alla",
            "anche",
            "più",
        ]
    ),
    "portuguese": frozenset(
        [
            "o",
            "os",
            "as",
            "e",
            "um",
            "uma",
            "não",
            "com",
            "para",
            "que",
            "do",
            "da",
            "em",
            "por",
            "mais",
            "dos",
            "são",
            "você",
        ]
    ),
    "dutch": frozenset(
        [
            "de",
            "het",
            "een",
            "en",
            "van",
            "is",
            "niet",
            "met",
            "voor",
            "dat",
            "zijn",
            "op",
            "te",
            "aan",
            "ook",
            "wordt",
            "bij",
            "deze",
        ]
    ),
}
_OF_HTML: Final = {
    "en": "english", "de": "german", "fr": "french", "es": "spanish", "it": "italian", "pt": "portuguese",
    "nl": "dutch",
}  # fmt: skip


def of_tag(tag: str) -> str:
    """The configuration of a language tag (`de-AT`); empty if we have none for it."""
    return _OF_HTML.get(tag.strip().lower().split("-")[0], "")


def found(text: str) -> str:
    """The language whose little words are clearly the most frequent; `simple` if none is."""
    words = [word.lower() for word in _WORD.findall(text[:_LOOKED_AT_CHARS])]
    if not words:
        return "simple"
    shares = sorted(
        ((sum(word in telling for word in words) / len(words), name) for name, telling in _TELLING.items()),
        reverse=True,
    )
    best, name = shares[0]
    if len(words) < _FEWEST_WORDS:  # too short to tell: what most of our documents are
        return "english" if best == 0 or name == "english" else name
    return name if best >= _SHARE and best > 1.2 * shares[1][0] else "simple"
