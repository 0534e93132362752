"""Gauges out of rows. A value that has no rows is 0 and there: an alert cannot look at what is missing."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from django.db import connection
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

MOST = 100_000
"""A queue is counted no further: that it is long is known by then."""


def gauge(name: str, documentation: str, value: float | timedelta | None) -> Metric:
    """One value; None is 0, a length of time is seconds."""
    return GaugeMetricFamily(name, documentation, value=_number(value))


def gauge_by(
    label: str,
    name: str,
    documentation: str,
    found: Mapping[str, float | timedelta | None],
    known: Iterable[str] = (),
) -> Metric:
    """One value for each of `known`, 0 where there is none found."""
    family = GaugeMetricFamily(name, documentation, labels=[label])
    for value in dict.fromkeys((*known, *found)):
        family.add_metric([value], _number(found.get(value)))
    return family


def rows(sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """What a statement finds."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return list(cursor.fetchall())


def row(sql: str, **parameters: Any) -> tuple[Any, ...]:
    """Of a statement that always finds one: the aggregates of something."""
    return rows(sql, **parameters)[0]


def _number(value: float | timedelta | None) -> float:
    if isinstance(value, timedelta):
        return max(0.0, value.total_seconds())
    return float(value or 0)
