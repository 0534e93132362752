"""What is summed up and what is counted make one truth, whatever happens in whatever order."""

import random
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from operator import attrgetter
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, transaction

from tenex.lib import failpoint
from tenex.lib.periods import Period, hour_of
from tests.metrics import rows
from tests.metrics.rows import HOURS, START, Place, counted, counted_by, place, whiches
from tests.rows import together
from voice.models import Batch, Call, CallStatus, MetricsDue, MetricsHour, Verdict
from voice.selectors.measures import BOUNDS_MS, BUCKETS, percentile_ms
from voice.selectors.metrics import Cut, Which, tallies, tallies_by, tallies_by_slot
from voice.services import costs, metrics

pytestmark = pytest.mark.django_db

END = START + timedelta(hours=HOURS)
WHOLE = Period(START, END)


def some_periods(rng: random.Random) -> list[Period]:
    """The six hours, cut at random minutes or at whole hours."""
    minutes = rng.choice([1, 15, 60])
    cuts = {START + timedelta(minutes=minutes * rng.randrange(HOURS * 60 // minutes)) for _ in range(4)}
    edges = sorted({START - timedelta(hours=1), *cuts, END})
    return [Period(*pair) for pair in pairwise(edges)]


def check(where: Place, rng: random.Random) -> None:
    for which in whiches(where):
        periods = some_periods(rng)
        assert tallies(where.workspace, periods, which) == [counted(where, one, which) for one in periods]


def change(rng: random.Random, where: Place, waiting: dict[Call, dict[str, object]]) -> None:
    """One thing that happens to the calls of a workspace."""
    fields = rows.random_fields(rng, where)
    call = Call.objects.filter(workspace=where.workspace).order_by("?").first()
    match rng.randrange(12):
        case 0 | 1 | 2:
            Call.objects.create(**fields)
        case 3 | 4:
            waiting[Call.objects.create(**rows.live(fields))] = fields
        case 5 if waiting:  # finalized late, perhaps hours after its hour was summed up
            one = rng.choice(list(waiting))
            rows.finalize(one.pk, waiting.pop(one))
        case 6 if call:
            rows.give_meeting(call)
        case 7 if call:
            Verdict.objects.filter(call=call).delete()
        case 8 if call:
            fresh = {name: fields[name] for name in ("answered_by", "latency", "usage", "transfer_state")}
            Call.objects.filter(pk=call.pk).update(**fresh)
        case 9 if call and call.status == CallStatus.FINALIZED:  # a correction
            Call.objects.filter(pk=call.pk).update(
                outcome=fields["outcome"], batch=fields["batch"], agent_version=fields["agent_version"]
            )
        case 10 if call and call.status == CallStatus.FINALIZED:
            call.delete()
        case 11 if call and call not in waiting:
            Call.objects.filter(pk=call.pk).update(created_at=fields["created_at"])


@pytest.mark.parametrize("seed", range(4))
def test_figures_are_those_of_the_calls_after_any_history(seed: int) -> None:
    rng = random.Random(seed)
    places, waiting = [place("one", 0), place("two", 1)], [{}, {}]  # type: ignore[var-annotated]
    for step in range(90):
        at = rng.randrange(2)
        change(rng, places[at], waiting[at])
        if rng.random() < 0.2:
            metrics.sum_up_due(limit=rng.choice([1, 3, 200]))
        if step % 15 == 14:
            for where in places:
                check(where, rng)
    metrics.sum_up_due()
    assert not MetricsDue.objects.exists()
    for where in places:
        check(where, rng)
    Batch.objects.filter(pk=places[0].batches[0].pk).delete()
    check(places[0], rng)


def test_summing_up_twice_changes_nothing_and_costs_nothing() -> None:
    where, rng = place("one", 0), random.Random(5)
    for _ in range(20):
        Call.objects.create(**rows.random_fields(rng, where))
    assert metrics.sum_up_due() > 1
    before = list(MetricsHour.objects.order_by("id").values())
    assert metrics.sum_up_due() == 0
    assert list(MetricsHour.objects.order_by("id").values()) == before


def test_the_present_hour_is_counted_and_not_summed_up() -> None:
    where = place("one", 0)
    fields = rows.random_fields(random.Random(1), where)
    now = datetime.now(UTC)
    Call.objects.create(**{**fields, "created_at": now, "placed_at": None, "answered_at": None})
    assert metrics.sum_up_due() == 0
    assert MetricsDue.objects.count() == 1
    today = Period(hour_of(now) - timedelta(hours=2), hour_of(now) + timedelta(hours=1))
    assert tallies(where.workspace, [today], Which())[0].sums["calls"] == 1


def test_a_call_marks_its_hour_once_however_often_it_is_written_while_it_lives() -> None:
    where = place("one", 0)
    fields = rows.random_fields(random.Random(1), where)
    call = Call.objects.create(**rows.live(fields))
    for number in range(5):
        Call.objects.filter(pk=call.pk).update(journal_seq=number, usage={"input_tokens": number})
    assert not MetricsDue.objects.exists()
    rows.finalize(call.pk, fields)
    Call.objects.filter(pk=call.pk).update(journal_seq=9, outcome=fields["outcome"], sweep_at=None)
    assert [due.hour for due in MetricsDue.objects.all()] == [hour_of(fields["created_at"])]


def test_a_worker_that_dies_in_the_middle_leaves_the_hour_due() -> None:
    where = place("one", 0)
    Call.objects.create(**rows.random_fields(random.Random(2), where))
    for name in ("metrics.taken", "metrics.summed"):
        failpoint.arm(f"{name}:raise")
        with pytest.raises(failpoint.FailpointReached), transaction.atomic():
            metrics.sum_up_due()
        failpoint.arm("")
        assert MetricsDue.objects.count() == 1
        assert not MetricsHour.objects.exists()
    assert metrics.sum_up_due() == 1


@pytest.mark.django_db(transaction=True)
def test_changes_and_workers_at_the_same_time_lose_nothing() -> None:
    where, rng = place("one", 0), random.Random(3)
    fields = [rows.random_fields(rng, where) for _ in range(60)]
    calls = [Call.objects.create(**rows.live(one)) for one in fields]

    def end(part: int) -> None:
        for call, one in list(zip(calls, fields, strict=True))[part::2]:
            with transaction.atomic():
                rows.finalize(call.pk, one)
                time.sleep(0.005)  # not committed: a worker that comes now does not see it

    def work() -> None:
        for _ in range(25):
            metrics.sum_up_due()

    results = together(lambda: end(0), lambda: end(1), work, work)
    assert results == [None] * 4
    check(where, rng)
    metrics.sum_up_due()
    assert not MetricsDue.objects.exists()
    check(where, rng)
    summed = MetricsHour.objects.filter(is_total=True).values_list("calls", flat=True)
    assert sum(summed) == len(calls)


def test_an_hour_of_a_workspace_that_is_gone_is_dropped() -> None:
    where = place("one", 0)
    call = Call.objects.create(**rows.random_fields(random.Random(2), where))
    call.delete()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE voice_metricsdue SET workspace_id = '01900000-0000-7000-8000-000000000000'")
    assert metrics.sum_up_due() == 1
    assert not MetricsDue.objects.exists()


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_a_percentile_out_of_buckets_is_right_to_five_percent(share: float) -> None:
    rng = random.Random(11)
    for size in (1, 2, 19, 20, 21, 500):
        delays = sorted(round(rng.lognormvariate(6.6, 0.6)) for _ in range(size))
        delays = [min(max(delay, 100), 9000) for delay in delays]
        histogram = [0] * BUCKETS
        for delay in delays:
            histogram[sum(delay >= bound for bound in BOUNDS_MS)] += 1
        exact = delays[max(1, -(-int(share * 100) * size // 100)) - 1]
        found = percentile_ms(histogram, share)
        assert found is not None
        assert abs(found / exact - 1) < 0.051, (size, found, exact)


def test_percentiles_at_the_ends() -> None:
    assert percentile_ms([0] * BUCKETS, 0.5) is None
    assert percentile_ms([3, *[0] * (BUCKETS - 1)], 0.95) == BOUNDS_MS[0]
    assert percentile_ms([*[0] * (BUCKETS - 1), 3], 0.5) == BOUNDS_MS[-1]


def some_calls(where: Place, rng: random.Random, *, summed: str) -> None:
    """Finalized ones, of which `all`, `some` or `none` are summed up, and live ones."""
    for number in range(120):
        fields = rows.random_fields(rng, where)
        Call.objects.create(**(rows.live(fields) if number % 10 == 0 else fields))
    if summed != "none":
        metrics.sum_up_due(limit=3 if summed == "some" else 200)


@pytest.mark.parametrize("summed", ["none", "some", "all"])
def test_cuts_of_a_period_are_its_calls_told_apart(summed: str) -> None:
    where = place("acme", 0)
    some_calls(where, random.Random(11), summed=summed)
    part = Period(START + timedelta(minutes=17), END - timedelta(minutes=41))
    columns = {
        Cut.AGENT: "agent_id",
        Cut.VERSION: "agent_version_id",
        Cut.NUMBER: "number_id",
        Cut.BATCH: "batch_id",
    }
    for which in (Which(), Which(direction="outbound"), Which(number_id=where.numbers[0].pk)):
        for cut, column in columns.items():
            expected = counted_by(where, part, which, attrgetter(column))
            assert tallies_by(where.workspace, part, which, cut) == expected


def test_who_has_only_calls_outside_of_the_period_is_not_told_of() -> None:
    where, rng = place("acme", 0), random.Random(12)
    for minute, number in ((10, 0), (50, 1)):
        at = START + timedelta(minutes=minute)
        fields = rows.random_fields(rng, where) | {"created_at": at, "number": where.numbers[number]}
        Call.objects.create(**fields)
    metrics.sum_up_due()
    part = Period(START + timedelta(minutes=20), END)
    assert list(tallies_by(where.workspace, part, Which(), Cut.NUMBER)) == [where.numbers[1].pk]


@pytest.mark.parametrize("summed", ["none", "some", "all"])
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"])
def test_hours_of_the_day_follow_the_clock_of_the_zone(zone: str, summed: str) -> None:
    where = place("acme", 0)
    some_calls(where, random.Random(5), summed=summed)
    part = Period(START + timedelta(minutes=20), END - timedelta(minutes=10))

    def slot(call: Call) -> tuple[int, int]:
        local = call.created_at.astimezone(ZoneInfo(zone))
        return local.isoweekday(), local.hour

    found = tallies_by_slot(where.workspace, part, Which(), ZoneInfo(zone))
    assert found == counted_by(where, part, Which(), slot)


def test_the_cost_of_sums_is_that_of_the_calls() -> None:
    rng = random.Random(3)
    where = place("acme", 0)
    for _ in range(60):
        Call.objects.create(**rows.random_fields(rng, where))
    [whole] = tallies(where.workspace, [WHOLE], Which())
    one_by_one = sum(costs.of_call(call.usage, call.duration_ms) for call in Call.objects.all())
    assert abs(costs.of_sums(whole.sums) - one_by_one) <= 60  # each call is rounded down to a microdollar
