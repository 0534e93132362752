"""Figures of calls: one stretch of time, or cut into buckets."""

from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from tenex.errors import InvalidInput
from tenex.lib import periods, zones
from tenex.lib.periods import Granularity, Period
from tenex.rest import filters as strict
from tenex.rest.moments import in_zone
from tenex.rest.schema import operation, query_parameters
from tenex.rest.views import ApiView
from voice.api.filters import MetricsFilters, SeriesFilters
from voice.api.metrics_outputs import MetricsOut, SeriesOut, figures
from voice.selectors import metrics as read
from voice.selectors.metrics import Which

TAG = "Metrics"
MAX_BUCKETS = 1000
DEFAULT_DAYS = 30


class Metrics(ApiView):
    scopes: ClassVar = {"GET": "calls:read"}

    @operation(
        "metrics_get",
        "Get figures",
        "What came of the calls that were created in a stretch of time: dialed, connected, qualified, how "
        "long they lasted, how fast the agent answered, what the model used. Exact, up to this moment.",
        tag=TAG,
        response=MetricsOut,
        parameters=query_parameters(MetricsFilters),
    )
    def get(self, request: Request) -> Response:
        asked = strict.values(MetricsFilters, self.query)
        zone = _zone(asked, self.workspace.time_zone)
        period = _period(asked, zone)
        wanted = [periods.before(period, zone), period] if asked["compare"] else [period]
        *earlier, now = [figures(tally) for tally in read.tallies(self.workspace, wanted, _which(asked))]
        previous = {**_bounds(wanted[0]), **earlier[0]} if earlier else None
        return Response(
            {
                "company_id": self.workspace.pk,
                **_bounds(period),
                "time_zone": zone.key,
                **now,
                "previous": previous,
            }
        )


class MetricsSeries(ApiView):
    scopes: ClassVar = {"GET": "calls:read"}

    @operation(
        "metrics_timeseries",
        "Get figures over time",
        "The same figures in buckets of an hour, a day or a week by the clock of `time_zone`: every bucket, "
        f"also those without calls, and at most {MAX_BUCKETS}.",
        tag=TAG,
        response=SeriesOut,
        parameters=query_parameters(SeriesFilters),
    )
    def get(self, request: Request) -> Response:
        asked = strict.values(SeriesFilters, self.query)
        zone = _zone(asked, self.workspace.time_zone)
        period = _period(asked, zone)
        by = Granularity(asked["granularity"] or Granularity.DAY)
        cut = periods.buckets(period, by, zone, most=MAX_BUCKETS)
        if cut is None:
            raise InvalidInput(
                f"that would be more than {MAX_BUCKETS} buckets",
                loc=("query", "granularity"),
                type_="too_many_buckets",
            )
        tallies = read.tallies(self.workspace, cut, _which(asked))
        return Response(
            {
                "company_id": self.workspace.pk,
                **_bounds(period),
                "time_zone": zone.key,
                "granularity": by.value,
                "buckets": [
                    {
                        "start": bucket.start.astimezone(zone),
                        "end": bucket.end.astimezone(zone),
                        **figures(tally),
                    }
                    for bucket, tally in zip(cut, tallies, strict=True)
                ],
            }
        )


def _zone(asked: dict[str, Any], default: str) -> ZoneInfo:
    """
    Raises:
        InvalidInput: no such zone.
    """
    if not asked["time_zone"]:
        return zones.first_zone(default)
    zone = zones.zone(asked["time_zone"])
    if zone is None:
        raise InvalidInput("no such time zone", loc=("query", "time_zone"), type_="time_zone")
    return zone


def _period(asked: dict[str, Any], zone: ZoneInfo) -> Period:
    """From `from` to `to`; by default the last days of the zone's calendar.

    Raises:
        InvalidInput: it would end before it begins.
    """
    end = in_zone(asked["to"], zone) if asked["to"] else timezone.now()
    start = (
        in_zone(asked["from"], zone) if asked["from"] else periods.last_days(end, DEFAULT_DAYS, zone).start
    )
    period = periods.utc(start, end)
    if period.start >= period.end:
        raise InvalidInput("must be later than `from`", loc=("query", "to"), type_="value_error")
    return period


def _which(asked: dict[str, Any]) -> Which:
    return Which(
        agent_id=asked["agent_id"],
        number_id=asked["number_id"],
        batch_id=asked["batch_id"],
        direction=asked["direction"] or None,
    )


def _bounds(period: Period) -> dict[str, Any]:
    return {"from": period.start, "to": period.end}
