"""The words of a call's own lines, in its language. Pure, but for the data files beside it."""

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
    """What is to be said. `voicemail`: None leaves no message, empty leaves the usual one.

    `inbound`: they have called us, so that only the question about the recording is ours to open with.
    """

    caller: str
    """Who calls, by its legal name."""
    language: str
    purpose: Purpose = "marketing"
    recording: Recording = "off"
    voicemail: str | None = None
    inbound: bool = False


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
    if wish.inbound:
        return _inbound(wish, texts, language, caller)
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


def _inbound(wish: Wish, texts: dict[str, str], language: str, caller: str) -> Wording:
    """Who is there, then the question; the agent greets by itself where nothing has to be asked."""
    opening = {"identity": texts["inbound_identity"].replace("{caller}", caller)}
    if wish.recording == "explicit":
        opening["recording"] = texts["recording_explicit"]
    return Wording(language, texts["language"], opening, {"opted_out": texts["opted_out"]})


def notice(language: str) -> tuple[str, str]:
    """The notice that a call is recorded, and its language (BCP 47, as carriers' voices have them)."""
    code = language_of(language)
    return _texts(code)["recording_announce"], _VOICES[code]


_VOICES: Final = {
    "en": "en-US", "es": "es-ES", "de": "de-DE", "fr": "fr-FR", "pt": "pt-BR", "it": "it-IT", "nl": "nl-NL",
}  # fmt: skip


@cache
def _texts(language: str) -> dict[str, str]:
    file = resources.files("voice.opening.texts") / f"{language}.yaml"
    texts: dict[str, str] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return texts
