"""Charts as SVG: series in, text out. Pure: no rows, no clock, no script, no style attribute.

Geometry is in attributes, colour in classes (static/tenex/figures.css takes them from the tokens). A series
is told by its order, dash, marker or hatching and its name, not by colour alone. What is drawn is a link to
what it stands for, with a name that says its value.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

from django.utils.safestring import SafeString

from tenex.pages.scales import Slot, Unit, known, shown_labels, ticks

WIDTH: Final = 640.0
HEIGHT: Final = 230.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 12.0, 14.0, 30.0
SERIES: Final = 6
"""Colours and hatchings there are; the seventh series looks like the first."""
LABELS: Final = 8
_NAMES: Final = 100.0
"""What the names of lines take at the right."""


@dataclass(frozen=True, slots=True)
class Datum:
    """One value of a series: None is a gap. `text` says it in words, `href` leads to what is behind it."""

    value: float | None
    text: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """Values of one kind, one a slot."""

    name: str
    data: Sequence[Datum]


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of a list of bars. `note` stands beside its value."""

    name: str
    datum: Datum
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Box:
    """Where values are drawn: `ticks` from the bottom up, `count` slots from left to right."""

    ticks: list[float]
    count: int
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM
    slot: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "slot", (self.right - self.left) / max(1, self.count))

    def x(self, index: float) -> float:
        """Left edge of a slot; index + .5 is its middle."""
        return self.left + self.slot * index

    def y(self, value: float) -> float:
        return self.bottom - (self.bottom - self.top) * min(1.0, value / self.ticks[-1])


def lines(name: str, slots: Sequence[Slot], series: Sequence[Series], unit: Unit) -> SafeString:
    """Values over time, one line a series, each with its own dash and marker and its name at the end."""
    values = [known(one.value) for each in series for one in each.data]
    right = WIDTH - (_NAMES if len(series) > 1 else RIGHT)
    box = _Box(
        ticks(max([one for one in values if one is not None], default=0.0), unit), len(slots), right=right
    )
    drawn = [_axes(box, slots, unit)]
    for index, each in enumerate(series):
        drawn.append(_line(box, each, index))
    if len(series) > 1:
        drawn.append(_names(box, series))
    for place, slot in enumerate(slots):
        told = [f"{each.name}: {each.data[place].text}" for each in series if each.data[place].text]
        href = next((each.data[place].href for each in series if each.data[place].href), "")
        text = f"{slot.long}. {'; '.join(told) or 'no calls'}"
        guide = f'<path class="guide" d="M{_n(box.x(place + 0.5))} {_n(box.top)}V{_n(box.bottom)}"/>'
        area = _rect(box.x(place), box.top, box.slot, box.bottom - box.top, "hit")
        drawn.append(_link(href, text, guide + area))
    return _svg(name, drawn)


def bars(key: str, name: str, slots: Sequence[Slot], series: Sequence[Series], unit: Unit) -> SafeString:
    """Values over time, stacked: each piece is a link. `key` is this chart's on the page."""
    totals = [sum(known(each.data[place].value) or 0.0 for each in series) for place in range(len(slots))]
    box = _Box(ticks(max(totals, default=0.0), unit), len(slots))
    drawn = [_patterns(key, len(series)), _axes(box, slots, unit)]
    width = min(36.0, box.slot * 0.78)
    for place, slot in enumerate(slots):
        below = 0.0
        for index, each in enumerate(series):
            datum = each.data[place]
            if not (value := known(datum.value)):
                continue
            high, low = box.y(below + value), box.y(below)
            below += value
            piece = _rect(
                box.x(place + 0.5) - width / 2, high, width, max(0.0, low - high), "piece", _fill(key, index)
            )
            drawn.append(_link(datum.href, f"{slot.long}. {each.name}: {datum.text}", piece))
    return _svg(name, drawn)


