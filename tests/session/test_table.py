"""The tables are complete, and the machine is pure: no clock, no chance, no I/O, no log."""

import ast
from pathlib import Path
from typing import get_args

import pytest

import voice.session
import voice.wire
from voice.session import events as ev
from voice.session.machine import _TIMERS, TABLE
from voice.session.phases import MOVES, Phase
from voice.session.reasons import EndReason
from voice.session.timers import Timer

EVENTS = set(get_args(ev.SessionEvent))
FORBIDDEN = {
    "asyncio", "celery", "channels", "datetime", "django", "logging", "os", "random", "secrets", "socket",
    "structlog", "threading", "time", "uuid",
}  # fmt: skip
MODULES = [path for package in (voice.session, voice.wire) for path in Path(package.__path__[0]).glob("*.py")]


def test_every_phase_has_its_moves_and_its_events() -> None:
    assert set(TABLE) == set(MOVES) == set(Phase)
    reached = {to for targets in MOVES.values() for to in targets}
    assert reached == set(Phase) - {Phase.IDLE}
    assert MOVES[Phase.CLOSED] == frozenset()
    assert TABLE[Phase.CLOSED] == {}


def test_every_event_is_understood_somewhere_and_nothing_else_is() -> None:
    named = {event for table in TABLE.values() for event in table}
    assert named == EVENTS


def test_every_deadline_has_its_handler() -> None:
    assert set(_TIMERS) == set(Timer)


def test_the_end_is_understood_in_every_phase_but_the_last() -> None:
    for phase in set(Phase) - {Phase.STOPPED, Phase.CLOSED}:
        assert ev.StreamStopped in TABLE[phase]


def test_reasons_are_those_of_the_call_row() -> None:
    from voice.models import EndReason as RowReason

    assert set(EndReason) - {EndReason.HANDED_OVER} <= set(RowReason)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_nothing_impure_is_imported(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert not {name.split(".")[0] for name in names} & FORBIDDEN
