"""The figures of the dashboard, out of tallies."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tenex.lib.periods import Period
from tenex.pages import charts, scales
from tenex.pages.charts import Datum, Series
from tenex.pages.scales import Slot, Unit
from tenex.pages.templatetags.ui import duration, ms
from voice.console import call_links
from voice.console.dashboard_query import Asked
from voice.console.figures import FEW, Cell, Figure, Line, dollars, percent, rate
from voice.models import Outcome
from voice.selectors.measures import OUTCOMES, percentile_ms
from voice.selectors.metrics import Tally
from voice.services import costs

GROUPS: Final[tuple[tuple[str, tuple[Outcome, ...]], ...]] = (
    ("Qualified", (Outcome.QUALIFIED,)),
    ("Callback or transferred", (Outcome.CALLBACK, Outcome.TRANSFERRED)),
    ("Not qualified, or unclear", (Outcome.UNQUALIFIED, Outcome.UNDETERMINED)),
    ("Opted out", (Outcome.OPTED_OUT,)),
    ("Failed or canceled", (Outcome.FAILED, Outcome.CANCELED)),
    ("Not reached", (Outcome.NO_ANSWER, Outcome.BUSY, Outcome.VOICEMAIL)),
)
WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WEEKDAY_NAMES: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Over:
    """Tallies of the buckets of a period, and how the buckets are called."""

    asked: Asked
    buckets: Sequence[Period]
    tallies: Sequence[Tally]
    slots: Sequence[Slot]

    @classmethod
    def of(cls, asked: Asked, buckets: Sequence[Period], tallies: Sequence[Tally]) -> "Over":
        starts = [bucket.start.astimezone(asked.zone) for bucket in buckets]
        return cls(asked, buckets, tallies, scales.time_slots(starts, asked.granularity))

    def href(self, place: int, outcomes: Sequence[Outcome] = ()) -> str:
        """The calls of one bucket; nothing leads to none."""
        tally = self.tallies[place]
        count = sum(tally.sums[OUTCOMES[one]] for one in outcomes) if outcomes else tally.sums["calls"]
        if not count:
            return ""
        return call_links.calls(self.buckets[place], self.asked.which, outcomes=outcomes)

    def lines(self, cells: Callable[[Tally], Sequence[Cell]]) -> list[Line]:
        return [
            Line(slot.long, cells(tally), self.href(place))
            for place, (slot, tally) in enumerate(zip(self.slots, self.tallies, strict=True))
        ]

    @property
    def is_empty(self) -> bool:
        return not any(tally.sums["calls"] for tally in self.tallies)


def over_time(over: Over) -> list[Figure]:
    """All figures that have a time axis."""
    return [_outcomes(over), _rates(over), _latency(over), _durations(over), _cost(over), _meetings(over)]


def _outcomes(over: Over) -> Figure:
    def of_group(tally: Tally, outcomes: Sequence[Outcome]) -> int:
        return sum(tally.sums[OUTCOMES[one]] for one in outcomes)

    series = [
        Series(
            name,
            [
                Datum(count := of_group(tally, outcomes), f"{count:,}", over.href(place, outcomes))
                for place, tally in enumerate(over.tallies)
            ],
        )
        for name, outcomes in GROUPS
    ]
    whole = Period(over.buckets[0].start, over.buckets[-1].end)
    hrefs = [call_links.calls(whole, over.asked.which, outcomes=outcomes) for _, outcomes in GROUPS]
    return Figure(
        "outcomes",
        "Calls by outcome",
        "Finalized calls, by when they were created.",
        charts.bars("outcomes", "Calls by outcome", over.slots, series, scales.COUNT),
        ["Calls", *(name for name, _ in GROUPS)],
        over.lines(
            lambda tally: [
                _number(tally.sums["calls"]),
                *(_number(of_group(tally, outcomes)) for _, outcomes in GROUPS),
            ]
        ),
        charts.legend("outcomes", [name for name, _ in GROUPS], filled=True, hrefs=hrefs),
        empty=over.is_empty,
    )


def _rates(over: Over) -> Figure:
    pairs = (
        ("Connect rate", "connected_dialed", "dialed"),
        ("Qualified rate", "qualified", "connected"),
    )
    series = [
        Series(
            name,
            [
                _rate_datum(tally.sums[part], tally.sums[whole], over.href(place))
                for place, tally in enumerate(over.tallies)
            ],
        )
        for name, part, whole in pairs
    ]
    return Figure(
        "rates",
        "Connect and qualified rate",
        "Connected: a person answered, of those dialed. Qualified: of those connected.",
        charts.lines("Connect and qualified rate", over.slots, series, scales.SHARE),
        [name for name, _, _ in pairs],
        over.lines(lambda tally: [rate(tally.sums[part], tally.sums[whole]) for _, part, whole in pairs]),
        charts.legend("rates", [name for name, _, _ in pairs], filled=False),
        empty=over.is_empty,
    )


def _rate_datum(part: int, whole: int, href: str) -> Datum:
    if not whole:
        return Datum(None)
    few = ", few calls" if whole < FEW else ""
    return Datum(part / whole, f"{percent(part / whole)} ({part:,} of {whole:,}{few})", href)


def _latency(over: Over) -> Figure:
    shares = (("Half within", 0.50), ("95 % within", 0.95))
    series = [
        Series(
            name,
            [
                Datum(value := percentile_ms(tally.histogram, share), f"{ms(value)}", over.href(place))
                if tally.sums["turns"]
                else Datum(None)
                for place, tally in enumerate(over.tallies)
            ],
        )
        for name, share in shares
    ]
    return Figure(
        "latency",
        "Delay before an answer",
        "From the end of the other side's speech to the agent's first sound: half and 95 % of them came "
        "within this time. Right to 5 %.",
        charts.lines("Delay before an answer", over.slots, series, scales.MS),
        ["Answers", *(name for name, _ in shares)],
        over.lines(
            lambda tally: [
                _number(tally.sums["turns"]),
                *(
                    Cell(ms(value), value, few=0 < tally.sums["turns"] < FEW)
                    for value in (percentile_ms(tally.histogram, share) for _, share in shares)
                ),
            ]
        ),
        charts.legend("latency", [name for name, _ in shares], filled=False),
        empty=not any(tally.sums["turns"] for tally in over.tallies),
    )


def _durations(over: Over) -> Figure:
    def average_s(tally: Tally) -> float | None:
        connected = tally.sums["connected"]
        return tally.sums["duration_ms"] / connected / 1000 if connected else None

    return _bars(
        over,
        "duration",
        "Average length of a conversation",
        "Of connected calls, from answer to end; minutes and seconds.",
        average_s,
        lambda tally, value: f"{duration(value)} ({tally.sums['connected']:,} calls)",
        scales.SECONDS,
    )


def _cost(over: Over) -> Figure:
    return _bars(
        over,
        "cost",
        "Cost",
        "Model and carrier, by the prices of the settings; your bills are the truth.",
        lambda tally: costs.of_sums(tally.sums) / 1_000_000,
        lambda tally, value: dollars(value * 1_000_000),
        scales.MONEY,
    )


def _meetings(over: Over) -> Figure:
    return _bars(
        over,
        "meetings",
        "Meetings booked",
        "Calls in which a meeting was booked.",
        lambda tally: tally.sums["meetings_booked"],
        lambda tally, value: f"{value:,.0f}",
        scales.COUNT,
    )


def _bars(
    over: Over,
    key: str,
    title: str,
    note: str,
    value_of: Callable[[Tally], float | None],
    text_of: Callable[[Tally, float], str],
    unit: Unit,
) -> Figure:
    """One value a bucket."""

    def cell(tally: Tally) -> Cell:
        value = value_of(tally)
        return Cell("–", "") if value is None else Cell(text_of(tally, value), round(value, 6))

    data = []
    for place, tally in enumerate(over.tallies):
        value = value_of(tally)
        data.append(Datum(None) if value is None else Datum(value, text_of(tally, value), over.href(place)))
    return Figure(
        key,
        title,
        note,
        charts.bars(key, title, over.slots, [Series(title, data)], unit),
        [title],
        over.lines(lambda tally: [cell(tally)]),
        empty=not any(datum.value for datum in data),
    )


def by_hour(asked: Asked, slots: dict[tuple[int, int], Tally]) -> Figure:
    """When people answer: weekday by hour of the day."""
    hours = [f"{hour:02}" for hour in range(24)]
    cells, lines = [], []
    rates = [
        tally.sums["connected_dialed"] / tally.sums["dialed"]
        for tally in slots.values()
        if tally.sums["dialed"] >= FEW
    ]
    for day in range(1, 8):
        row = []
        for hour in range(24):
            tally = slots.get((day, hour)) or Tally()
            part, whole = tally.sums["connected_dialed"], tally.sums["dialed"]
            href = call_links.calls(asked.period, asked.which, more={"weekday": day, "hour": hour})
            if not whole:
                row.append(Datum(None))
                continue
            few = "*" if whole < FEW else ""
            words = f"connect rate {percent(part / whole)}, {part:,} of {whole:,} dialed"
            row.append(Datum(part / whole, f"{part / whole * 100:.0f}{few}|{words}", href))
            lines.append(
                Line(
                    f"{WEEKDAY_NAMES[day - 1]} {hour:02}:00",
                    [_number(whole), _number(part), rate(part, whole)],
                    href,
                )
            )
        cells.append(row)
    return Figure(
        "hours",
        "When people answer",
        f"Connect rate in per cent by weekday and hour, on the clock of {asked.zone.key}. "
        f"* of fewer than {FEW} calls.",
        charts.heat("Connect rate by weekday and hour", WEEKDAYS, hours, cells, top=max(rates, default=1.0)),
        ["Dialed", "Connected", "Connect rate"],
        lines,
        wide=True,
        empty=not lines,
    )


@dataclass(frozen=True, slots=True)
class Part:
    """One row of the breakdown: a name, the calls behind it, their tally."""

    name: str
    href: str
    tally: Tally


PART_HEADS: Final = (
    "Calls",
    "Connect rate",
    "Qualified rate",
    "Meetings",
    "Avg. length",
    "Median delay",
    "95 % delay",
    "Cost",
)


def breakdown(title: str, parts: Sequence[Part]) -> Figure:
    """The same figures for each part of the calls."""
    return Figure(
        "parts",
        f"By {title}",
        "",
        charts.hbars("", []),
        PART_HEADS,
        [Line(part.name, part_cells(part.tally), part.href) for part in parts],
        first_head=title.capitalize(),
        wide=True,
        empty=not parts,
    )


def part_cells(tally: Tally) -> list[Cell]:
    sums = tally.sums
    connected, cost = sums["connected"], costs.of_sums(sums)
    half, most = (percentile_ms(tally.histogram, share) for share in (0.50, 0.95))
    average = sums["duration_ms"] / connected / 1000 if connected else None
    return [
        _number(sums["calls"]),
        rate(sums["connected_dialed"], sums["dialed"]),
        rate(sums["qualified"], connected),
        _number(sums["meetings_booked"]),
        Cell(duration(average), round(average, 1) if average is not None else ""),
        Cell(ms(half), half if half is not None else ""),
        Cell(ms(most), most if most is not None else ""),
        Cell(dollars(cost), round(cost / 1_000_000, 6)),
    ]


def _number(value: int) -> Cell:
    return Cell(f"{value:,}", value)
