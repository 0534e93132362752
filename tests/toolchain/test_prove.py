"""The runner of the promises believes only a line with trials, no violation and status 0."""

from __future__ import annotations

import json

import pytest

from tests.prove.__main__ import judge


def _line(**changes: object) -> str:
    return json.dumps({"promise": "A1", "trials": 30, "violations": 0} | changes)


def test_a_promise_that_held() -> None:
    line, problem = judge("A1", 0, f"noise\n{_line(p99=1.5)}\n")
    assert (line["p99"], problem) == (1.5, "")


@pytest.mark.parametrize(
    ("status", "output", "expected"),
    [
        (0, "", "printed no line with promise, trials, violations (status 0)"),
        (0, "{broken", "printed no line with promise, trials, violations (status 0)"),
        (0, '{"promise": "A1"}', "printed no line with promise, trials, violations (status 0)"),
        (0, _line(violations=2), "2 violations"),
        (0, _line(trials=0), "tried nothing"),
        (0, _line(promise="B4"), "is the command of B4"),
        (1, _line(), "ended with status 1"),
    ],
)
def test_what_is_not_believed(status: int, output: str, expected: str) -> None:
    assert judge("A1", status, output)[1] == expected
