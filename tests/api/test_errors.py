"""Every way to be wrong has its answer, and it is JSON (contract.md 3)."""

from typing import Any
from unittest.mock import patch

import pytest
from django.db import IntegrityError
from psycopg.errors import ForeignKeyViolation, UniqueViolation
from pytest_django import Settings

from tenex.lib import limits
from tenex.rest.errors import exception_handler
from tests.api import matrix
from tests.api.routes import Route, all_routes
from tests.api.test_tenants import NOWHERE, fill, ids
from tests.api.world import Api, Tenant, live_call

LEADS = "/api/v1/crm/leads"
CALLS = "/api/v1/voice/calls"
ROUTES = all_routes()
PUBLIC = {
    "/api/v1/users/login": "gets a token",
    "/api/v1/users/invitations/accept": "the token of the invitation is the credential",
    "/api/v1/voice/recordings/{recording_id}/media": "the token of the link is the credential",
}


def error(answer: Any) -> dict[str, Any]:
    """The first validation error."""
    assert answer.status_code == 422, answer.content
    first: dict[str, Any] = answer.json()["detail"][0]
    assert set(first) == {"loc", "msg", "type"}
    return first


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"nonsense",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e}',
        b"{'a': 1}",
        b'{"a": 1,}',
        b'{"a": 1} {}',
        b'{"first_name": "\\ud800"}',
        b'{"first_name": "\xff"}',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"[" * 5000,
        b'{"custom": ' * 40 + b"1" + b"}" * 40,
        b'{"first_name": "A", "first_name": "B"}',
        b'{"custom": {"a": [{"b": 1, "b": 1}]}}',
    ],
)
def test_what_is_not_json_is_400(alice: Tenant, raw: bytes) -> None:
    answer = alice.api.post(LEADS, raw)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")


def test_json_as_deep_as_allowed_is_taken(alice: Tenant) -> None:
    deep: Any = "x"
    for _ in range(limits.JSON_DEPTH - 2):
        deep = [deep]
    assert alice.api.post(LEADS, {"custom": {"a": deep}}).status_code == 201


def test_a_number_of_any_length_breaks_nothing(alice: Tenant) -> None:
    answer = alice.api.post(LEADS, b'{"custom": {"a": ' + b"9" * 5000 + b"}}")
    assert answer.status_code in (201, 400, 422)


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
        ("limit=", "limit"),
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
    "one",
    [one for one in matrix.operations() if one.path not in PUBLIC],
    ids=lambda one: f"{one.method} {one.path}",
)
def test_every_operation_wants_a_credential(alice: Tenant, one: matrix.Operation) -> None:
    path = one.path.format_map(ids(alice))
    answer: Any = Api().request(one.method, path, {} if one.method != "GET" else None)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_what_says_that_it_is_public_is_known_to_be() -> None:
    """A stream also opens by a token, so it is described with both."""
    public = {one.path for one in matrix.operations() if one.is_public or one.with_token_only}
    assert public == set(PUBLIC)


def test_head_is_get_without_a_body(alice: Tenant) -> None:
    for path in (CALLS, f"{CALLS}/{alice.call.id}", "/api/v1/users/me"):
        answer: Any = alice.api.request("HEAD", path)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer["Content-Type"] == "application/json"
    nothing: Any = alice.api.request("HEAD", f"{CALLS}/{NOWHERE}")
    assert nothing.status_code == 404


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PROPFIND", "NONSENSE"])
def test_a_method_that_no_route_has_is_405(alice: Tenant, method: str) -> None:
    answer: Any = alice.api.request(method, CALLS)
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert "GET" in answer["Allow"]


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


@pytest.mark.parametrize(
    "accept",
    ["*/*", "application/*", "text/html, */*;q=0.1", "application/json;q=0.2, text/html", "Application/JSON"],
)
def test_whoever_takes_json_gets_it(alice: Tenant, accept: str) -> None:
    assert alice.api.get(CALLS, Accept=accept).json()["items"]


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "application/json;q=0", "*/*;q=0", "x"])
def test_whoever_does_not_take_json_gets_406_in_json(alice: Tenant, accept: str) -> None:
    for path in (CALLS, f"{CALLS}/{alice.call.id}"):
        answer = alice.api.get(path, Accept=accept)
        assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


def test_what_has_other_forms_takes_their_types(alice: Tenant) -> None:
    path = f"{CALLS}/{alice.call.id}/transcript"
    assert alice.api.get(f"{path}?format=vtt", Accept="text/vtt")["Content-Type"].startswith("text/vtt")
    assert alice.api.get(f"{path}?format=text", Accept="text/*").status_code == 200
    assert alice.api.get(path, Accept="text/csv").status_code == 406


def test_a_format_is_a_parameter_like_any_other(alice: Tenant) -> None:
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


@pytest.mark.parametrize(("cause", "status"), [(ForeignKeyViolation, 404), (UniqueViolation, 500)])
def test_a_row_that_went_under_another_is_not_there(cause: type[Exception], status: int) -> None:
    broken = IntegrityError("as Django raises it")
    broken.__cause__ = cause()
    assert exception_handler(broken, {}).status_code == status