def grouped(key: str, name: str, slots: Sequence[Slot], series: Sequence[Series], unit: Unit) -> SafeString:
    """Values side by side, as many bars a slot as there are series."""
    values = [known(one.value) or 0.0 for each in series for one in each.data]
    box = _Box(ticks(max(values, default=0.0), unit), len(slots))
    drawn = [_patterns(key, len(series)), _axes(box, slots, unit)]
    width = min(28.0, box.slot * 0.8 / max(1, len(series)))
    for place, slot in enumerate(slots):
        first = box.x(place + 0.5) - width * len(series) / 2
        for index, each in enumerate(series):
            datum = each.data[place]
            if not (value := known(datum.value)):
                continue
            high = box.y(value)
            piece = _rect(
                first + width * index, high, width, max(0.0, box.bottom - high), "piece", _fill(key, index)
            )
            drawn.append(_link(datum.href, f"{slot.long}. {each.name}: {datum.text}", piece))
    return _svg(name, drawn)


def hbars(name: str, rows: Sequence[Bar]) -> SafeString:
    """A list of bars, each below its name, with its value at the right."""
    return _list(name, rows, funnel=False)


def funnel(name: str, steps: Sequence[Bar]) -> SafeString:
    """Steps, each a part of the one before; what fell away is the lighter rest of a bar."""
    return _list(name, steps, funnel=True)


_ROW: Final = 42.0


def _list(name: str, rows: Sequence[Bar], *, funnel: bool) -> SafeString:
    values = [known(row.datum.value) or 0.0 for row in rows]
    whole = max(values, default=0.0) or 1.0
    right = WIDTH - RIGHT
    drawn = []
    for place, (row, value) in enumerate(zip(rows, values, strict=True)):
        top = place * _ROW
        said = " · ".join(filter(None, (row.datum.text, row.note)))
        parts = [
            f'<text class="name" x="0" y="{_n(top + 16)}">{escape(_cut(row.name, 44))}</text>',
            f'<text class="value" x="{_n(right)}" y="{_n(top + 16)}" text-anchor="end">{escape(said)}</text>',
            _rect(0, top + 23, right, 10, "track"),
        ]
        if funnel and place:
            parts.append(_rect(0, top + 23, right * values[place - 1] / whole, 10, "fell"))
        if value:
            parts.append(_rect(0, top + 23, max(2.0, right * value / whole), 10, "piece c1"))
        parts.append(_rect(0, top, right, _ROW - 4, "hit"))
        drawn.append(_link(row.datum.href, f"{row.name}: {said}", "".join(parts)))
    return _svg(name, drawn, height=max(1, len(rows)) * _ROW, kind="list")


def heat(
    name: str, rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[Datum]], *, top: float
) -> SafeString:
    """A value for each row and column, written in its cell; the nearer to `top`, the stronger the ground.

    A datum's text is `in the cell|in words`; without a value the cell is empty.
    """
    left, width, height = 44.0, 42.0, 30.0
    drawn = []
    for place, text in enumerate(columns):
        minor = ' class="minor"' if place % 3 else ""
        x = _n(left + width * (place + 0.5))
        drawn.append(f'<text x="{x}" y="12" text-anchor="middle"{minor}>{escape(text)}</text>')
    for line, title in enumerate(rows):
        y = 20 + height * line
        drawn.append(f'<text x="{_n(left - 8)}" y="{_n(y + 19)}" text-anchor="end">{escape(title)}</text>')
        for place, datum in enumerate(cells[line]):
            value = known(datum.value)
            shown, _, words = datum.text.partition("|")
            level = 0 if value is None else 1 + round(4 * min(1.0, value / top if top > 0 else 0.0))
            cell = _rect(left + width * place + 1, y + 1, width - 2, height - 2, f"cell h{level}")
            if value is not None:
                cell += (
                    f'<text class="in" x="{_n(left + width * (place + 0.5))}" y="{_n(y + 19)}"'
                    f' text-anchor="middle">{escape(shown)}</text>'
                )
            drawn.append(_link(datum.href, f"{title}, {columns[place]}: {words}", cell) if words else cell)
    return _svg(
        name,
        drawn,
        width=left + width * max(1, len(columns)) + 4,
        height=20 + height * len(rows) + 4,
        kind="heat",
    )


