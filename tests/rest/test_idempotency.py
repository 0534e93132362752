"""The same request twice is one effect (promises.md D3)."""

import threading
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connections
from django.utils import timezone

from crm.models import Lead
from tenex.workspaces.models import IdempotentRequest
from tenex.workspaces.services import housekeeping
from tests.api.world import Api, Tenant

LEADS = "/api/v1/crm/leads"


def leads() -> int:
    return Lead.objects.filter(first_name="Twice").count()


def test_the_first_answer_comes_again(alice: Tenant) -> None:
    first = alice.api.post(LEADS, {"first_name": "Twice"}, Idempotency_Key="one")
    again = alice.api.post(LEADS, {"first_name": "Twice"}, Idempotency_Key="one")
    assert first.status_code == again.status_code == 201
    assert again.content == first.content
    assert "Idempotent-Replayed" not in first
    assert again["Idempotent-Replayed"] == "true"
    assert leads() == 1


def test_without_the_header_there_are_two(alice: Tenant) -> None:
    for _ in range(2):
        assert alice.api.post(LEADS, {"first_name": "Twice"}).status_code == 201
    assert leads() == 2


@pytest.mark.parametrize("other", ["body", "path"])
def test_the_key_with_another_request_is_422(alice: Tenant, other: str) -> None:
    alice.api.post(LEADS, {"first_name": "Twice"}, Idempotency_Key="one")
    body = {"first_name": "Thrice"} if other == "body" else {"first_name": "Twice"}
    path = LEADS if other == "body" else f"{LEADS}?x=1"
    answer = alice.api.post(path, body, Idempotency_Key="one")
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["header", "Idempotency-Key"]
    assert answer.json()["detail"][0]["type"] == "idempotency_key_reused"


def test_two_tenants_may_use_the_same_key(alice: Tenant, charlie: Tenant) -> None:
    for tenant in (alice, charlie):
        made = tenant.api.post(LEADS, {"first_name": "Twice"}, Idempotency_Key="one")
        assert made.status_code == 201
        assert "Idempotent-Replayed" not in made
    assert leads() == 2


def test_a_refusal_is_an_answer_too(alice: Tenant) -> None:
    body = {"phone": alice.lead.phone}
    first = alice.api.post(LEADS, body, Idempotency_Key="one")
    Lead.objects.all().update(phone=None)
    again = alice.api.post(LEADS, body, Idempotency_Key="one")
    assert first.status_code == again.status_code == 409
    assert again["Idempotent-Replayed"] == "true"


def test_a_failure_of_ours_is_not_kept(alice: Tenant) -> None:
    with patch("crm.services.leads.timeline.add", side_effect=RuntimeError):
        assert alice.api.post(LEADS, {"first_name": "Twice"}, Idempotency_Key="one").status_code == 500
    assert leads() == 0
    assert alice.api.post(LEADS, {"first_name": "Twice"}, Idempotency_Key="one").status_code == 201
    assert leads() == 1


def test_while_the_first_is_in_work_the_second_is_409(alice: Tenant) -> None:
    alice.api.post(LEADS, {"first_name": "Twice"}, Idempotency_Key="one")
    later = timezone.now() + timedelta(seconds=30)
    IdempotentRequest.objects.update(status=None, body="", lease_until=later)
    answer = alice.api.post(LEADS, {"first_name": "Twice"}, Idempotency_Key="one")
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_in_flight")


def test_after_a_process_died_in_it_the_work_is_done(alice: Tenant) -> None:
    alice.api.post(LEADS, {"first_name": "Twice"}, Idempotency_Key="one")
    Lead.objects.filter(first_name="Twice").delete()  # it died before it committed
    IdempotentRequest.objects.update(status=None, body="", lease_until=timezone.now())
    assert alice.api.post(LEADS, {"first_name": "Twice"}, Idempotency_Key="one").status_code == 201
    assert leads() == 1


def test_whoever_lost_the_lease_leaves_no_effect(alice: Tenant) -> None:
    def slow(*args: Any, **kwargs: Any) -> None:
        IdempotentRequest.objects.update(lease_until=timezone.now() + timedelta(seconds=99))

    with patch("crm.services.leads.timeline.add", side_effect=slow):
        answer = alice.api.post(LEADS, {"first_name": "Twice"}, Idempotency_Key="one")
    assert answer.status_code == 409
    assert leads() == 0


@pytest.mark.parametrize("key", ["", "x" * 256, "ä"])
def test_a_key_that_makes_no_sense_is_422(alice: Tenant, key: str) -> None:
    answer = alice.api.post(LEADS, {"first_name": "Twice"}, Idempotency_Key=key)
    assert answer.json()["detail"][0]["loc"] == ["header", "Idempotency-Key"]


def test_a_kept_answer_cannot_be_read_in_the_database(alice: Tenant) -> None:
    made = alice.api.post("/api/v1/admin/api-keys", {"name": "x"}, Idempotency_Key="one").json()
    kept = IdempotentRequest.objects.get(key="one")
    assert made["secret"] not in kept.body
    assert made["prefix"] not in kept.body
    again = alice.api.post("/api/v1/admin/api-keys", {"name": "x"}, Idempotency_Key="one").json()
    assert again["secret"] == made["secret"]


def test_answers_are_forgotten_after_three_days(alice: Tenant) -> None:
    alice.api.post(LEADS, {"first_name": "Twice"}, Idempotency_Key="old")
    IdempotentRequest.objects.update(created_at=timezone.now() - timedelta(hours=73))
    alice.api.post(LEADS, {"first_name": "Twice"}, Idempotency_Key="new")
    assert housekeeping.forget_answers() == 1
    assert IdempotentRequest.objects.get().key == "new"


@pytest.mark.django_db(transaction=True)
def test_many_at_once_are_one_effect(alice: Tenant) -> None:
    answers: list[Any] = []
    start = threading.Barrier(16)

    def ask() -> None:
        start.wait()
        try:
            answers.append(Api(alice.api.token).post(LEADS, {"first_name": "Twice"}, Idempotency_Key="one"))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert leads() == 1
    codes = sorted({answer.status_code for answer in answers})
    assert codes in ([201], [201, 409])
    done = {answer.content for answer in answers if answer.status_code == 201}
    assert len(done) == 1, "all who got the answer got the same"
    again = alice.api.post(LEADS, {"first_name": "Twice"}, Idempotency_Key="one")
    assert again.content in done
