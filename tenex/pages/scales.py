"""From numbers to places on a chart, and to the words beside its axes. Pure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tenex.lib.periods import Granularity

MOST: Final = 1e15
_STEPS: Final = (1.0, 2.0, 5.0, 10.0)
_STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)


@dataclass(frozen=True, slots=True)
class Unit:
    """How values of one kind stand on an axis; `least` is the least that its top may be, `most` the most."""

    axis: Callable[[float], str]
    least: float
    most: float = math.inf
    seconds: bool = False


def _count(value: float) -> str:
    for size, sign in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            shown = value / size
            return f"{shown:.3g}{sign}" if shown < 1e6 else f"{value:.1e}"
    return f"{value:.3g}"


def _share(value: float) -> str:
    return f"{value * 100:.3g} %"


def _ms(value: float) -> str:
    return f"{value / 1000:.3g} s" if value >= 1000 else f"{value:.3g} ms"


def _seconds(value: float) -> str:
    if value >= 1e6:
        return f"{_count(value / 3600)} h"
    return f"{int(value) // 60}:{int(value) % 60:02}"


def _money(value: float) -> str:
    return f"${_count(value)}" if value >= 1 else f"${value:.2f}"


COUNT: Final = Unit(_count, 4)
SHARE: Final = Unit(_share, 0.05, most=1.0)
MS: Final = Unit(_ms, 200)
SECONDS: Final = Unit(_seconds, 10, seconds=True)
MONEY: Final = Unit(_money, 0.04)


def ticks(highest: float, unit: Unit, *, most: int = 5) -> list[float]:
    """Round values from 0 to at least `highest`, evenly spaced, `most` at most."""
    top = min(max(highest, unit.least), 1000 * MOST)
    step = _step(top / (most - 1), seconds=unit.seconds)
    count = math.ceil(top / step - 1e-9)
    found = [step * n for n in range(count + 1)]
    if math.isfinite(unit.most):  # a share never passes the whole
        found = [one for one in found if one <= unit.most + 1e-9]
        if found[-1] < top - 1e-9:
            found.append(unit.most)
    return found


def _step(rough: float, *, seconds: bool) -> float:
    if seconds and rough <= _STEPS_S[-1]:
        return float(next(one for one in _STEPS_S if one >= rough))
    size = 10.0 ** math.floor(math.log10(rough))
    return next((factor * size for factor in _STEPS if factor * size >= rough * (1 - 1e-9)), 10 * size)


def known(value: float | None) -> float | None:
    """A value that can be drawn: a number from 0 to MOST; None for what is none."""
    if value is None or not math.isfinite(value):
        return None
    return min(max(0.0, float(value)), MOST)


@dataclass(frozen=True, slots=True)
class Slot:
    """A stretch of time on an axis: what stands below it, and what it is called in full."""

    short: str
    long: str


def time_slots(starts: Sequence[datetime], by: Granularity) -> list[Slot]:
    """Slots that begin at these instants, which carry the zone whose clock is shown."""
    many_years = bool(starts) and starts[0].year != starts[-1].year
    return [_time_slot(at, by, year=many_years) for at in starts]


def _time_slot(at: datetime, by: Granularity, *, year: bool) -> Slot:
    day = f"{at:%-d %b %Y}" if year else f"{at:%-d %b}"
    match by:
        case Granularity.HOUR:
            return Slot(f"{at:%H:%M}", f"{at:%a} {at:%-d %b %Y}, {at:%H:%M} {at.tzname()}")
        case Granularity.DAY:
            return Slot(day, f"{at:%A}, {at:%-d %b %Y}")
        case Granularity.WEEK:
            return Slot(day, f"Week of {at:%-d %b %Y}")


def shown_labels(count: int, most: int) -> list[int]:
    """Which of `count` labels have room: every n-th, the first among them."""
    step = max(1, -(-count // most))
    return list(range(0, count, step))
