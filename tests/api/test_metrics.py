"""Figures over HTTP: definitions, buckets over changes of the clock, and every way to ask wrongly."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.api.world import Api, Tenant, live_call
from voice.models import Call, MetricsHour, Verdict
from voice.selectors.measures import OUTCOMES
from voice.services import metrics

URL = "/api/v1/voice/metrics"
SERIES = f"{URL}/timeseries"
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def called(tenant: Tenant, outcome: str, at: datetime = NOON, **fields: Any) -> Call:
    """A finalized outbound call; answered by a person unless the outcome says otherwise."""
    unanswered = outcome in ("no-answer", "busy", "failed", "canceled")
    known = {
        "direction": "outbound",
        "status": "finalized",
        "outcome": outcome,
        "end_reason": "machine" if outcome == "voicemail" else "caller-hangup",
        "answered_by": "machine_start" if outcome == "voicemail" else "human",
        "from_number": tenant.number.e164,
        "to_number": "+14155550111",
        "number": tenant.number,
        "agent_version": tenant.agent.current_version,
        "created_at": at,
        "placed_at": at,
        "answered_at": None if unanswered else at,
        "duration_ms": None if unanswered else 60_000,
        "ended_at": at + timedelta(minutes=1),
        "finalized_at": at + timedelta(minutes=2),
    }
    return Call.objects.create(workspace=tenant.workspace, **{**known, **fields})


def march(tenant: Tenant, query: str = "") -> dict[str, Any]:
    answer = tenant.api.get(f"{URL}?from=2026-03-01&to=2026-04-01{query}")
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def test_each_figure_is_what_the_docs_say(alice: Tenant) -> None:
    for outcome in ("qualified", "qualified", "unqualified", "voicemail", "no-answer", "busy", "opted-out"):
        called(alice, outcome)
    called(alice, "failed", placed_at=None)
    called(alice, "callback", direction="inbound", duration_ms=30_000)
    handed = called(alice, "qualified", transfer_state="bridged", end_reason="transferred", usage={"x": 1})
    Verdict.objects.create(
        workspace=alice.workspace,
        call=handed,
        qualification="qualified",
        confidence=1,
        meeting={"start": "…"},
    )
    found = march(alice)
    assert (found["calls"], found["open"], found["dialed"], found["answered"]) == (10, 0, 8, 7)
    assert (found["connected"], found["meetings_booked"], found["handed_over"]) == (6, 1, 1)
    assert found["outcomes"]["qualified"] == 3
    assert found["outcomes"]["opted-out"] == 1
    assert sum(found["outcomes"].values()) == found["calls"]
    assert found["connect_rate"] == {"value": 0.625, "numerator": 5, "denominator": 8}
    assert found["qualified_rate"] == {"value": 0.5, "numerator": 3, "denominator": 6}
    assert found["meeting_rate"] == {"value": 0.166667, "numerator": 1, "denominator": 6}
    assert found["duration"] == {"calls": 6, "total_ms": 330_000, "average_ms": 55_000}
    assert found["usage"]["calls"] == 1
    assert found["previous"] is None


def test_what_has_no_denominator_is_null_and_not_zero(alice: Tenant) -> None:
    found = march(alice)
    assert found["calls"] == 0
    for rate in ("connect_rate", "qualified_rate", "meeting_rate"):
        assert found[rate] == {"value": None, "numerator": 0, "denominator": 0}
    assert found["duration"]["average_ms"] is None
    assert found["response_latency"] == {"turns": 0, "average_ms": None, "p50_ms": None, "p95_ms": None}


def test_latency_is_that_of_all_answers_and_not_of_averages(alice: Tenant) -> None:
    called(alice, "qualified", latency={"turn_ms": {"each": [500] * 98}})
    called(alice, "qualified", at=NOON + timedelta(days=1), latency={"turn_ms": {"each": [4000, 4000]}})
    for _ in range(2):  # counted from the calls, then out of the sums
        found = march(alice)["response_latency"]
        assert (found["turns"], found["average_ms"]) == (100, 570)
        assert abs(found["p50_ms"] / 500 - 1) < 0.05
        assert abs(found["p95_ms"] / 500 - 1) < 0.05  # of the two calls' own p95 the mean would be 2250
        assert metrics.sum_up_due() in (0, 2)


def test_a_call_under_way_is_open_and_nothing_else(alice: Tenant) -> None:
    live_call(alice.workspace, alice.agent, alice.number)
    found = alice.api.get(URL).json()
    assert (found["calls"], found["open"]) == (1, 1)  # the world has one that is finalized
    assert found["dialed"] == 0


@pytest.mark.parametrize("name", ["agent_id", "number_id", "batch_id", "direction"])
def test_filters(alice: Tenant, charlie: Tenant, name: str) -> None:
    called(alice, "qualified", batch=alice.batch)
    called(alice, "busy", agent_version=None, number=None, batch=None, direction="inbound", placed_at=None)
    value = {
        "agent_id": alice.agent.id,
        "number_id": alice.number.id,
        "batch_id": alice.batch.id,
        "direction": "outbound",
    }[name]
    theirs = {"agent_id": charlie.agent.id, "number_id": charlie.number.id, "batch_id": charlie.batch.id}
    called(charlie, "qualified", batch=charlie.batch)
    for _ in range(2):
        assert march(alice)["calls"] == 2
        assert march(alice, f"&{name}={value}")["outcomes"]["qualified"] == 1
        assert march(alice, f"&{name}={value}")["calls"] == 1
        if name in theirs:
            nobodys = march(alice, f"&{name}=01900000-0000-7000-8000-000000000000")
            assert march(alice, f"&{name}={theirs[name]}") == nobodys
            assert nobodys["calls"] == 0
        metrics.sum_up_due()
    assert MetricsHour.objects.filter(workspace=alice.workspace, is_total=True).count() == 2


def test_the_period_before_is_beside_it(alice: Tenant) -> None:
    called(alice, "qualified", at=datetime(2026, 2, 20, 12, tzinfo=UTC))
    called(alice, "busy")
    found = march(alice, "&compare=previous&time_zone=America/New_York")
    assert found["outcomes"] == {**dict.fromkeys((one.value for one in OUTCOMES), 0), "busy": 1}
    previous = found["previous"]
    assert (previous["calls"], previous["outcomes"]["qualified"]) == (1, 1)
    # 31 days of the calendar before, although one of those after has only 23 hours.
    assert (previous["from"], previous["to"]) == ("2026-01-29T05:00:00Z", "2026-03-01T05:00:00Z")
    assert (found["from"], found["to"]) == ("2026-03-01T05:00:00Z", "2026-04-01T04:00:00Z")


def test_days_of_the_workspaces_zone_over_a_change_of_its_clock(alice: Tenant) -> None:
    alice.workspace.time_zone = "America/New_York"
    alice.workspace.save()
    day = datetime(2026, 3, 8, 5, tzinfo=UTC)  # midnight; the clock jumps at 07:00 UTC
    for minutes in (-1, 0, 23 * 60 - 1, 23 * 60):
        called(alice, "busy", at=day + timedelta(minutes=minutes))
    for _ in range(2):
        found = alice.api.get(f"{SERIES}?from=2026-03-07&to=2026-03-10").json()
        assert found["time_zone"] == "America/New_York"
        assert [(one["start"], one["calls"]) for one in found["buckets"]] == [
            ("2026-03-07T00:00:00-05:00", 1),
            ("2026-03-08T00:00:00-05:00", 2),
            ("2026-03-09T00:00:00-04:00", 1),
        ]
        hourly = alice.api.get(f"{SERIES}?from=2026-03-08&to=2026-03-09&granularity=hour").json()["buckets"]
        assert len(hourly) == 23
        assert [one["calls"] for one in hourly] == [1, *[0] * 21, 1]
        metrics.sum_up_due()
    autumn = alice.api.get(f"{SERIES}?from=2026-11-01&to=2026-11-02&granularity=hour").json()["buckets"]
    assert len(autumn) == 25
    assert {one["connect_rate"]["value"] for one in autumn} == {None}


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Kathmandu"])
def test_zones_that_are_not_whole_hours_off(alice: Tenant, zone: str) -> None:
    rng = random.Random(zone)
    instants = [NOON + timedelta(seconds=rng.randrange(86_400)) for _ in range(40)]
    for at in instants:
        called(alice, "busy", at=at)
    for _ in range(2):
        for by in ("hour", "day"):
            path = f"{SERIES}?from=2026-03-10&to=2026-03-12&time_zone={zone}&granularity={by}"
            for bucket in alice.api.get(path).json()["buckets"]:
                start, end = (datetime.fromisoformat(bucket[name]) for name in ("start", "end"))
                assert bucket["calls"] == sum(start <= at < end for at in instants)
        metrics.sum_up_due()


def test_an_outcome_that_is_corrected_is_seen_at_once(alice: Tenant) -> None:
    call = called(alice, "qualified")
    metrics.sum_up_due()
    assert march(alice)["outcomes"]["qualified"] == 1
    Call.objects.filter(pk=call.pk).update(outcome="unqualified")
    assert march(alice)["outcomes"]["qualified"] == 0
    assert march(alice)["outcomes"]["unqualified"] == 1


def test_figures_are_one_statement_whatever_is_asked(alice: Tenant) -> None:
    march(alice)
    for path in (URL, f"{URL}?compare=previous", f"{SERIES}?granularity=hour"):
        with CaptureQueriesContext(connection) as queries:
            assert alice.api.get(path).status_code == 200
        assert len([one for one in queries if "voice_metricshour" in one["sql"]]) == 1
        assert len(queries) == 2


def test_numbers_are_those_of_the_list(alice: Tenant) -> None:
    for outcome in ("qualified", "busy", "busy"):
        called(alice, outcome)
    span = "from=2026-03-10T11:30:00Z&to=2026-03-10T12:00:01Z"
    found = alice.api.get(f"{URL}?{span}").json()
    for outcome, count in found["outcomes"].items():
        listed = alice.api.get(f"/api/v1/voice/calls?{span}&outcome={outcome}").json()["items"]
        assert len(listed) == count


@pytest.mark.parametrize(
    ("query", "loc", "kind"),
    [
        ("colour=red", "colour", "extra_forbidden"),
        ("limit=5", "limit", "extra_forbidden"),
        ("from=yesterday", "from", "value_error"),
        ("from=0001-01-01T00:00:00%2B23:59", "from", "value_error"),
        ("to=9999-12-31", "to", "value_error"),
        ("from=2026-03-02&to=2026-03-02", "to", "value_error"),
        ("from=2026-03-03&to=2026-03-02", "to", "value_error"),
        ("from=2098-01-01", "to", "value_error"),
        ("time_zone=Mars/Base", "time_zone", "time_zone"),
        ("time_zone=../../etc/passwd", "time_zone", "time_zone"),
        ("agent_id=7", "agent_id", "value_error"),
        ("direction=up", "direction", "value_error"),
        ("compare=", "compare", "too_short"),
        ("from=2026-03-01&from=2026-03-02", "from", "duplicate"),
        ("q=%00", "q", "extra_forbidden"),
    ],
)
def test_a_wrong_question_says_what_is_wrong(alice: Tenant, query: str, loc: str, kind: str) -> None:
    answer = alice.api.get(f"{URL}?{query}")
    assert answer.status_code == 422
    assert (answer.json()["detail"][0]["loc"], answer.json()["detail"][0]["type"]) == (["query", loc], kind)


def test_the_number_of_buckets_is_bounded(alice: Tenant) -> None:
    most = alice.api.get(f"{SERIES}?from=2026-01-01&to=2026-02-11T16:00:00&granularity=hour")
    assert len(most.json()["buckets"]) == 1000
    over = alice.api.get(f"{SERIES}?from=2026-01-01&to=2026-02-11T16:00:01&granularity=hour")
    assert over.status_code == 422
    assert over.json()["detail"][0]["type"] == "too_many_buckets"
    assert alice.api.get(f"{SERIES}?granularity=year").status_code == 422


def test_the_default_is_thirty_days_up_to_now(alice: Tenant) -> None:
    before = timezone.now()
    found = alice.api.get(f"{SERIES}").json()
    assert len(found["buckets"]) == 30
    assert datetime.fromisoformat(found["to"]) >= before
    assert found["granularity"] == "day"
    assert sum(one["calls"] for one in found["buckets"]) == 1


def test_it_takes_a_key_that_may_see_calls(alice: Tenant) -> None:
    assert Api().get(URL).status_code == 401
