"""`q` of the leads: every word somewhere in name, e-mail, phone or firm."""

import re
from collections.abc import Iterator

from django.db.models import Q

_MAX_WORDS = 5
_NUMBER = re.compile(r"[+(]*\d[\d\s()./+-]*")


def words(q: str) -> Q:
    """Leads that hold each word of `q` (the first five), also in the middle of a word.

    A phone number may be written in any form: `(415) 555-0101` finds +14155550101.
    """
    found = Q()
    for word in _words(q):
        found &= Q(search__contains=word)
    return found


def _words(q: str) -> Iterator[str]:
    text = q.strip().lower()
    if _NUMBER.fullmatch(text) and sum(map(str.isdigit, text)) >= 5:
        # Without the zero that stands for the country, or for its code, inside a country.
        yield re.sub(r"\D", "", text).lstrip("0")
        return
    for word in text.split()[:_MAX_WORDS]:
        yield re.sub(r"\D", "", word) if _NUMBER.fullmatch(word) else word
