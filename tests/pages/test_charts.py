"""Charts hold whatever they are given: coordinates are numbers inside of the box, each datum has a name."""

import math
import re
from datetime import datetime
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenex.lib.periods import Granularity
from tenex.pages import charts, scales
from tenex.pages.charts import Bar, Datum, Series
from tenex.pages.scales import COUNT, MONEY, MS, SECONDS, SHARE, Slot, Unit

VALUE = st.one_of(
    st.none(),
    st.floats(),  # infinities and what is no number too
    st.floats(0, 1),
    st.integers(0, 10**15).map(float),
    st.sampled_from([0.0, 1e-300, 1.7e308, -5.0]),
)
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
UNIT = st.sampled_from([COUNT, SHARE, MS, SECONDS, MONEY])
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


@st.composite
def plots(draw: st.DrawFn) -> tuple[list[Slot], list[Series]]:
    count = draw(st.integers(0, 12))
    slots = [Slot(f"{n}", f"slot {n}") for n in range(count)]
    datum = st.builds(Datum, VALUE, TEXT, st.sampled_from(["", "/console/calls?a=1&b=2"]))
    series = draw(
        st.lists(st.builds(Series, TEXT, st.lists(datum, min_size=count, max_size=count)), max_size=7)
    )
    return slots, series


def check(svg: str) -> ElementTree.Element:
    """The drawing as XML; nothing of it is no number, outside of the box, or without a name."""
    root = ElementTree.fromstring(svg)  # noqa: S314 - ours
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    assert root.attrib["aria-label"] is not None
    for node in root.iter():
        assert "style" not in node.attrib
        if node.tag == "pattern" or _in_pattern(root, node):
            continue
        assert not re.search(
            r"nan|inf", " ".join(node.attrib.get(name, "") for name in ("x", "y", "d", "cx"))
        )
        x, y = (float(node.attrib.get(name, 0)) for name in ("x", "y"))
        wide, high = (float(node.attrib.get(name, 0)) for name in ("width", "height"))
        assert min(wide, high) >= 0
        assert -1 <= x <= x + wide <= width + 1
        assert -1 <= y <= y + high <= height + 1
        if "cx" in node.attrib:
            assert 0 <= float(node.attrib["cx"]) <= width
            assert 0 <= float(node.attrib["cy"]) <= height
        for at in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", node.attrib.get("d", "")):
            assert -5 <= float(at[0]) <= width + 5
            assert -5 <= float(at[1]) <= height + 5
        if node.tag == "a":
            assert node.attrib["aria-label"].strip()
            assert node.find("title") is not None
    return root


def _in_pattern(root: ElementTree.Element, node: ElementTree.Element) -> bool:
    return any(node in list(pattern) for pattern in root.iter("pattern"))


@settings(max_examples=40, deadline=None)
@given(plots(), UNIT)
def test_lines_hold_any_values(plot: tuple[list[Slot], list[Series]], unit: Unit) -> None:
    slots, series = plot
    check(charts.lines("Rates", slots, series, unit))


@settings(max_examples=40, deadline=None)
@given(plots(), UNIT)
def test_bars_hold_any_values(plot: tuple[list[Slot], list[Series]], unit: Unit) -> None:
    slots, series = plot
    check(charts.bars("k", "Calls", slots, series, unit))
    check(charts.grouped("k", "Calls", slots, series, unit))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.builds(Bar, TEXT, st.builds(Datum, VALUE, TEXT), TEXT), max_size=12))
def test_lists_of_bars_hold_any_values(rows: list[Bar]) -> None:
    check(charts.hbars("Reasons", rows))
    check(charts.funnel("Funnel", rows))


@settings(max_examples=40, deadline=None)
@given(st.lists(VALUE, max_size=50), TEXT)
def test_sparklines_hold_any_values(values: list[float | None], name: str) -> None:
    check(charts.sparkline(name, values))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(VALUE, min_size=5, max_size=5), min_size=3, max_size=3), st.floats(0, 1e300))
def test_heat_maps_hold_any_values(values: list[list[float | None]], top: float) -> None:
    cells = [[Datum(value, "1|one", "/x") for value in row] for row in values]
    root = check(charts.heat("When", ["a", "b", "c"], list("vwxyz"), cells, top=top))
    assert len(list(root.iter("a"))) == 15


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 1e18), UNIT)
def test_ticks_are_few_evenly_spaced_and_reach_the_highest(highest: float, unit: Unit) -> None:
    highest = min(highest, unit.most)
    found = scales.ticks(highest, unit)
    assert 2 <= len(found) <= 7
    assert found[0] == 0
    assert found[-1] >= highest * (1 - 1e-9)
    assert all(math.isfinite(one) for one in found)
    assert found == sorted(set(found))


