"""Every way to be wrong has its answer, and it is JSON (contract.md 3)."""

from typing import Any
from unittest.mock import patch

import pytest
from pytest_django import Settings

from tests.api.routes import Route, all_routes
from tests.api.test_tenants import fill, ids
from tests.api.world import Api, Tenant, live_call

LEADS = "/api/v1/crm/leads"
CALLS = "/api/v1/voice/calls"
ROUTES = all_routes()


def error(answer: Any) -> dict[str, Any]:
    """The first validation error."""
    assert answer.status_code == 422, answer.content
    first: dict[str, Any] = answer.json()["detail"][0]
    assert set(first) == {"loc", "msg", "type"}
    return first


@pytest.mark.parametrize(
    "raw", [b"{", b"nonsense", b'{"a": NaN}', b'{"first_name": "\\ud800"}', b"\xff\xfe", b"[" * 5000]
)
def test_what_is_not_json_is_400(alice: Tenant, raw: bytes) -> None:
    answer = alice.api.post(LEADS, raw)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")


@pytest.mark.parametrize("raw", [b"[]", b'"text"', b"1", b"null", b"true"])
def test_json_that_is_no_object_is_422(alice: Tenant, raw: bytes) -> None:
    assert error(alice.api.post(LEADS, raw))["loc"] == ["body"]


def test_another_media_type_is_415(alice: Tenant) -> None:
    answer = alice.api.post(LEADS, b"a=b", content_type="application/x-www-form-urlencoded")
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_a_body_above_the_limit_is_413(alice: Tenant, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    for headers in ({}, {"Idempotency_Key": "k"}):
        answer = alice.api.post(LEADS, {"notes": "x" * 2000}, **headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("body", "loc", "kind"),
    [
        ({"first_name": 1, "nickname": "M"}, ["body", "nickname"], "extra_forbidden"),
        ({"id": "01900000-0000-7000-8000-000000000000"}, ["body", "id"], "extra_forbidden"),
        ({"created_at": "2020-01-01T00:00:00Z"}, ["body", "created_at"], "extra_forbidden"),
        ({"first_name": 1}, ["body", "first_name"], "wrong_type"),
        ({"owner_id": 5}, ["body", "owner_id"], "wrong_type"),
        ({"phone": "12"}, ["body", "phone"], "phone"),
        ({"email": "nobody"}, ["body", "email"], "invalid"),
        ({"stage": "gone"}, ["body", "stage"], "invalid_choice"),
        ({"first_name": "a\x00b"}, ["body", "first_name"], "null_characters_not_allowed"),
        ({"custom": {"a": {"b": "\x00"}}}, ["body", "custom"], "text"),
        ({"custom": [1]}, ["body", "custom"], "not_an_object"),
        ({"custom": {"a": [1e30]}}, ["body", "custom"], "number"),
        (b'{"custom": {"a": 1%s}}' % (b"0" * 40), ["body", "custom"], "number"),
        ({"time_zone": "Mars/Base"}, ["body", "time_zone"], "time_zone"),
        ({"first_name": "x" * 101}, ["body", "first_name"], "max_length"),
        ({"company_id": "01900000-0000-7000-8000-000000000000"}, ["body", "company_id"], "extra_forbidden"),
    ],
)
def test_a_wrong_field_says_which_and_why(alice: Tenant, body: Any, loc: list[str], kind: str) -> None:
    found = error(alice.api.post(LEADS, body))
    assert (found["loc"], found["type"]) == (loc, kind)


def test_a_missing_field_is_missing(alice: Tenant) -> None:
    answer = alice.api.post("/api/v1/voice/batches", {})
    assert [one["loc"] for one in answer.json()["detail"]] == [["body", "lead_ids"], ["body", "objective"]]
    assert {one["type"] for one in answer.json()["detail"]} == {"missing"}


def test_a_place_in_a_list_is_in_the_path(alice: Tenant) -> None:
    body = {"lead_ids": [str(alice.lead.id), "x"], "objective": "o"}
    assert error(alice.api.post("/api/v1/voice/batches", body))["loc"] == ["body", "lead_ids", 1]
    criteria = {"name": "A", "system_prompt": "x", "criteria": [{"name": "a"}, {"nome": "b"}]}
    assert error(alice.api.post("/api/v1/voice/agents", criteria))["loc"] == ["body", "criteria", 1, "nome"]


def test_more_than_500_leads_are_refused(alice: Tenant) -> None:
    body = {"lead_ids": [str(alice.lead.id)] * 501, "objective": "o"}
    assert error(alice.api.post("/api/v1/voice/batches", body))["loc"] == ["body", "lead_ids"]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("colour=red", "colour"),
        ("status=flying", "status"),
        ("outcome=", "outcome"),
        ("lead_id=12", "lead_id"),
        ("from=yesterday", "from"),
        ("q=%00", "q"),
        ("q=" + "x" * 101, "q"),
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=many", "limit"),
        ("limit=١", "limit"),
        ("cursor=", "cursor"),
        ("cursor=garbage", "cursor"),
        ("cursor=%00%ff", "cursor"),
        ("status=ended&status=queued", "status"),
    ],
)
def test_a_wrong_parameter_says_which(alice: Tenant, query: str, name: str) -> None:
    assert error(alice.api.get(f"{CALLS}?{query}"))["loc"] == ["query", name]


