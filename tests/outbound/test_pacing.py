"""Whose turn it is, when the carrier may be asked, and whether anybody could carry the call."""

import itertools
import time
import uuid
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from crm.models import Lead
from tenex.workspaces.models import Workspace
from tests import own_accounts
from tests.dialing_rows import HOME, agent, leads, number, outbound_call, over, workspace
from tests.prove.fake_carrier import AUTH_TOKEN, FakeCarrier
from tests.rows import together
from voice.models import (
    Batch,
    Call,
    CallStatus,
    CarrierAccount,
    CarrierSlot,
    Direction,
    EndReason,
    MediaProcess,
    Outcome,
)
from voice.outbound import claims, dialer, settle
from voice.outbound.claims import Claimed, Full, Wait
from voice.services import attempts, batches, capacity, pacing
from voice.services.pacing import Later, Turn

pytestmark = pytest.mark.django_db(transaction=True)
_SERIAL = itertools.count(5000)


def _batch(space: Workspace, count: int, **fields: object) -> Batch:
    who = space.agents.first() or agent(space)
    line = space.numbers.first() or number(space, who, f"+1415557{uuid.uuid4().int % 10_000:04}")
    people = leads_of(space, count)
    extra = {name: fields.pop(name) for name in list(fields) if name in {"priority", "calls_per_second"}}
    made = batches.create(
        space,
        objective="x",
        lead_ids=[person.pk for person in people],
        agent=who,
        number=line,
        concurrency=100,
        **fields,  # type: ignore[arg-type]
    ).batch
    Batch.objects.filter(pk=made.pk).update(**extra)
    return made


def leads_of(space: Workspace, count: int) -> list[Lead]:
    made = leads(space, count)
    for person in made:
        person.phone = HOME.number(f"{next(_SERIAL) % 10_000:04}")  # where it is day
        person.save(update_fields=["phone"])
    return made


def _take(space: Workspace, per_s: float = 1000.0) -> Turn | Later:
    """One start for nobody in particular."""
    with transaction.atomic():
        assert pacing.lock_workspace(space.pk) is not None
        account = pacing.account_sid()
        pacing.lock_account(account)
        return pacing.take(uuid.uuid4(), account=account, workspace_id=space.pk, workspace_per_s=per_s)


def _claim(batch: Batch) -> Claimed:
    claimed = claims.claim(batch.workspace_id)
    assert isinstance(claimed, Claimed)
    return claimed


def test_no_more_starts_than_slots_until_their_requests_have_arrived(
    carrier: FakeCarrier, settings: Settings
) -> None:
    settings.CARRIER_CALLS_PER_SECOND = 3.0
    space = workspace()
    taken = []
    with transaction.atomic():
        pacing.lock_workspace(space.pk)
        account = pacing.account_sid()
        pacing.lock_account(account)
        for _ in range(3):
            CarrierAccount.objects.update(next_at_s=0)
            taken.append(
                pacing.take(uuid.uuid4(), account=account, workspace_id=space.pk, workspace_per_s=1000.0)
            )
    assert all(isinstance(one, Turn) for one in taken)
    assert CarrierSlot.objects.filter(attempt_id__isnull=False).count() == 3
    attempt_id = CarrierSlot.objects.order_by("index").first().attempt_id  # type: ignore[union-attr]
    assert attempt_id is not None
    CarrierSlot.objects.update(free_at_s=time.time() + 60)  # all of them are being asked for
    assert isinstance(_take(space), Later)
    pacing.arrived(attempt_id, account=account, reached_s=time.monotonic() - 0.4, in_trouble=False)
    slot = CarrierSlot.objects.get(attempt_id=None)
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        now_s = float(cursor.fetchone()[0])
    assert 0.4 < slot.free_at_s - now_s < 0.61
    assert isinstance(_take(space), Later)
    CarrierAccount.objects.update(next_at_s=0)
    CarrierSlot.objects.filter(pk=slot.pk).update(free_at_s=now_s)
    assert isinstance(_take(space), Turn)


def test_a_start_that_was_not_used_is_anybodys(carrier: FakeCarrier, settings: Settings) -> None:
    settings.CARRIER_CALLS_PER_SECOND = 1.0
    space = workspace()
    assert isinstance(_take(space), Turn)
    attempt_id = CarrierSlot.objects.get().attempt_id
    assert attempt_id is not None
    pacing.unused(attempt_id)
    CarrierAccount.objects.update(next_at_s=0)
    assert isinstance(_take(space), Turn)


