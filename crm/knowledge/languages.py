"""Which of PostgreSQL's text configurations a text should be read by. Pure."""

import re
from typing import Final

_WORD = re.compile(r"[^\W\d_]+", re.UNICODE)
_LOOKED_AT_CHARS = 20_000
_FEWEST_WORDS = 8
_SHARE = 0.06

# Little words that are frequent in one of these languages and rare or absent in the others.
_LISTS: Final = {
    "english": "the and of to is that for with this are you not be from have or by it can at we our your "
    "will all off an if when how what per they their has was but which one any more about",
    "german": "der die das und ist nicht mit ein eine zu den von für auf sich auch wird sie im dem des wir "
    "ihr ihre werden bei oder kann wenn nach aus bis über nur sind einen einer",
    "french": "le les et des est une dans pour que qui pas sur vous nous avec du aux sont ce il elle au ou "
    "votre notre être cette plus peut leur mais ses",
    "spanish": "el los las y una es por para con su del se lo más como pero este esta son al si sus puede "
    "nuestro usted hay ser sin sobre también",
    "italian": "il gli di che è per una con della sono si dei nel alla anche più nella delle questo questa "
    "può vostro nostro essere ha dal sul",
    "portuguese": "o os as um uma não com para que do da em por mais dos são você ao pela pelo seu sua nos "
    "pode nosso ser está também",
    "dutch": "de het een en van is niet met voor dat zijn op te aan ook wordt bij deze u uw wij kan naar "
    "om als maar door over worden of",
}
_TELLING: Final = {name: frozenset(words.split()) for name, words in _LISTS.items()}
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
    if best >= _SHARE and best > 1.2 * shares[1][0]:
        return name
    # Too short to tell, or a list of names and figures: what most are, if nothing speaks against it.
    return "english" if name == "english" or (best == 0 and len(words) < _FEWEST_WORDS) else "simple"
