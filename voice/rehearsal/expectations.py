"""Were the expectations of a scenario met? From the carrier's truth, and from our API where it is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voice.rehearsal.scenario import Expectation, Scenario


@dataclass(frozen=True, slots=True)
class Check:
    text: str
    met: bool | None
    """None: it cannot be known without the application's API."""


@dataclass(frozen=True, slots=True)
class AppFacts:
    """What the application's API says about the call."""

    outcome: str
    qualification: str
    events: Sequence[str]


def check(scenario: Scenario, truth: Mapping[str, Any], app: AppFacts | None) -> list[Check]:
    """One check an expectation. `truth` is the carrier's `/control/calls/{sid}`."""
    return [_check(expected, truth, app) for expected in scenario.expect]


def _check(expected: Expectation, truth: Mapping[str, Any], app: AppFacts | None) -> Check:
    found = _holds(expected, truth, app)
    met = found if found is None else found is not expected.absent
    return Check(_text(expected), met)


def _holds(expected: Expectation, truth: Mapping[str, Any], app: AppFacts | None) -> bool | None:
    if expected.tool is not None:
        at_ms = truth["tool_at_ms"].get(expected.tool)
        return at_ms is not None and (expected.within_ms is None or at_ms <= expected.within_ms)
    if expected.status is not None:
        return bool(truth["status"] == expected.status)
    if expected.text_contains is not None:
        said = " ".join([*truth["caller_lines"], *truth["agent_lines"]]).lower()
        return expected.text_contains.lower() in said
    if app is None:
        return None
    if expected.outcome is not None:
        return app.outcome == expected.outcome
    if expected.verdict is not None:
        return app.qualification == expected.verdict
    return expected.event in app.events


def _text(expected: Expectation) -> str:
    fields = expected.model_dump(exclude_none=True, exclude={"absent", "within_ms"})
    (name, value) = next(iter(fields.items()))
    limit = f" within {expected.within_ms} ms" if expected.within_ms is not None else ""
    return f"{'no ' if expected.absent else ''}{name.replace('_', ' ')}: {value}{limit}"
