"""What a caller's words ask for, told from the text alone: deterministic, beside the model and without it.

Four questions: do they want no more calls, do they object to the recording, do they say yes, and is it a
person at all (a voice mail's greeting, a service that screens calls). Clear wordings are found whoever says
them; what is unclear is left to the model. Texts come from speech recognition: case, accents and punctuation
mean little, so they are taken off first. The phrases of all languages are looked for in every call, single
words only in the call's own language and in English.
"""

import re
import unicodedata
from functools import cache
from typing import Final, Literal

from voice.session import phrases

_MAX_CHARS: Final = 2000
_NOT_WORD: Final = re.compile(r"[^\w\s']+")
_SPACES: Final = re.compile(r"\s+")

Kind = Literal["", "machine", "screening"]


def plain(text: str) -> str:
    """Lower case, no accents, sentence marks as ` . `, single spaces."""
    text = unicodedata.normalize("NFKD", text[:_MAX_CHARS].replace("\u2019", "'").replace("-", " ").lower())
    text = "".join(char for char in text if not unicodedata.combining(char))
    return _SPACES.sub(" ", _NOT_WORD.sub(" . ", text)).strip(" .")


def wants_no_calls(text: str, language: str = "en", *, single_words: bool = True) -> bool:
    """A clear wish not to be called (any more). `single_words`: a lone "stop" is one, too.

    A wish about the hour ("don't call me before nine", "not now, call me tomorrow") is none.
    """
    said = plain(text)
    if not said:
        return False
    if single_words and _only(said, language):
        return True
    if not _matches(phrases.NO_CALLS, said):
        return False
    return not _matches(phrases.ANOTHER_TIME, said) or _matches(phrases.NEVER_AGAIN, said)


def _only(said: str, language: str) -> bool:
    """Nothing but words that stop everything, and politeness around them."""
    words = [word for word in said.replace(".", " ").split() if word not in phrases.FILLERS]
    rest = " ".join(words)
    chosen = {language[:2], "en"}
    stops = {word for code in chosen for word in phrases.STOP_WORDS.get(code, ())}
    if rest in stops:
        return True
    singles = {word for word in stops if " " not in word}
    return 0 < len(words) <= 4 and all(word in singles for word in words)


def objects_to_recording(text: str) -> bool:
    """A clear wish not to be recorded."""
    return _matches(phrases.NO_RECORDING, plain(text))


def says_yes(text: str, language: str = "en") -> bool:
    """An answer to a question of ours that is a yes, and nothing that takes it back."""
    words = set(plain(text).replace(".", " ").split())
    chosen = {language[:2], "en"}
    if any(words & phrases.NO_WORDS[code] for code in chosen if code in phrases.NO_WORDS):
        return False
    said = plain(text)
    return any(
        words & phrases.YES_WORDS.get(code, frozenset()) or _find(phrases.YES_PHRASES.get(code, ""), said)
        for code in chosen
    )


def answered_by(text: str) -> Kind:
    """Whether these words are those of a machine; empty for all that a person may say."""
    said = plain(text)
    if _matches(phrases.SCREENING, said):
        return "screening"
    score = 0
    for strong, weak in phrases.VOICEMAIL.values():
        score += 2 * len(_all(strong, said)) + len(_all(weak, said))
    if _matches(phrases.OFFERS_HELP, said):
        score -= 2
    return "machine" if score >= 2 else ""


def _matches(by_language: dict[str, str], said: str) -> bool:
    return any(_find(pattern, said) for pattern in by_language.values())


def _find(pattern: str, said: str) -> bool:
    return bool(pattern) and _compiled(pattern).search(said) is not None


def _all(pattern: str, said: str) -> set[str]:
    """The different things that were found."""
    return {match.group(0) for match in _compiled(pattern).finditer(said)} if pattern else set()


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{pattern})(?!\w)")


def is_holding(text: str) -> bool:
    """A screening service that asks for patience: still nobody."""
    return _matches(phrases.HOLD_ON, plain(text))


def _compile_all() -> None:
    """At the import: it takes tens of milliseconds, for which all calls of a process would stand still."""
    for by_language in (
        phrases.ANOTHER_TIME,
        phrases.HOLD_ON,
        phrases.NEVER_AGAIN,
        phrases.NO_CALLS,
        phrases.NO_RECORDING,
        phrases.OFFERS_HELP,
        phrases.SCREENING,
        phrases.YES_PHRASES,
    ):
        for pattern in filter(None, by_language.values()):
            _compiled(pattern)
    for strong, weak in phrases.VOICEMAIL.values():
        for pattern in filter(None, (strong, weak)):
            _compiled(pattern)


_compile_all()
