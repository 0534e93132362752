"""The words of an outbound call's own lines, in its language. Pure, but for the data files beside it."""

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, Literal

import yaml

LANGUAGES: Final = ("en", "es", "de", "fr", "pt", "it", "nl")
FALLBACK: Final = "en"
_MAX_NAME: Final = 120

Purpose = Literal["marketing", "informational"]
Recording = Literal["off", "announce", "explicit"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be said. `voicemail`: None leaves no message, empty leaves the usual one."""

    caller: str
    """Who calls, by its legal name."""
    language: str
    purpose: Purpose = "marketing"
    recording: Recording = "off"
    voicemail: str | None = None


@dataclass(frozen=True, slots=True)
class Wording:
    """Texts by line. The opening is the first of them, in their order."""

    language: str
    language_name: str
    opening: dict[str, str]
    others: dict[str, str]

    @property
    def all(self) -> dict[str, str]:
        return {**self.opening, **self.others}


def language_of(language: str) -> str:
    """The language of the lines for an agent that speaks `language`: English where there are no texts."""
    code = language[:2].lower()
    return code if code in LANGUAGES else FALLBACK


def compose(wish: Wish) -> Wording:
    """The lines: `identity`, `purpose` and (if it is recorded) `recording` open; the others wait."""
    language = language_of(wish.language)
    texts = _texts(language)
    caller = re.sub(r"\s+", " ", wish.caller).strip()[:_MAX_NAME].rstrip(" .") or "a company"
    purpose = texts[f"purpose_{wish.purpose}"]
    opening = {"identity": texts["identity"].replace("{caller}", caller), "purpose": purpose}
    if wish.recording != "off":
        opening["recording"] = texts[f"recording_{wish.recording}"]
    others = {
        "screening": texts["screening"].replace("{caller}", caller).replace("{purpose}", purpose),
        "opted_out": texts["opted_out"],
    }
    if wish.voicemail is not None:
        before = texts["voicemail_before"].replace("{caller}", caller)
        message = wish.voicemail.strip() or texts["voicemail_default"]
        others["voicemail"] = f"{before} {message} {texts['voicemail_after']}"
    return Wording(language, texts["language"], opening, others)


@cache
def _texts(language: str) -> dict[str, str]:
    file = resources.files("voice.opening.texts") / f"{language}.yaml"
    texts: dict[str, str] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return texts
