"""Figures of the calls of a stretch of time, and how they are told apart."""

import uuid
from collections.abc import Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone

from tenex.lib import periods
from tenex.lib.phone import pretty
from tenex.pages.views import PageView
from voice.console import call_links, dashboard_figures, dashboard_tiles
from voice.console.dashboard_figures import WEEKDAY_NAMES, Over, Part
from voice.console.dashboard_query import CUTS, RANGES, Asked, read
from voice.console.figures import Figure, as_csv
from voice.models import Direction
from voice.selectors import agents as read_agents
from voice.selectors import batches as read_batches
from voice.selectors import metrics
from voice.selectors.metrics import Cut, Tally

_BUCKETS: Final = 400
TITLES: Final = {
    "agent": "agent", "version": "version", "number": "number", "batch": "batch", "hour": "hour of the day",
    "weekday": "weekday",
}  # fmt: skip


class _Figures(PageView):
    scope = "calls:read"
    nav = "dashboard"

    def asked(self) -> Asked:
        return read(self.request.GET, ZoneInfo(self.workspace.time_zone), timezone.now())

    def over(self, asked: Asked) -> tuple[Tally, Over]:
        """The period before, and the buckets of the asked one: one statement."""
        cut = periods.buckets(asked.period, asked.granularity, asked.zone, most=_BUCKETS)
        before = periods.before(asked.period, asked.zone)
        buckets = cut or [asked.period]
        earlier, *tallies = metrics.tallies(self.workspace, [before, *buckets], asked.which)
        return earlier, Over.of(asked, buckets, tallies)

    def hours(self, asked: Asked) -> dict[tuple[int, int], Tally]:
        return metrics.tallies_by_slot(self.workspace, asked.period, asked.which, asked.zone)

    def parts(self, asked: Asked, slots: Mapping[tuple[int, int], Tally] | None = None) -> Figure:
        """The breakdown by what is asked for."""
        if asked.by in ("hour", "weekday"):
            found = self._parts_of_time(asked, slots if slots is not None else self.hours(asked))
        else:
            cut = Cut(asked.by)
            tallies = metrics.tallies_by(self.workspace, asked.period, asked.which, cut)
            found = self._parts_of(asked, cut, tallies)
        return dashboard_figures.breakdown(TITLES[asked.by], found)

    def _parts_of_time(self, asked: Asked, slots: Mapping[tuple[int, int], Tally]) -> list[Part]:
        place = 0 if asked.by == "weekday" else 1
        names = (
            dict(enumerate(WEEKDAY_NAMES, 1))
            if asked.by == "weekday"
            else {hour: f"{hour:02}:00" for hour in range(24)}
        )
        sums = {key: Tally() for key in names}
        for slot, tally in slots.items():
            sums[slot[place]].merge(tally)
        return [
            Part(name, call_links.calls(asked.period, asked.which, more={asked.by: key}), sums[key])
            for key, name in names.items()
            if sums[key].sums["calls"]
        ]

    def _parts_of(self, asked: Asked, cut: Cut, tallies: Mapping[uuid.UUID | None, Tally]) -> list[Part]:
        known = self._known(cut, [key for key in tallies if key])
        there = sorted(
            ((key, tally) for key, tally in tallies.items() if tally.sums["calls"]),
            key=lambda pair: -pair[1].sums["calls"],
        )
        return [
            Part(name, call_links.calls(asked.period, asked.which, more=narrowed) if narrowed else "", tally)
            for key, tally in there
            for name, narrowed in [known.get(key, ("(deleted)" if key else "(none)", {}))]
        ]

    def _known(self, cut: Cut, ids: list[uuid.UUID]) -> dict[uuid.UUID | None, tuple[str, dict[str, object]]]:
        """By id: what it is called, and the filters of its calls."""
        match cut:
            case Cut.AGENT:
                names = {one.pk: one.name for one in read_agents.every_agent(self.workspace)}
            case Cut.VERSION:
                return {
                    one.pk: (
                        f"{one.agent.name}, version {one.number}",
                        {"agent_id": one.agent_id, "version": one.number},
                    )
                    for one in read_agents.versions_by_id(self.workspace, ids).values()
                }
            case Cut.NUMBER:
                numbers = read_agents.numbers(self.workspace)
                names = {one.pk: f"{pretty(one.e164)} {one.label}".strip() for one in numbers}
            case Cut.BATCH:
                names = read_batches.names(self.workspace, ids)
        return {key: (name, {f"{cut.value}_id": key}) for key, name in names.items()}


class Dashboard(_Figures):
    def get(self, request: HttpRequest) -> HttpResponse:
        asked = self.asked()
        context: dict[str, Any] = {
            "asked": asked,
            "ranges": RANGES,
            "cuts": [(cut, TITLES[cut].capitalize()) for cut in CUTS],
            "agents": read_agents.every_agent(self.workspace)[:200],
            "numbers": read_agents.numbers(self.workspace)[:200],
            "batches": read_batches.named(self.workspace),
            "directions": Direction.choices,
        }
        if asked.errors:
            return self.page("console/dashboard.html", context, status=422)
        earlier, over = self.over(asked)
        whole = Tally()
        for tally in over.tallies:
            whole.merge(tally)
        slots = self.hours(asked)
        figures = dashboard_figures.over_time(over)
        context |= {
            "tiles": dashboard_tiles.tiles(asked, whole, earlier, over.tallies),
            "before": periods.before(asked.period, asked.zone),
            "open": whole.open,
            "first_figure": figures[0],
            "figures": figures[1:],
            "hours": dashboard_figures.by_hour(asked, slots),
            "parts": self.parts(asked, slots),
            "empty": not whole.sums["calls"],
        }
        return self.page("console/dashboard.html", context)


class DashboardCsv(_Figures):
    """One figure as a file: `/console/dashboard/<key>.csv` with the page's query."""

    def get(self, request: HttpRequest, key: str) -> HttpResponse:
        asked = self.asked()
        if asked.errors:
            raise Http404
        figure = self._figure(asked, key)
        return as_csv(figure, name=f"{key}-{asked.first}-{asked.last}.csv")

    def _figure(self, asked: Asked, key: str) -> Figure:
        if key == "parts":
            return self.parts(asked)
        if key == "hours":
            return dashboard_figures.by_hour(asked, self.hours(asked))
        _, over = self.over(asked)
        for figure in dashboard_figures.over_time(over):
            if figure.key == key:
                return figure
        raise Http404
