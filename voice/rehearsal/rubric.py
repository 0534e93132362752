"""A verdict without a model: keywords over the caller's own words, with quotes. Deterministic and labelled.

It stands in for a language model where there is none (demo, tests, offline). It knows four usual criteria
of sales calls (budget, authority, need, timeline), falls back on word overlap and on the caller's yes or no
to a question about the criterion, and knows refusals. It is right about plain speech and about nothing else.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

from voice.rehearsal.model.shapes import Json
from voice.rehearsal.rubric_phrases import (
    CALL_BACK,
    NO,
    NOT_A_FIT,
    OPT_OUT,
    STOPWORDS,
    THEMES,
    YES,
    Theme,
)

LABEL = "offline-rubric"


@dataclass(frozen=True, slots=True)
class Turn:
    item_id: str
    caller: bool
    text: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """A literal part of one caller turn."""

    quote: str
    item_id: str


def judge(case: dict[str, Json]) -> dict[str, Json]:
    """The verdict (contract.md 5) over `{"criteria", "objective", "transcript", "tool_calls", "meeting"}`.

    Missing members count as empty. Quotes are literal substrings of caller turns.
    """
    turns = [turn for turn in map(_turn, _objects(case.get("transcript"))) if turn.text]
    said = [turn for turn in turns if turn.caller]
    criteria = [_criterion(entry, turns) for entry in _objects(case.get("criteria"))]
    opt_out, unfit = _first(OPT_OUT, said), _first(NOT_A_FIT, said)
    meeting = case["meeting"] if "meeting" in case else _booked(case)
    qualification, reasons = _qualify(criteria, said, opt_out, unfit, booked=bool(meeting))
    met = sum(entry["met"] is True for entry in criteria)
    known = sum(entry["met"] is not None for entry in criteria)
    backed = known / len(criteria) if criteria else float(bool(said))
    confidence = (
        0.95 if opt_out else 0.2 if not said else min(0.95, 0.45 + 0.4 * backed + 0.1 * bool(meeting))
    )
    outcome = {"qualified": "qualified", "unqualified": "not a fit"}.get(qualification, "undetermined")
    return {
        "qualification": qualification,
        "confidence": round(confidence, 2),
        "reasons": cast(Json, reasons),
        "criteria": cast(Json, criteria),
        "meeting": meeting if isinstance(meeting, dict) else None,
        "follow_up": _follow_up(case, said, qualification, opted_out=bool(opt_out), booked=bool(meeting)),
        "summary": (
            f"Offline rubric over {len(said)} caller turns: {met} of {len(criteria)} criteria met"
            f"{', a meeting was booked' if meeting else ''}; {outcome}."
        ),
    }


# --- reading the case ---------------------------------------------------------------------------------


def _objects(value: Json) -> list[dict[str, Json]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _turn(entry: dict[str, Json]) -> Turn:
    speaker = str(entry.get("speaker") or entry.get("role") or "")
    caller = speaker.lower() in ("caller", "user", "lead", "customer", "callee")
    return Turn(str(entry.get("item_id") or entry.get("id") or ""), caller, str(entry.get("text") or ""))


def _first(pattern: re.Pattern[str], said: list[Turn]) -> Evidence | None:
    for turn in said:
        if found := pattern.search(turn.text.replace("’", "'")):
            return Evidence(_sentence(turn.text, found.start()), turn.item_id)
    return None


def _sentence(text: str, at: int) -> str:
    """The sentence of `text` around position `at`, as it stands there."""
    ends = [found.end() for found in re.finditer(r"[.!?]+(?=\s|$)", text)]
    start = max((end for end in ends if end <= at), default=0)
    stop = min((end for end in ends if end > at), default=len(text))
    return text[start:stop].strip()


# --- criteria -----------------------------------------------------------------------------------------


def _criterion(entry: dict[str, Json], turns: list[Turn]) -> dict[str, Json]:
    name, description = str(entry.get("name") or ""), str(entry.get("description") or "")
    met, evidence = _assess(name, description, turns)
    proof: Json = {"quote": evidence.quote, "item_id": evidence.item_id} if evidence else None
    return {"name": name, "met": met, "evidence": proof}


def _assess(name: str, description: str, turns: list[Turn]) -> tuple[bool | None, Evidence | None]:
    said = [turn for turn in turns if turn.caller]
    theme = _theme(name) or _theme(description)
    if theme is not None:
        against = _first(theme.no, said)
        if against is not None:
            return False, against
        for_it = _first(theme.yes, said)
        if for_it is not None:
            return True, for_it
    stems = _stems(f"{name} {description}")
    answer = _answer_to_question(stems, theme, turns)
    if answer is not None or theme is not None:
        return answer or (None, None)
    for turn in said:
        shared = stems & _stems(turn.text)
        if len(shared) >= min(2, len(stems)) and shared:
            position = min(turn.text.lower().find(stem) for stem in shared)
            return True, Evidence(_sentence(turn.text, max(0, position)), turn.item_id)
    return None, None


def _theme(text: str) -> Theme | None:
    return next((theme for theme in THEMES if theme.names.search(text)), None)


def _stems(text: str) -> set[str]:
    """First five letters of the words that mean something."""
    words = re.findall(r"[a-zà-ÿ]{4,}", text.lower())
    return {word[:5] for word in words if word not in STOPWORDS}


def _answer_to_question(
    stems: set[str], theme: Theme | None, turns: list[Turn]
) -> tuple[bool, Evidence] | None:
    """The caller's yes or no right after an agent's question about the criterion."""
    for question, answer in pairwise(turns):
        if question.caller or not answer.caller or "?" not in question.text:
            continue
        about = stems & _stems(question.text)
        if not about and not (theme and theme.names.search(question.text)):
            continue
        if found := NO.search(answer.text):
            return False, Evidence(_sentence(answer.text, found.end() - 1), answer.item_id)
        if found := YES.search(answer.text):
            return True, Evidence(_sentence(answer.text, found.end() - 1), answer.item_id)
    return None


# --- the whole ----------------------------------------------------------------------------------------


def _qualify(
    criteria: list[dict[str, Json]],
    said: list[Turn],
    opt_out: Evidence | None,
    unfit: Evidence | None,
    *,
    booked: bool,
) -> tuple[str, list[str]]:
    met = [str(entry["name"]) for entry in criteria if entry["met"] is True]
    unmet = [str(entry["name"]) for entry in criteria if entry["met"] is False]
    reasons = [f"met: {name}" for name in met] + [f"not met: {name}" for name in unmet]
    if booked:
        reasons.insert(0, "a meeting was booked")
    if opt_out is not None:
        return "unqualified", [f"asked not to be called again: “{opt_out.quote}”"]
    if not said:
        return "undetermined", ["the caller said nothing that was understood"]
    if booked and len(met) >= len(unmet):
        return "qualified", reasons
    if unfit is not None and len(met) <= len(unmet) + 1:
        return "unqualified", [f"not a fit: “{unfit.quote}”", *reasons]
    if unmet and len(unmet) >= len(met):
        return "unqualified", reasons
    if met and 2 * len(met) >= len(criteria):
        return "qualified", reasons
    return "undetermined", reasons or ["too little was said about the criteria"]


def _booked(case: dict[str, Json]) -> bool:
    return any(
        "book" in str(call.get("name"))
        and call.get("ok", call.get("status") in (None, "ok", "succeeded", "completed"))
        for call in _objects(case.get("tool_calls"))
    )


def _follow_up(
    case: dict[str, Json], said: list[Turn], qualification: str, *, opted_out: bool, booked: bool
) -> dict[str, Json]:
    if opted_out:
        return {"needed": False, "reasons": [], "callback_at": None}
    reasons: list[Json] = []
    callback_at: Json = None
    for call in _objects(case.get("tool_calls")):
        if "callback" in str(call.get("name")):
            reasons.append("a callback was agreed")
            callback_at = _when(call) or callback_at
    asked = _first(CALL_BACK, said)
    if asked is not None and not reasons:
        reasons.append(f"asked for a call back: “{asked.quote}”")
    if qualification == "qualified" and not booked:
        reasons.append("qualified, but no meeting is booked")
    if qualification == "undetermined" and said:
        reasons.append("the call left the criteria open")
    return {"needed": bool(reasons), "reasons": reasons, "callback_at": callback_at}


def _when(call: dict[str, Json]) -> Json:
    """The instant of a callback tool call, wherever the caller of this API has put it."""
    for holder in (call.get("output"), call.get("result"), call.get("arguments"), call):
        if isinstance(holder, dict):
            for key in ("callback_at", "run_at", "at", "when"):
                if isinstance(holder.get(key), str):
                    return holder[key]
    return None
