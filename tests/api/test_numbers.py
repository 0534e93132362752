"""Numbers are searched, bought, imported, routed and released; never bought twice."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from pytest_django import Settings

from tenex.events.models import Event
from tenex.workspaces.models import AuditEntry
from tests.api.shop import OWNED, Shop
from tests.api.world import Tenant, live_call
from tests.rows import together
from voice.models import NumberStatus, PhoneNumber
from voice.services import number_orders

N = "/api/v1/voice/numbers"
FOR_SALE = "+16285550100"


def error(answer: Any) -> tuple[list[str], str]:
    assert answer.status_code == 422, answer.content
    first = answer.json()["detail"][0]
    return first["loc"], first["type"]


def settle(times: int = 1) -> None:
    """What the task does, as if its time had come."""
    for _ in range(times):
        PhoneNumber.objects.filter(next_at__isnull=False).update(next_at=F("next_at") - timedelta(hours=3))
        number_orders.settle()


def statuses() -> list[str]:
    told = Event.objects.filter(type="number.updated").order_by("seq")
    return list(told.values_list("data__status", flat=True))


def test_numbers_for_sale_are_searched(alice: Tenant) -> None:
    found = alice.api.get(f"{N}/available?area_code=628&contains=0107&limit=5").json()["items"]
    assert [one["e164"] for one in found] == ["+16285550107"]
    assert (found[0]["country"], found[0]["type"], found[0]["region"]) == ("US", "local", "CA")
    assert found[0]["capabilities"]["voice"] is True
    assert len(alice.api.get(f"{N}/available?limit=3").json()["items"]) == 3
    mobile = alice.api.get(f"{N}/available?country=GB&type=mobile&limit=1").json()["items"]
    assert mobile[0]["e164"].startswith("+447700900")
    free = alice.api.get(f"{N}/available?type=toll_free&limit=1").json()["items"]
    assert free[0]["e164"].startswith("+1833")
    assert alice.api.get(f"{N}/available?contains=555*1234").json()["items"] == []


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("country=USA", "country"),
        ("country=ZZ", "type"),
        ("type=fax", "type"),
        ("type=mobile", "type"),
        ("area_code=12", "area_code"),
        ("area_code=628&country=GB", "area_code"),
        ("contains=%2F", "contains"),
        ("limit=0", "limit"),
        ("colour=red", "colour"),
    ],
)
def test_a_search_that_makes_no_sense_says_where(alice: Tenant, query: str, name: str) -> None:
    assert error(alice.api.get(f"{N}/available?{query}"))[0] == ["query", name]


def test_a_number_is_bought_and_points_here(alice: Tenant, shop: Shop, settings: Settings) -> None:
    body = {"e164": FOR_SALE, "buy": True, "label": "Sales", "agent_id": str(alice.agent.id)}
    made = alice.api.post(N, body)
    assert (made.status_code, made.json()["status"], made.json()["source"]) == (201, "pending", "bought")
    assert FOR_SALE not in shop.owned(), "the carrier is asked after the row is committed"
    settle()
    shown = alice.api.get(f"{N}/{made.json()['id']}").json()
    assert (shown["status"], shown["problem"]) == ("active", None)
    assert shown["provider_sid"] == shop.sid(FOR_SALE)
    assert shop.owned()[FOR_SALE] == f"{settings.PUBLIC_BASE_URL}/twilio/voice"
    assert statuses() == ["pending", "active"]
    assert AuditEntry.objects.filter(action="number.ordered").exists()
    assert alice.api.post(N, body).json()["code"] == "number_taken"


@pytest.mark.parametrize("fault", ["accept_then_500", "accept_then_reset"])
def test_a_lost_answer_does_not_buy_twice(alice: Tenant, shop: Shop, fault: str) -> None:
    shop.next_purchases(fault)
    made = alice.api.post(N, {"e164": FOR_SALE, "buy": True}).json()
    settle()
    assert PhoneNumber.objects.get(pk=made["id"]).status == NumberStatus.PENDING
    settle()
    row = PhoneNumber.objects.get(pk=made["id"])
    assert (row.status, row.provider_sid, row.tries) == ("active", shop.sid(FOR_SALE), 0)
    assert sorted(shop.owned()) == sorted([OWNED, FOR_SALE])


@pytest.mark.parametrize("fault", ["fail_500", "reset"])
def test_a_number_that_the_carrier_never_sold_is_asked_for_again(
    alice: Tenant, shop: Shop, fault: str
) -> None:
    shop.next_purchases(fault)
    made = alice.api.post(N, {"e164": FOR_SALE, "buy": True}).json()
    settle(2)
    assert FOR_SALE not in shop.owned(), "once missing in the list is not enough"
    settle(2)
    assert PhoneNumber.objects.get(pk=made["id"]).status == NumberStatus.ACTIVE


def test_a_429_is_asked_again_and_a_refusal_is_shown(alice: Tenant, shop: Shop) -> None:
    shop.next_purchases("reject_429")
    made = alice.api.post(N, {"e164": FOR_SALE, "buy": True}).json()
    settle(2)
    assert alice.api.get(f"{N}/{made['id']}").json()["status"] == "active"
    taken = alice.api.post(N, {"e164": "+14155551234", "buy": True}).json()
    settle()
    failed = alice.api.get(f"{N}/{taken['id']}").json()
    assert (failed["status"], failed["problem"]["code"]) == ("failed", "21422")
    assert [one["id"] for one in alice.api.get(f"{N}?status=failed").json()["items"]] == [taken["id"]]
    again = alice.api.post(N, {"e164": "+14155551234", "buy": True})
    assert again.status_code == 201, "a failed order holds nothing"
    assert alice.api.delete(f"{N}/{taken['id']}").status_code == 204


@pytest.mark.django_db(transaction=True)
def test_workers_at_the_same_time_buy_once(alice: Tenant, shop: Shop) -> None:
    alice.api.post(N, {"e164": FOR_SALE, "buy": True})
    steps = together(*[number_orders.settle] * 4)
    assert sum(steps) == 1
    assert FOR_SALE in shop.owned()


def test_a_number_of_the_account_is_imported_and_set_up(
    alice: Tenant, shop: Shop, settings: Settings
) -> None:
    by_sid = alice.api.post(N, {"provider_sid": shop.sid(OWNED)})
    assert (by_sid.status_code, by_sid.json()["e164"]) == (201, OWNED)
    settle()
    shown = alice.api.get(f"{N}/{by_sid.json()['id']}").json()
    assert (shown["status"], shown["source"]) == ("active", "imported")
    assert shop.owned()[OWNED] == f"{settings.PUBLIC_BASE_URL}/twilio/voice"


def test_a_number_that_is_only_written_down_asks_nobody(alice: Tenant, settings: Settings) -> None:
    settings.TWILIO_ACCOUNT_SID = ""
    made = alice.api.post(N, {"e164": "+1 415 555 0190", "configure": False}).json()
    assert (made["e164"], made["status"], made["source"]) == ("+14155550190", "active", "recorded")
    refused = alice.api.post(N, {"e164": "+14155550191"})
    assert (refused.status_code, refused.json()["code"]) == (503, "carrier_not_configured")


@pytest.mark.parametrize(
    ("body", "loc", "kind"),
    [
        ({}, "e164", "missing"),
        ({"e164": "12"}, "e164", "phone"),
        ({"e164": "+14155550191"}, "e164", "missing"),
        ({"provider_sid": "PN" + "0" * 32}, "provider_sid", "missing"),
        ({"provider_sid": "PN1"}, "provider_sid", "invalid"),
        ({"e164": FOR_SALE, "buy": True, "configure": False}, "configure", "one_of"),
        ({"e164": FOR_SALE, "buy": "yes"}, "buy", "wrong_type"),
    ],
)
def test_a_number_that_cannot_be_had_says_why(alice: Tenant, body: Any, loc: str, kind: str) -> None:
    assert error(alice.api.post(N, body)) == (["body", loc], kind)


def test_the_same_order_twice_is_one(alice: Tenant, shop: Shop) -> None:
    body = {"e164": FOR_SALE, "buy": True}
    first = alice.api.post(N, body, Idempotency_Key="k")
    again = alice.api.post(N, body, Idempotency_Key="k")
    assert again.json() == first.json()
    assert PhoneNumber.objects.filter(e164=FOR_SALE).count() == 1


def test_a_number_in_use_is_not_released(alice: Tenant) -> None:
    path = f"{N}/{alice.number.id}"
    used = alice.api.delete(path)
    assert (used.status_code, used.json()["code"], used.json()["batches"]) == (409, "number_in_use", 1)
    alice.api.post(f"/api/v1/voice/batches/{alice.batch.id}/cancel")
    call = live_call(alice.workspace, alice.agent, alice.number)
    assert alice.api.delete(path).json()["calls"] == 1
    type(call).objects.filter(pk=call.pk).delete()
    assert alice.api.delete(path).status_code == 204
    assert alice.api.get(path).status_code == 404
    assert PhoneNumber.objects.get(pk=alice.number.id).released_at


def test_a_released_number_stays_at_the_carrier_unless_it_is_asked_for(alice: Tenant, shop: Shop) -> None:
    made = alice.api.post(N, {"e164": OWNED}).json()
    settle()
    assert error(alice.api.delete(f"{N}/{made['id']}?at_carrier=perhaps"))[0] == ["query", "at_carrier"]
    assert alice.api.delete(f"{N}/{made['id']}").status_code == 204
    assert OWNED in shop.owned()
    back = alice.api.post(N, {"e164": OWNED}).json()
    settle()
    assert alice.api.delete(f"{N}/{back['id']}?at_carrier=true").status_code == 204
    assert alice.api.get(f"{N}/{back['id']}").json()["status"] == "releasing"
    assert alice.api.post(N, {"e164": OWNED}).json()["code"] == "number_taken"
    settle()
    assert OWNED not in shop.owned()
    assert alice.api.get(f"{N}/{back['id']}").status_code == 404


def test_a_number_that_is_being_bought_is_not_released(alice: Tenant) -> None:
    made = alice.api.post(N, {"e164": FOR_SALE, "buy": True}).json()
    waiting = alice.api.delete(f"{N}/{made['id']}")
    assert (waiting.status_code, waiting.json()["code"]) == (409, "number_pending")


def test_the_numbers_calendar_rules_over_the_agents(alice: Tenant) -> None:
    from voice.services import inbound

    path = f"{N}/{alice.number.id}"
    shown = alice.api.patch(path, {"calendar_id": str(alice.calendar.id)}).json()
    assert shown["calendar_id"] == str(alice.calendar.id)
    call = inbound.receive(inbound.Ringing("CA" + "7" * 32, "+14155550142", alice.number.e164))
    assert call is not None
    assert call.calendar_id == alice.calendar.id