def sparkline(name: str, values: Sequence[float | None]) -> SafeString:
    """A small line without axes; `name` says what it shows."""
    width, height = 120.0, 28.0
    numbers = [known(one) for one in values]
    top = max([one for one in numbers if one is not None], default=0.0) or 1.0
    step = (width - 4) / max(1, len(numbers) - 1)
    points = [
        None if one is None else (2 + step * place, height - 3 - (height - 6) * min(1.0, one / top))
        for place, one in enumerate(numbers)
    ]
    path = "".join(_runs(points))
    return SafeString(
        f'<svg class="spark" viewBox="0 0 {_n(width)} {_n(height)}" preserveAspectRatio="none" role="img"'
        f' aria-label="{escape(name)}"><path class="line" d="{path}"/></svg>'
    )


def legend(key: str, series: Sequence[str], *, filled: bool, hrefs: Sequence[str] = ()) -> SafeString:
    """What stands for which series: with its hatching (`filled`), or its dash and marker."""
    items = []
    for index, name in enumerate(series):
        if filled:
            sign = _rect(0, 1, 14, 10, "piece", _fill(key, index))
        else:
            sign = f'<path class="line s{index % SERIES + 1}" d="M0 6H24"/>{_marker(12, 6, index)}'
        width = 14 if filled else 24
        picture = f'<svg class="chart-sign" viewBox="0 0 {width} 12" aria-hidden="true">{sign}</svg>'
        text = f"{picture}{escape(name)}"
        if index < len(hrefs) and hrefs[index]:
            text = f'<a class="plain" href="{escape(hrefs[index])}">{text}</a>'
        items.append(f"<li>{text}</li>")
    return SafeString(f'<ul class="legend">{"".join(items)}</ul>')


def _svg(
    name: str, drawn: Sequence[str], *, width: float = WIDTH, height: float = HEIGHT, kind: str = "plot"
) -> SafeString:
    return SafeString(
        f'<svg class="chart" data-kind="{kind}" viewBox="0 0 {_n(width)} {_n(height)}" role="group"'
        f' aria-label="{escape(name)}">{"".join(drawn)}</svg>'
    )


def _axes(box: _Box, slots: Sequence[Slot], unit: Unit) -> str:
    drawn = []
    for value in box.ticks:
        y = box.y(value)
        kind = "grid" if value else "base"
        drawn.append(f'<path class="{kind}" d="M{_n(box.left)} {_n(y)}H{_n(box.right)}"/>')
        drawn.append(
            f'<text x="{_n(box.left - 8)}" y="{_n(y + 4)}" text-anchor="end">'
            f"{escape(unit.axis(value))}</text>"
        )
    for number, place in enumerate(shown_labels(len(slots), LABELS)):
        minor = ' class="minor"' if number % 2 else ""
        x = min(box.x(place + 0.5), box.right - 14)
        drawn.append(
            f'<text x="{_n(x)}" y="{_n(box.bottom + 19)}" text-anchor="middle"{minor}>'
            f"{escape(slots[place].short)}</text>"
        )
    return f'<g aria-hidden="true">{"".join(drawn)}</g>'


