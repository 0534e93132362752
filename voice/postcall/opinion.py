"""What the judge answers: the schema it must keep, and which of its claims hold. No I/O."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, Field

from voice.postcall import evidence
from voice.postcall.case import Case


class Evidence(BaseModel):
    quote: str = Field(description="Words of the transcript, copied exactly, from one item.")
    item_id: str = Field(description="item_id of the transcript item that has these words.")


class Criterion(BaseModel):
    name: str = Field(description="Name of the criterion as given.")
    met: bool | None = Field(description="null if the conversation does not tell.")
    evidence: Evidence | None = Field(description="The words that show it; needed if met is true.")


class FollowUp(BaseModel):
    needed: bool
    reasons: list[str]
    callback_at: str | None = Field(description="ISO 8601 with offset, if a time was agreed.")


class Opinion(BaseModel):
    """Structured output of the verdict model. A meeting is no part of it: that is what our calendar says."""

    qualification: Literal["qualified", "unqualified", "undetermined"]
    confidence: float = Field(ge=0, le=1)
    reasons: list[str]
    criteria: list[Criterion]
    follow_up: FollowUp
    summary: str = Field(description="Two or three sentences for the salesperson.")


@dataclass(frozen=True, slots=True)
class Checked:
    """Criteria as stored, in the agent's order, and what is wrong with the answer (empty: nothing)."""

    criteria: list[dict[str, Any]]
    problems: list[str]


def check(opinion: Opinion, case: Case) -> Checked:
    """Look every quote up in what was heard. A quote that is not there takes its claim with it."""
    given = {_plain(item.name): item for item in opinion.criteria}
    criteria: list[dict[str, Any]] = []
    problems: list[str] = []
    for wanted in case.criteria:
        item = given.get(_plain(wanted["name"]))
        if item is None:
            problems.append(f'The criterion "{wanted["name"]}" is missing.')
            criteria.append(_unknown(wanted["name"]))
            continue
        found, problem = _evidence(item, case)
        if problem:
            problems.append(problem)
            criteria.append(_unknown(wanted["name"]))
        else:
            criteria.append({"name": wanted["name"], "met": item.met, "evidence": found})
    return Checked(criteria, problems)


def _evidence(item: Criterion, case: Case) -> tuple[dict[str, Any] | None, str]:
    """(evidence with offsets, problem)"""
    if item.evidence is None:
        if item.met:
            return None, f'"{item.name}" is met without a quote.'
        return None, ""
    quote, item_id = item.evidence.quote, item.evidence.item_id
    text = case.texts.get(item_id)
    if text is None:
        return None, f'"{item.name}": there is no item {item_id!r} in the transcript.'
    found = evidence.find(quote, text)
    if found is None:
        return None, f'"{item.name}": the words "{quote[:200]}" are not in item {item_id!r}.'
    return {
        "quote": text[found.start : found.end],
        "item_id": item_id,
        "start": found.start,
        "end": found.end,
    }, ""


def _unknown(name: str) -> dict[str, Any]:
    return {"name": name, "met": None, "evidence": None}


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())