def test_a_limit_above_the_cap_is_the_cap(alice: Tenant) -> None:
    for limit in ("201", "99999999999999999999999"):
        assert alice.api.get(f"{CALLS}?limit={limit}").status_code == 200


@pytest.mark.parametrize("route", [r for r in ROUTES if "GET" in r.methods], ids=lambda route: route.path)
def test_no_route_ignores_a_parameter(alice: Tenant, route: Route) -> None:
    if route.path.endswith(("/stream", "/media")):
        return
    assert error(alice.api.get(fill(route, ids(alice)) + "?colour=red"))["loc"] == ["query", "colour"]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_a_method_that_a_route_lacks_is_405(alice: Tenant, route: Route) -> None:
    lacking = {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - set(route.methods)
    for method in sorted(lacking):
        answer: Any = alice.api.request(method, fill(route, ids(alice)), {})
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
        assert set(route.methods) <= set(answer["Allow"].replace(" ", "").split(","))


@pytest.mark.parametrize(
    "route", [r for r in ROUTES if not r.path.endswith(("/media", "/login"))], ids=lambda r: r.path
)
def test_every_route_wants_a_credential(alice: Tenant, route: Route) -> None:
    for method in route.methods:
        answer: Any = Api().request(method, fill(route, ids(alice)), {} if method != "GET" else None)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/",
        "/api/v1/nothing",
        "/api/v2/voice/calls",
        f"{CALLS}/",
        f"{CALLS}/not-an-id",
        f"{CALLS}//x",
        f"{CALLS}/%0Ax",
    ],
)
def test_an_unknown_address_is_404_in_json(alice: Tenant, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer: Any = alice.api.request(method, path, {} if method == "POST" else None)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert answer["Content-Type"] == "application/json"


def test_accept_and_format_do_not_change_the_form(alice: Tenant) -> None:
    assert alice.api.get(CALLS, Accept="text/html").json()["items"]
    assert error(alice.api.get(f"{CALLS}?format=xml"))["loc"] == ["query", "format"]


def test_our_own_fault_is_500_in_json_and_tells_nothing(alice: Tenant) -> None:
    with patch("voice.selectors.calls.all_of", side_effect=RuntimeError("secret detail")):
        answer = alice.api.get(CALLS)
    assert answer.status_code == 500
    assert answer.json() == {"detail": "something broke on our side", "code": "internal_error"}


def test_what_a_state_forbids_is_409_with_a_code(alice: Tenant) -> None:
    over = alice.api.post(f"{CALLS}/{alice.call.id}/hangup")
    assert (over.status_code, over.json()["code"]) == (409, "call_over")
    say = alice.api.post(f"{CALLS}/{alice.call.id}/say", {"text": "Hello"})
    assert (say.status_code, say.json()["code"]) == (409, "call_over")
    twin = alice.api.post(LEADS, {"phone": alice.lead.phone})
    assert (twin.status_code, twin.json()["code"]) == (409, "duplicate_lead")
    assert twin.json()["lead_id"] == str(alice.lead.id)
    used = alice.api.delete(f"/api/v1/voice/profiles/{alice.profile.id}")
    assert (used.status_code, used.json()["code"]) == (409, "profile_in_use")
    live = live_call(alice.workspace, alice.agent, alice.number)
    nobody = alice.api.post(f"{CALLS}/{live.id}/transfer", {})
    assert (nobody.status_code, nobody.json()["code"]) == (409, "no_transfer_number")


def test_a_deleted_recording_is_gone(alice: Tenant) -> None:
    path = f"{CALLS}/{alice.call.id}/recording"
    assert alice.api.get(path).status_code == 200
    assert alice.api.delete(path).status_code == 204
    gone = alice.api.get(path)
    assert (gone.status_code, gone.json()["code"]) == (410, "recording_expired")


@pytest.mark.parametrize(
    ("at", "status"),
    [
        ("2026-11-02T10:00:00-16:57", 200),
        ("2026-11-02T10:00:00%2B23:59", 200),
        ("0001-01-01T00:00:00%2B01:00", 422),
        ("9999-12-31T23:59:59-01:00", 422),
    ],
)
def test_instants_with_any_offset(alice: Tenant, at: str, status: int) -> None:
    """PostgreSQL takes offsets below sixteen hours only."""
    assert alice.api.get(f"{CALLS}?from={at}").status_code == status