@pytest.mark.parametrize(
    ("highest", "unit", "labels"),
    [
        (0, COUNT, ["0", "1", "2", "3", "4"]),
        (37, COUNT, ["0", "10", "20", "30", "40"]),
        (1234, COUNT, ["0", "500", "1k", "1.5k"]),
        (0.83, SHARE, ["0 %", "50 %", "100 %"]),
        (0.07, SHARE, ["0 %", "2 %", "4 %", "6 %", "8 %"]),
        (205, SECONDS, ["0:00", "1:00", "2:00", "3:00", "4:00"]),
        (1900, MS, ["0 ms", "500 ms", "1 s", "1.5 s", "2 s"]),
    ],
)
def test_axes_have_round_numbers(highest: float, unit: Unit, labels: list[str]) -> None:
    assert [unit.axis(one) for one in scales.ticks(highest, unit)] == labels


def test_the_highest_bar_is_at_the_top_and_an_empty_one_is_not_drawn() -> None:
    slots = [Slot("a", "A day"), Slot("b", "B day"), Slot("c", "C day")]
    series = [Series("Calls", [Datum(4, "4", "/four"), Datum(2, "2", "/two"), Datum(0, "0", "/none")])]
    root = check(charts.bars("k", "Calls", slots, series, COUNT))
    links = {link.attrib["href"]: link for link in root.iter("a")}
    assert links.keys() == {"/four", "/two"}
    four, two = (float(links[name].find("rect").attrib["height"]) for name in ("/four", "/two"))  # type: ignore[union-attr]
    assert four == pytest.approx(2 * two, abs=0.2)
    assert links["/two"].attrib["aria-label"] == "B day. Calls: 2"


def test_a_gap_breaks_the_line_and_a_point_alone_is_seen() -> None:
    slots = [Slot(str(n), str(n)) for n in range(5)]
    data = [Datum(1, "1"), Datum(1, "1"), Datum(None), Datum(1, "1"), Datum(None)]
    root = check(charts.lines("One", slots, [Series("One", data)], COUNT))
    [path] = [node.attrib["d"] for node in root.iter("path") if node.attrib["class"] == "line s1"]
    assert path.count("M") == 2
    assert path.endswith("h0")


def test_series_differ_without_colour() -> None:
    slots = [Slot("a", "a"), Slot("b", "b")]
    series = [Series(f"S{n}", [Datum(n + 1, "x"), Datum(n + 2, "y")]) for n in range(6)]
    root = check(charts.lines("Six", slots, series, COUNT))
    looks = {
        node.attrib["class"] for node in root.iter() if node.attrib.get("class", "").startswith("line s")
    }
    assert len(looks) == 6
    assert {text.text for text in root.iter("text")} >= {f"S{n}" for n in range(6)}
    stacked = check(charts.bars("k", "Six", slots, series, COUNT))
    hatches = {node.attrib["d"] for pattern in stacked.iter("pattern") for node in pattern.iter("path")}
    assert len(hatches) == 5


def test_what_people_typed_is_text_and_no_markup() -> None:
    row = Bar("<script>alert(1)</script>", Datum(1, '"><b>', "/x?a=<b>&c"), "&amp;")
    root = check(charts.hbars("<b>", [row]))
    assert not list(root.iter("script"))
    assert next(root.iter("a")).attrib["href"] == "/x?a=<b>&c"


def test_hours_of_a_day_on_which_the_clock_is_changed_say_which_they_are() -> None:
    zone = ZoneInfo("America/New_York")
    twice = [datetime(2026, 11, 1, 1, tzinfo=zone, fold=fold) for fold in (0, 1)]
    first, second = scales.time_slots(twice, Granularity.HOUR)
    assert first.short == second.short == "01:00"
    assert (first.long, second.long) == ("Sun 1 Nov 2026, 01:00 EDT", "Sun 1 Nov 2026, 01:00 EST")
    assert scales.time_slots([datetime(2026, 1, 5)], Granularity.WEEK)[0].long == "Week of 5 Jan 2026"
