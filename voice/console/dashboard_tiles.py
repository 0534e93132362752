"""The figures at the top of the dashboard: the period, the one before it, and how it went."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from django.utils.safestring import SafeString

from tenex.pages import charts
from tenex.pages.templatetags.ui import duration, ms
from voice.console import call_links
from voice.console.dashboard_query import Asked
from voice.console.figures import FEW, dollars, percent
from voice.models import Outcome
from voice.selectors.measures import percentile_ms
from voice.selectors.metrics import Tally
from voice.services import costs


@dataclass(frozen=True, slots=True)
class Tile:
    """`of` is what a rate is a part of; `before` and `change` are about the period before."""

    label: str
    value: str
    of: str = ""
    few: bool = False
    before: str = ""
    change: str = ""
    href: str = ""
    spark: SafeString = field(default_factory=SafeString)


type Value = Callable[[Tally], float | None]


def tiles(asked: Asked, now: Tally, before: Tally, buckets: Sequence[Tally]) -> list[Tile]:
    """All of them, in the order of the page."""
    calls = call_links.calls(asked.period, asked.which)
    qualified = call_links.calls(asked.period, asked.which, outcomes=[Outcome.QUALIFIED])

    def count(label: str, name: str, href: str) -> Tile:
        return _tile(label, lambda tally: tally.sums[name], _count, now, before, buckets, href)

    def rate(label: str, part: str, whole: str, words: str, href: str) -> Tile:
        base = _tile(label, _rate(part, whole), percent, now, before, buckets, href, points=True)
        of = f"{now.sums[part]:,} of {now.sums[whole]:,} {words}"
        few = now.sums[whole] < FEW
        return Tile(
            base.label,
            base.value,
            of,
            few and bool(now.sums[whole]),
            f"{base.before} of {before.sums[whole]:,}" if before.sums[whole] else base.before,
            "" if few or before.sums[whole] < FEW else base.change,
            base.href,
            base.spark,
        )

    return [
        count("Calls", "calls", calls),
        rate("Connect rate", "connected_dialed", "dialed", "dialed", calls),
        rate("Qualified rate", "qualified", "connected", "connected", qualified),
        count("Meetings", "meetings_booked", qualified),
        _tile("Avg. conversation", _average_s, duration, now, before, buckets, calls),
        _tile("Median delay", _percentile(0.50), ms, now, before, buckets, calls),
        _tile("95 % delay", _percentile(0.95), ms, now, before, buckets, calls),
        _tile("Cost", lambda tally: costs.of_sums(tally.sums), dollars, now, before, buckets, calls),
    ]


def _tile(
    label: str,
    value_of: Value,
    text: Callable[[float], str],
    now: Tally,
    before: Tally,
    buckets: Sequence[Tally],
    href: str,
    *,
    points: bool = False,
) -> Tile:
    value, earlier = value_of(now), value_of(before)
    return Tile(
        label,
        "–" if value is None else text(value),
        before="–" if earlier is None else text(earlier),
        change=_change(value, earlier, points=points),
        href=href if now.sums["calls"] else "",
        spark=charts.sparkline(f"{label} over the period", [value_of(one) for one in buckets]),
    )


def _change(value: float | None, earlier: float | None, *, points: bool) -> str:
    """`▲ 12 %`, or `▲ 1.4 points` of rates; empty where there is nothing to compare with."""
    if value is None or earlier is None or (not points and not earlier):
        return ""
    change = (value - earlier) * 100 if points else (value / earlier - 1) * 100
    if abs(change) < 0.05:
        return "unchanged"
    sign = "▲" if change > 0 else "▼"
    size = abs(change)
    shown = f"{size:.1f}" if points or size < 10 else f"{size:,.0f}"
    return f"{sign} {shown} {'points' if points else '%'}"


def _rate(part: str, whole: str) -> Value:
    return lambda tally: tally.sums[part] / tally.sums[whole] if tally.sums[whole] else None


def _average_s(tally: Tally) -> float | None:
    connected = tally.sums["connected"]
    return tally.sums["duration_ms"] / connected / 1000 if connected else None


def _percentile(share: float) -> Value:
    return lambda tally: percentile_ms(tally.histogram, share)


def _count(value: float) -> str:
    return f"{value:,.0f}"