def test_what_a_dead_worker_took_is_free_again_by_its_lease(carrier: FakeCarrier, settings: Settings) -> None:
    settings.CARRIER_CALLS_PER_SECOND = 1.0
    space = workspace()
    assert isinstance(_take(space), Turn)
    first = CarrierSlot.objects.get()
    assert first.free_at_s < time.time() + 2
    assert first.attempt_id is not None
    pacing.about_to_ask(first.attempt_id)
    asked = CarrierSlot.objects.get()
    assert time.time() + 10 < asked.free_at_s < time.time() + 13  # its request may take so long


def test_a_worker_takes_no_more_starts_ahead_than_it_may_lose(
    carrier: FakeCarrier, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CARRIER_CALLS_PER_SECOND = 10.0
    _batch(workspace(max_concurrent_calls=50), 8)
    settle.start_due()
    instants = [0.0]
    ahead: list[int] = []

    def claim(workspace_id: uuid.UUID) -> Claimed:
        """As fast as no database is, so that only the worker itself holds back."""
        now = time.monotonic()
        ahead.append(sum(at_s > now for at_s in instants))
        instants.append(max(now, instants[-1] + 0.09))
        return Claimed(uuid.uuid4(), instants[-1])

    monkeypatch.setattr(claims, "claim", claim)
    monkeypatch.setattr(dialer, "_dial", lambda claimed: None)
    dialer.tick(budget_s=1.0)
    assert len(instants) > 4
    assert max(ahead) == 1  # and took another one: what the carrier takes in a fifth of a second


def test_what_a_dead_worker_asked_for_is_free_a_second_after_the_carriers_first_word(
    carrier: FakeCarrier, settings: Settings
) -> None:
    settings.CARRIER_CALLS_PER_SECOND = 1.0
    batch = _batch(workspace(max_concurrent_calls=50), 1)
    settle.start_due()
    claimed = _claim(batch)
    assert attempts.fence(claimed.attempt_id) is not None  # and then the worker is gone
    assert CarrierSlot.objects.get().free_at_s > time.time() + 10
    for _ in range(2):
        adopted = attempts.adopt(claimed.attempt_id, "CA1")  # what a callback does
        assert adopted == attempts.Adoption.CURRENT
        slot = CarrierSlot.objects.get()
        assert slot.attempt_id is None
        assert time.time() + 0.5 < slot.free_at_s < time.time() + 1.1


def test_an_attempt_whose_start_was_given_to_another_one_does_not_pass_its_fence(
    carrier: FakeCarrier, settings: Settings
) -> None:
    settings.CARRIER_CALLS_PER_SECOND = 1.0
    batch = _batch(workspace(max_concurrent_calls=50), 2)
    settle.start_due()
    claimed = _claim(batch)
    CarrierSlot.objects.update(free_at_s=0)  # its lease is over, its fence not yet
    CarrierAccount.objects.update(next_at_s=0)
    other = _claim(batch)
    assert attempts.fence(claimed.attempt_id) is None
    assert attempts.fence(other.attempt_id) is not None


@pytest.mark.parametrize(("per_s", "starts", "period_s"), [(10.0, 10, 1.0), (2.5, 2, 1.0), (0.25, 1, 4.0)])
def test_a_rate_is_whole_starts_in_a_second(
    settings: Settings, per_s: float, starts: int, period_s: float
) -> None:
    settings.CARRIER_CALLS_PER_SECOND = per_s
    rate = pacing.carrier_rate()
    assert (rate.starts, round(rate.period_s, 2)) == (starts, period_s)


def test_two_workspaces_share_whatever_they_have_to_do_and_one_that_comes_late_is_owed_nothing(
    carrier: FakeCarrier,
) -> None:
    small, big = workspace(max_concurrent_calls=500), workspace(max_concurrent_calls=500)
    _batch(big, 30)
    dialer.tick(budget_s=0.5)
    assert len(carrier.calls) >= 1
    first, second = _batch(small, 12), Batch.objects.get(workspace=big)
    settle.start_due()
    for _ in range(20):
        order = pacing.in_turn([small.pk, big.pk])
        answer = claims.claim(order[0])
        while isinstance(answer, Wait):
            time.sleep(min(answer.seconds, 0.05))
            answer = claims.claim(order[0])
        assert isinstance(answer, Claimed)
    shares = Counter(Call.objects.order_by("-created_at").values_list("batch_id", flat=True)[:20])
    assert abs(shares[first.pk] - shares[second.pk]) <= 2


def test_batches_of_one_workspace_take_turns_after_their_priority(carrier: FakeCarrier) -> None:
    space = workspace(max_concurrent_calls=500)
    urgent, one, other = _batch(space, 2, priority=5), _batch(space, 6), _batch(space, 3)
    settle.start_due()
    order: list[uuid.UUID | None] = []
    while len(order) < 8:
        answer = claims.claim(space.pk)
        if isinstance(answer, Claimed):
            order.append(Call.objects.latest("created_at").batch_id)
        else:
            assert isinstance(answer, Wait)
            time.sleep(min(answer.seconds, 0.05))
    assert order[:2] == [urgent.pk, urgent.pk]
    assert Counter(order[2:]) == {one.pk: 3, other.pk: 3}
    assert order[2] != order[3]


def test_the_pace_of_a_batch_holds_it_alone(carrier: FakeCarrier) -> None:
    space = workspace(max_concurrent_calls=500)
    slow, fast = _batch(space, 5, calls_per_second=0.2), _batch(space, 5)
    for _ in range(3):
        dialer.tick(budget_s=1)
    dialed = Counter(Call.objects.values_list("batch_id", flat=True))
    assert (dialed[slow.pk], dialed[fast.pk]) == (1, 5)


def test_who_has_an_instant_goes_before_who_was_never_called(carrier: FakeCarrier) -> None:
    batch = _batch(workspace(), 3)
    last = batch.recipients.order_by("-position").first()
    assert last is not None
    batch.recipients.filter(pk=last.pk).update(next_at=timezone.now() - timedelta(minutes=1))
    settle.start_due()
    assert isinstance(claims.claim(batch.workspace_id), Claimed)
    assert Call.objects.get().recipient_id == last.pk


def test_without_a_media_process_nobody_is_dialed(carrier: FakeCarrier) -> None:
    batch = _batch(workspace(), 2)
    MediaProcess.objects.update(alive_until=timezone.now() - timedelta(seconds=1))
    dialer.tick(budget_s=1)
    assert not carrier.calls
    assert claims.claim(batch.workspace_id) == Full(capacity.Lack.MEDIA)
    assert not Call.objects.exists()
    capacity.announce("another", capacity=5, live_calls=0, draining=False)
    dialer.tick(budget_s=1)
    assert len(carrier.calls) == 2


@pytest.mark.parametrize("setting", ["MEDIA_SLOTS", "MODEL_SLOTS", "CARRIER_MAX_CALLS"])
def test_slots_are_never_more_than_there_are_over_all_workspaces_and_workers(
    carrier: FakeCarrier, settings: Settings, setting: str
) -> None:
    setattr(settings, setting, 6)
    settings.INBOUND_RESERVE = 0
    spaces = [workspace(max_concurrent_calls=50) for _ in range(3)]
    for space in spaces:
        _batch(space, 6)
    inbound = outbound_call(spaces[0], status=CallStatus.IN_PROGRESS)
    Call.objects.filter(pk=inbound.pk).update(
        direction=Direction.INBOUND, provider_sid="CAx", answered_at=timezone.now()
    )
    settle.start_due()
    together(*[lambda: dialer.tick(budget_s=1)] * 4)
    assert len(carrier.calls) == 5
    over(Call.objects.filter(direction=Direction.OUTBOUND)[0], EndReason.BUSY, Outcome.BUSY)
    together(*[lambda: dialer.tick(budget_s=1)] * 4)
    assert len(carrier.calls) == 6


def test_some_slots_are_kept_for_people_who_call_us(carrier: FakeCarrier, settings: Settings) -> None:
    settings.MEDIA_SLOTS, settings.INBOUND_RESERVE = 5, 2
    _batch(workspace(max_concurrent_calls=50), 6)
    dialer.tick(budget_s=1)
    assert len(carrier.calls) == 3
    settings.INBOUND_RESERVE = 50  # at most half of what there is
    assert capacity.Room(media=5, model=None, in_use=2, at_carrier=2).lack() is None
    assert capacity.Room(media=5, model=None, in_use=3, at_carrier=3).lack() == capacity.Lack.MEDIA


def test_a_process_that_drains_counts_with_the_calls_that_it_still_has(carrier: FakeCarrier) -> None:
    capacity.announce("media", capacity=200, live_calls=3, draining=True)
    assert capacity.room().media == 3
    capacity.leave("media")
    assert capacity.room().media == 0


def test_trouble_slows_dialing_to_one_request_at_a_time_until_an_answer_is_good(
    carrier: FakeCarrier, settings: Settings
) -> None:
    carrier.faults.refused_500 = 1.0
    _batch(workspace(max_concurrent_calls=500), 40)
    for _ in range(2):
        dialer.tick(budget_s=1.5)
    asked = len(carrier.starts_s)
    assert pacing.TROUBLE <= asked < 30
    account = CarrierAccount.objects.get()
    assert account.strikes >= pacing.TROUBLE
    assert pacing.carrier_waits_s([account.sid])[account.sid] > 0
    carrier.faults.refused_500 = 0.0
    CarrierAccount.objects.update(hold_until_s=0)
    dialer.tick(budget_s=0.5)
    account.refresh_from_db()
    assert (account.strikes, account.hold_until_s) == (0, 0)
    dialer.tick(budget_s=2)
    assert len(carrier.calls) > 5


def test_a_few_bad_answers_among_good_ones_slow_nothing(carrier: FakeCarrier) -> None:
    _take(workspace())
    for in_trouble in [True, False, True, True, False, True, False, False] * 3:
        pacing.arrived(uuid.uuid4(), account=pacing.account_sid(), in_trouble=in_trouble)
    assert CarrierAccount.objects.get().strikes < pacing.TROUBLE


# --- accounts of workspaces' own ------------------------------------------------------------------


def test_what_holds_one_account_up_holds_up_no_other(carrier: FakeCarrier) -> None:
    shared, own = workspace(max_concurrent_calls=50), workspace(max_concurrent_calls=50)
    first, second = _batch(shared, 3), _batch(own, 3)
    credential = own_accounts.twilio(own, token=AUTH_TOKEN)
    dialer.tick(budget_s=0.1)
    CarrierAccount.objects.filter(pk=pacing.account_sid()).update(hold_until_s=time.time() + 600)
    for _ in range(3):
        dialer.tick(budget_s=1)
    dialed = Counter(Call.objects.values_list("batch_id", flat=True))
    assert dialed[second.pk] == 3
    assert dialed[first.pk] <= 1, "the shared account is in trouble"
    assert set(Call.objects.filter(batch=second).values_list("account_sid", flat=True)) == {
        credential.account
    }
    slots = CarrierSlot.objects.filter(account_id=credential.account)
    assert slots.count() == 100, "it has its own pace"


def test_the_lines_of_the_settings_account_are_not_taken_by_others(
    carrier: FakeCarrier, settings: Settings
) -> None:
    settings.CARRIER_MAX_CALLS = 1
    shared, own = workspace(max_concurrent_calls=50), workspace(max_concurrent_calls=50)
    first, second = _batch(shared, 3), _batch(own, 3)
    own_accounts.twilio(own, token=AUTH_TOKEN)
    for _ in range(4):
        dialer.tick(budget_s=1.2)
    dialed = Counter(Call.objects.values_list("batch_id", flat=True))
    assert (dialed[first.pk], dialed[second.pk]) == (1, 3)


def test_slots_of_the_model_count_only_those_who_share_its_key(
    carrier: FakeCarrier, settings: Settings
) -> None:
    settings.MODEL_SLOTS, settings.INBOUND_RESERVE = 1, 0
    shared, own = workspace(max_concurrent_calls=50), workspace(max_concurrent_calls=50)
    first, second = _batch(shared, 3), _batch(own, 3)
    own_accounts.openai(own)
    for _ in range(4):
        dialer.tick(budget_s=1.2)
    dialed = Counter(Call.objects.values_list("batch_id", flat=True))
    assert (dialed[first.pk], dialed[second.pk]) == (1, 3)


def test_an_account_without_credentials_is_waited_for(carrier: FakeCarrier) -> None:
    space = workspace(max_concurrent_calls=50)
    batch = _batch(space, 2)
    credential = own_accounts.twilio(space, token=AUTH_TOKEN)
    credential.delete()
    dialer.tick(budget_s=1)
    assert not carrier.calls
    assert not Call.objects.exists()
    assert batch.recipients.filter(next_at__gt=timezone.now()).count() == 2
    own_accounts.twilio(space, token=AUTH_TOKEN)
    batch.recipients.update(next_at=None)
    dialer.tick(budget_s=1)
    assert Call.objects.count() == 2