def _line(box: _Box, each: Series, index: int) -> str:
    points = [
        None if (value := known(one.value)) is None else (box.x(place + 0.5), box.y(value))
        for place, one in enumerate(each.data)
    ]
    there = [point for point in points if point is not None]
    marked = there if len(there) <= 32 else there[:: len(there) // 16]
    markers = "".join(_marker(x, y, index) for x, y in marked)
    path = "".join(_runs(points))
    return f'<g aria-hidden="true"><path class="line s{index % SERIES + 1}" d="{path}"/>{markers}</g>'


def _runs(points: Sequence[tuple[float, float] | None]) -> Iterator[str]:
    """Path pieces; a gap begins a new one. A point alone is a dot, by a line of no length."""
    pen = "M"
    for place, point in enumerate(points):
        if point is None:
            pen = "M"
            continue
        yield f"{pen}{_n(point[0])} {_n(point[1])}"
        if pen == "M" and (place + 1 == len(points) or points[place + 1] is None):
            yield "h0"
        pen = "L"


def _names(box: _Box, series: Sequence[Series]) -> str:
    """The names of the lines beside their ends, moved apart where they would cover each other."""
    ends: list[tuple[float, int, str]] = []
    for index, each in enumerate(series):
        there = [value for one in each.data if (value := known(one.value)) is not None]
        if there:
            ends.append((box.y(there[-1]), index, each.name))
    drawn, lowest = [], box.top - 10
    for y, index, text in sorted(ends):
        at = lowest = min(max(y + 4, lowest + 14), box.bottom)
        drawn.append(
            f'<text class="end t{index % SERIES + 1}" x="{_n(box.right + 6)}" y="{_n(at)}">'
            f"{escape(_cut(text, 15))}</text>"
        )
    return f'<g aria-hidden="true">{"".join(drawn)}</g>'


def _marker(x: float, y: float, index: int) -> str:
    """Disc, square, triangle, diamond, cross, ring: one a series."""
    kind = index % SERIES
    look = f'class="mark m{kind + 1}"'
    match kind:
        case 0 | 5:
            return f'<circle {look} cx="{_n(x)}" cy="{_n(y)}" r="2.6"/>'
        case 1:
            return f'<path {look} d="M{_n(x - 2.5)} {_n(y - 2.5)}h5v5h-5z"/>'
        case 2:
            return f'<path {look} d="M{_n(x)} {_n(y - 3)}l3 5.4h-6z"/>'
        case 3:
            return f'<path {look} d="M{_n(x)} {_n(y - 3.4)}l3.4 3.4l-3.4 3.4l-3.4 -3.4z"/>'
        case _:
            return f'<path {look} d="M{_n(x - 2.6)} {_n(y - 2.6)}l5.2 5.2m0 -5.2l-5.2 5.2"/>'


_HATCHES: Final = (
    "",
    "M0 6L6 0M-1 1L1 -1M5 7L7 5",
    "M3 2.2h.01M0 5.2h.01M6 5.2h.01",
    "M0 3H6",
    "M3 0V6",
    "M0 0L6 6M-1 5L1 7M5 -1L7 1",
)


def _patterns(key: str, count: int) -> str:
    """Hatchings of the series from the second on, under ids of this chart's own."""
    drawn = "".join(
        f'<pattern id="{escape(key)}-p{index + 1}" width="6" height="6" patternUnits="userSpaceOnUse">'
        f'<rect class="soft c{index + 1}" width="6" height="6"/>'
        f'<path class="hatch k{index + 1}" d="{_HATCHES[index]}"/></pattern>'
        for index in range(1, min(count, SERIES))
    )
    return f"<defs>{drawn}</defs>" if drawn else ""


def _fill(key: str, index: int) -> str:
    """The class of the first series, the hatching of another."""
    number = index % SERIES
    if not number:
        return 'class="piece c1"'
    return f'class="piece e{number + 1}" fill="url(#{escape(key)}-p{number + 1})"'


def _rect(x: float, y: float, width: float, height: float, kind: str, look: str = "") -> str:
    look = look or f'class="{kind}"'
    return f'<rect {look} x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"/>'


def _link(href: str, text: str, inner: str) -> str:
    """With a name for who hears and who points; without an address a group with a title."""
    said = escape(text)
    if not href:
        return f'<g role="img" aria-label="{said}"><title>{said}</title>{inner}</g>'
    return f'<a href="{escape(href)}" aria-label="{said}"><title>{said}</title>{inner}</a>'


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _n(value: float) -> str:
    """A coordinate: one decimal, no trailing zeros."""
    return f"{value:.1f}".removesuffix(".0")
