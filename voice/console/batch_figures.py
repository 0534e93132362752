"""The figures of a batch."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from tenex.pages import charts, scales
from tenex.pages.charts import Bar, Datum, Series
from tenex.pages.scales import Slot
from voice.console import call_links
from voice.console.figures import Cell, Figure, Line, dollars, percent, rate
from voice.console.reasons import words
from voice.models import Batch, Outcome
from voice.outbound.foresight import Preview
from voice.selectors.batch_stats import Funnel, Stats
from voice.selectors.metrics import Which


def _page(batch: Batch, **query: str) -> str:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    return f"{call_links.batch(batch.pk)}?{asked}#recipients"


def funnel(batch: Batch, found: Funnel) -> Figure:
    """How many leads came how far."""
    which = Which(batch_id=batch.pk)
    steps = [
        ("Leads", found.total, _page(batch)),
        ("May be called", found.allowed, _page(batch)),
        ("Dialed", found.dialed, call_links.calls(which=which)),
        ("A person answered", found.connected, call_links.calls(which=which)),
        ("Qualified", found.qualified, call_links.calls(which=which, outcomes=[Outcome.QUALIFIED])),
        ("Meeting booked", found.meetings, call_links.calls(which=which, outcomes=[Outcome.QUALIFIED])),
    ]
    bars, lines = [], []
    for place, (name, count, href) in enumerate(steps):
        before = steps[place - 1][1] if place else 0
        note = f"{percent(count / before)} of the step before" if before else ""
        bars.append(Bar(name, Datum(count, f"{count:,}", href if count else ""), note))
        lines.append(
            Line(name, [Cell(f"{count:,}", count), rate(count, before) if place else Cell("", "")], href)
        )
    return Figure(
        "funnel",
        "Funnel",
        "Leads, each step a part of the one before.",
        charts.funnel("Funnel of the leads", bars),
        ["Leads", "Of the step before"],
        lines,
        first_head="Step",
        empty=not found.total,
    )


def refusals(batch: Batch, found: dict[str, int]) -> Figure:
    """Why leads are not called."""
    ordered = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
    bars = [
        Bar(words(code), Datum(count, f"{count:,}", _page(batch, status="refused", code=code)))
        for code, count in ordered
    ]
    return Figure(
        "refusals",
        "Not called, and why",
        "",
        charts.hbars("Reasons", bars),
        ["Leads"],
        [Line(bar.name, [Cell(bar.datum.text, bar.datum.value)], bar.datum.href) for bar in bars],
        first_head="Reason",
        empty=not bars,
    )


def hours(batch: Batch, found: Stats) -> Figure:
    """When calls were placed and answered, on the clock of those who were called."""
    slots = [Slot(f"{one.hour:02}", f"{one.hour:02}:00 to {one.hour:02}:59") for one in found.hours]
    href = call_links.calls(which=Which(batch_id=batch.pk))
    series = [
        Series("Dialed", [Datum(one.dialed, f"{one.dialed:,}", href) for one in found.hours]),
        Series(
            "A person answered", [Datum(one.connected, f"{one.connected:,}", href) for one in found.hours]
        ),
    ]
    return Figure(
        "batch-hours",
        "By hour of the day",
        "Calls, on the clock of those who were called.",
        charts.grouped("batch-hours", "Calls by hour of the day", slots, series, scales.COUNT),
        ["Dialed", "A person answered", "Connect rate"],
        [
            Line(
                f"{one.hour:02}:00",
                [
                    Cell(f"{one.dialed:,}", one.dialed),
                    Cell(f"{one.connected:,}", one.connected),
                    rate(one.connected, one.dialed),
                ],
            )
            for one in found.hours
            if one.dialed
        ],
        charts.legend("batch-hours", [each.name for each in series], filled=True),
        first_head="Hour",
        empty=not any(one.dialed for one in found.hours),
    )


def versions(batch: Batch, found: Stats) -> Figure:
    """What each version of the agent brought."""
    lines = []
    for one in found.versions:
        href = call_links.calls(which=Which(batch_id=batch.pk), more={"version": one.number})
        cells = [
            Cell("–" if one.weight is None else str(one.weight), one.weight or ""),
            Cell(f"{one.leads:,}", one.leads),
            rate(one.connected, one.dialed),
            rate(one.qualified, one.connected),
            Cell(f"{one.meetings:,}", one.meetings),
            Cell(dollars(one.cost_microusd), round(one.cost_microusd / 1_000_000, 6)),
        ]
        lines.append(Line(f"Version {one.number}", cells, href))
    return Figure(
        "versions",
        "By version of the agent",
        "",
        charts.hbars("", []),
        ["Weight", "Leads", "Connect rate", "Qualified rate", "Meetings", "Cost"],
        lines,
        first_head="Version",
        empty=not lines,
    )


@dataclass(frozen=True, slots=True)
class Opening:
    """How many leads can be called from this hour on."""

    at: datetime
    count: int


def openings(batch: Batch, found: Preview) -> Figure:
    """From when on the leads of a preview can be called."""
    ordered = sorted(found.hours.items())[:48]
    slots = [Slot(f"{at:%-d %b %H:%M}", f"{at:%a %-d %b, %H:%M %Z}") for at, _ in _local(batch, ordered)]
    data = [Datum(count, f"{count:,} leads", "") for _, count in ordered]
    return Figure(
        "openings",
        "From when on they can be called",
        f"Leads by the hour, on the clock of {batch.workspace.time_zone}.",
        charts.bars("openings", "Leads by hour", slots, [Series("Leads", data)], scales.COUNT),
        ["Leads"],
        [
            Line(slot.long, [Cell(f"{count:,}", count)])
            for slot, (_, count) in zip(slots, ordered, strict=True)
        ],
        empty=not ordered,
    )


def _local(batch: Batch, ordered: list[tuple[datetime, int]]) -> list[tuple[datetime, int]]:
    zone = ZoneInfo(batch.workspace.time_zone)
    return [(at.astimezone(zone), count) for at, count in ordered]
