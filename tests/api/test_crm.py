"""The CRM as an integrator uses it: fields, filters, search, duplicates, bulk, segments, consents."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from crm.models import Company, Lead, Segment
from tenex.events.models import Event
from tenex.workspaces.models import AuditEntry
from tests.api.world import Tenant

C = "/api/v1/crm"
LEADS = f"{C}/leads"


def make(tenant: Tenant, **body: Any) -> dict[str, Any]:
    answer = tenant.api.post(LEADS, body)
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found


def names(tenant: Tenant, query: str) -> set[str]:
    answer = tenant.api.get(f"{LEADS}?{query}")
    assert answer.status_code == 200, answer.content
    return {item["first_name"] for item in answer.json()["items"]}


def error(answer: Any) -> tuple[list[Any], str]:
    assert answer.status_code == 422, answer.content
    first = answer.json()["detail"][0]
    return first["loc"], first["type"]


def told(type_: str) -> list[dict[str, Any]]:
    return list(Event.objects.filter(type=type_).order_by("seq").values_list("data", flat=True))


# --- custom fields ---------------------------------------------------------------------------------


def define(tenant: Tenant, key: str, type_: str, **more: Any) -> dict[str, Any]:
    answer = tenant.api.post(f"{C}/custom-fields", {"key": key, "type": type_, **more})
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"budget": "10"}, "wrong_type"),
        ({"budget": True}, "wrong_type"),
        ({"vip": 1}, "wrong_type"),
        ({"city": 5}, "wrong_type"),
        ({"city": "x" * 1001}, "string_too_long"),
        ({"renewal": "2030-2-1"}, "date"),
        ({"renewal": "2030-02-30"}, "date"),
        ({"plan": "gold"}, "enum"),
    ],
)
def test_a_defined_field_takes_only_its_type(alice: Tenant, value: dict[str, Any], kind: str) -> None:
    for key, type_ in (("budget", "number"), ("vip", "boolean"), ("city", "text"), ("renewal", "date")):
        define(alice, key, type_)
    key = next(iter(value))
    assert error(alice.api.post(LEADS, {"custom": value})) == (["body", "custom", key], kind)


def test_custom_is_merged_and_free_where_nothing_is_defined(alice: Tenant) -> None:
    define(alice, "budget", "number")
    lead = make(alice, custom={"budget": 10, "own": {"any": [1]}, "old": "x"})
    path = f"{LEADS}/{lead['id']}"
    changed = alice.api.patch(path, {"custom": {"budget": 11.5, "old": None}}).json()
    assert changed["custom"] == {"budget": 11.5, "own": {"any": [1]}}
    [event] = told("lead.updated")[-1:]
    assert event["changes"]["custom"]["to"] == changed["custom"]
    before = Event.objects.count()
    alice.api.patch(path, {"custom": {"budget": 11.5}})
    assert Event.objects.count() == before


def test_a_definition_is_made_changed_and_forgotten(alice: Tenant) -> None:
    path = f"{C}/custom-fields"
    made = define(alice, "tier", "choice", choices=["a", "b"], label="Tier")
    again = alice.api.post(path, {"key": "tier", "type": "text"})
    assert (again.status_code, again.json()["code"]) == (409, "field_exists")
    assert error(alice.api.post(path, {"key": "Tier", "type": "text"}))[0] == ["body", "key"]
    assert error(alice.api.post(path, {"key": "x", "type": "choice"})) == (["body", "choices"], "missing")
    assert error(alice.api.post(path, {"key": "x", "type": "text", "choices": ["a"]}))[0] == [
        "body",
        "choices",
    ]
    assert error(alice.api.patch(f"{path}/{made['id']}", {"type": "text"}))[0] == ["body", "type"]
    rules = {"all": [{"field": "custom.tier", "op": "eq", "value": "b"}]}
    segment = alice.api.post(f"{C}/segments", {"name": "Tier b", "kind": "rules", "rules": rules}).json()
    for refused in (
        alice.api.patch(f"{path}/{made['id']}", {"choices": ["a"]}),
        alice.api.delete(f"{path}/{made['id']}"),
    ):
        assert (refused.status_code, refused.json()["code"]) == (409, "field_in_use")
        assert refused.json()["segment_id"] == segment["id"]
    assert alice.api.delete(f"{C}/segments/{segment['id']}").status_code == 204
    assert alice.api.patch(f"{path}/{made['id']}", {"choices": ["a"]}).json()["choices"] == ["a"]
    assert alice.api.delete(f"{path}/{made['id']}").status_code == 204
    assert AuditEntry.objects.filter(action="custom_field.deleted", object_id=made["id"]).exists()


# --- filters and search ----------------------------------------------------------------------------


@pytest.fixture
def people(alice: Tenant) -> Tenant:
    define(alice, "budget", "number")
    define(alice, "vip", "boolean")
    make(
        alice,
        first_name="Ana",
        phone="+442071838750",
        organization="Müller & Söhne",
        source="Web",
        owner_id=str(alice.owner.id),
        custom={"budget": 5, "plan": "pro"},
    )
    make(alice, first_name="Ben", last_name="O'Neil", email="Ben@Shop.example", custom={"vip": True})
    make(alice, first_name="100%_sure", stage="customer")
    return alice


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("q=ana", {"Ana"}),
        ("q=MÜLL", {"Ana"}),
        ("q=ana+söhne", {"Ana"}),
        ("q=ana+ben", set()),
        ("q=shop.ex", {"Ben"}),
        ("q=o'neil", {"Ben"}),
        ("q=020+7183+8750", {"Ana"}),
        ("q=%2B44+(20)+7183-8750", {"Ana"}),
        ("q=7183", {"Ana"}),
        ("q=%25_", {"100%_sure"}),
        ("q=\\", set()),
        ("has_phone=false", {"Ben", "100%_sure"}),
        ("has_email=true", {"Ben"}),
        ("has_owner=true", {"Ana"}),
        ("source=web", {"Ana"}),
        ("email=BEN@shop.example", {"Ben"}),
        ("phone=%2B44+20+7183+8750", {"Ana"}),
        ("phone=+442071838750", {"Ana"}),
        ("stage=customer", {"100%_sure"}),
        ("custom[budget]=5.0", {"Ana"}),
        ("custom[plan]=pro&custom[budget]=5", {"Ana"}),
        ("custom[vip]=yes", {"Ben"}),
        ("created_from=2020-01-01T00:00:00Z&stage=customer", {"100%_sure"}),
        ("created_to=2020-01-01T00:00:00Z", set()),
        ("last_call_from=2020-01-01T00:00:00Z", set()),
        ("opted_out=true", set()),
        ("consent=marketing", {"Maria"}),
        ("consent=informational", set()),
        ("qualification=qualified", set()),
    ],
)
def test_filters_find(people: Tenant, query: str, wanted: set[str]) -> None:
    assert names(people, query) == wanted


def test_filters_by_ids(people: Tenant) -> None:
    firm = Company.objects.get(name="Müller & Söhne")
    assert names(people, f"organization_id={firm.id}&owner_id={people.owner.id}") == {"Ana"}
    assert names(people, f"segment_id={people.crm['segment_id']}") == {"Maria"}


@pytest.mark.parametrize(
    ("query", "name", "kind"),
    [
        ("has_phone=maybe", "has_phone", "value_error"),
        ("archived=1", "archived", "value_error"),
        ("stage=hot", "stage", "value_error"),
        ("owner_id=me", "owner_id", "value_error"),
        ("created_from=yesterday", "created_from", "value_error"),
        ("phone=12", "phone", "phone"),
        ("segment_id=mine", "segment_id", "value_error"),
        ("custom[nothing]=1", "custom[nothing]", "extra_forbidden"),
        ("custom[budget]=much", "custom[budget]", "wrong_type"),
        ("custom[budget]=", "custom[budget]", "too_short"),
        ("custom=1", "custom", "extra_forbidden"),
        ("colour=red", "colour", "extra_forbidden"),
        ("q=" + "x" * 101, "q", "value_error"),
    ],
)
def test_a_filter_that_makes_no_sense_says_so(people: Tenant, query: str, name: str, kind: str) -> None:
    assert error(people.api.get(f"{LEADS}?{query}")) == (["query", name], kind)


def test_a_segment_of_somebody_else_is_one_that_does_not_exist(alice: Tenant, charlie: Tenant) -> None:
    theirs = alice.api.get(f"{LEADS}?segment_id={charlie.crm['segment_id']}")
    nowhere = alice.api.get(f"{LEADS}?segment_id=01900000-0000-7000-8000-000000000000")
    assert theirs.json()["items"] == []
    assert theirs.content == nowhere.content


def test_search_follows_who_is_renamed(people: Tenant) -> None:
    firm = Company.objects.get(name="Müller & Söhne")
    renamed = people.api.patch(f"{C}/organizations/{firm.id}", {"name": "Zeta Ltd"})
    assert renamed.json()["name"] == "Zeta Ltd"
    assert names(people, "q=zeta") == {"Ana"}
    assert names(people, "q=müller") == set()
    Lead.objects.filter(first_name="Ben").update(first_name="Bob")  # whoever writes, in whatever way
    assert names(people, "q=bob") == {"Bob"}


# --- duplicates ------------------------------------------------------------------------------------


def test_a_duplicate_is_refused_left_or_changed_as_asked(alice: Tenant) -> None:
    body = {"phone": alice.lead.phone, "title": "CTO", "email": "maria@x.example"}
    refused = alice.api.post(LEADS, body)
    assert (refused.status_code, refused.json()["code"]) == (409, "duplicate_lead")
    assert refused.json()["lead_id"] == str(alice.lead.id)
    left = alice.api.post(f"{LEADS}?on_duplicate=skip", body)
    assert (left.status_code, left.json()["id"], left.json()["title"]) == (200, str(alice.lead.id), "")
    changed = alice.api.post(f"{LEADS}?on_duplicate=update", body)
    assert (changed.status_code, changed.json()["id"]) == (200, str(alice.lead.id))
    assert (changed.json()["title"], changed.json()["first_name"]) == ("CTO", "Maria")
    assert told("lead.updated")[-1]["changes"]["title"] == {"from": "", "to": "CTO"}
    new = alice.api.post(f"{LEADS}?on_duplicate=update", {"phone": "+14155550166"})
    assert new.status_code == 201
    assert error(alice.api.post(f"{LEADS}?on_duplicate=maybe", body)) == (["query", "on_duplicate"], "enum")
    wrong = alice.api.post(f"{LEADS}?on_duplicate=update", {"phone": "12"})
    assert error(wrong) == (["body", "phone"], "phone")


def test_phone_of_one_and_email_of_another_is_no_update(alice: Tenant) -> None:
    other = make(alice, email="other@x.example")
    body = {"phone": alice.lead.phone, "email": other["email"]}
    refused = alice.api.post(f"{LEADS}?on_duplicate=update", body)
    assert (refused.status_code, refused.json()["code"]) == (409, "duplicate_lead")


def test_an_archived_lead_comes_back_unless_somebody_has_its_phone(alice: Tenant) -> None:
    path = f"{LEADS}/{alice.lead.id}"
    assert alice.api.delete(path).status_code == 204
    twin = make(alice, phone=alice.lead.phone)
    refused = alice.api.post(f"{path}/unarchive")
    assert (refused.status_code, refused.json()["code"]) == (409, "duplicate_lead")
    assert refused.json()["lead_id"] == twin["id"]
    alice.api.delete(f"{LEADS}/{twin['id']}")
    assert alice.api.post(f"{path}/unarchive").json()["archived_at"] is None
    assert alice.api.post(f"{path}/unarchive").status_code == 200
    assert told("lead.updated")[-1]["changes"]["archived_at"]["to"] is None


# --- bulk ------------------------------------------------------------------------------------------


def test_each_item_of_a_bulk_has_its_own_result(alice: Tenant) -> None:
    items: list[Any] = [
        {"first_name": "New", "phone": "+14155550150"},
        {"first_name": "Bad", "phone": "12"},
        {"nickname": "x"},
        "text",
        {"first_name": "Dup", "phone": alice.lead.phone},
        {"first_name": "Twin", "phone": "(415) 555-0150"},
        {"organization_id": "01900000-0000-7000-8000-000000000000"},
        {"email": "plain@x.example", "organization": "Acme"},
        {"email": "PLAIN2@x.example", "organization": "ACME"},
    ]
    body = alice.api.post(f"{LEADS}/bulk", {"leads": items}).json()
    results = body["results"]
    assert [one["result"] for one in results] == [
        "created", "failed", "failed", "failed", "failed", "failed", "failed", "created", "created",
    ]  # fmt: skip
    assert [one["index"] for one in results] == list(range(9))
    assert (body["created"], body["failed"]) == (3, 6)
    errors = [(one["errors"][0]["loc"], one["errors"][0]["type"]) for one in results if one["errors"]]
    assert errors == [
        (["body", "leads", 1, "phone"], "phone"),
        (["body", "leads", 2, "nickname"], "extra_forbidden"),
        (["body", "leads", 3], "invalid"),
        (["body", "leads", 4], "duplicate_lead"),
        (["body", "leads", 5], "duplicate_lead"),
        (["body", "leads", 6, "organization_id"], "missing"),
    ]
    assert results[5]["lead_id"] == results[0]["lead_id"]
    assert Company.objects.filter(workspace=alice.workspace, name__iexact="acme").count() == 1
    made = [one["lead_id"] for one in results if one["result"] == "created"]
    assert [one["lead_id"] for one in told("lead.created")[-3:]] == made


def test_a_bulk_that_updates_is_as_single_requests_one_after_the_other(alice: Tenant) -> None:
    items = [
        {"phone": "+14155550150", "first_name": "One"},
        {"phone": "+14155550150", "first_name": "Two", "email": "two@x.example"},
        {"email": "two@x.example", "phone": "+14155550151"},
        {"phone": "+14155550150", "first_name": "Other"},
        {"phone": alice.lead.phone, "custom": {"seen": 1}},
        {"phone": alice.lead.phone, "custom": {"seen": 1}},
    ]
    before = Event.objects.count()
    body = alice.api.post(f"{LEADS}/bulk?on_duplicate=update", {"leads": items}).json()
    assert [one["result"] for one in body["results"]] == [
        "created", "updated", "updated", "created", "updated", "unchanged",
    ]  # fmt: skip
    lead = Lead.objects.get(pk=body["results"][0]["lead_id"])
    assert (lead.first_name, lead.phone, lead.email) == ("Two", "+14155550151", "two@x.example")
    alice.lead.refresh_from_db()
    assert alice.lead.custom == {"seen": 1}
    types = Event.objects.order_by("seq").values_list("type", flat=True)[before:]
    assert list(types) == [
        "lead.created", "lead.updated", "lead.updated", "lead.created", "lead.updated",
    ]  # fmt: skip
    again = alice.api.post(f"{LEADS}/bulk?on_duplicate=update", {"leads": items[3:4]}).json()
    assert again["unchanged"] == 1


def test_phones_that_trade_places_are_written_all_the_same(alice: Tenant) -> None:
    one, two = (make(alice, email=f"{n}@x.example", phone=f"+1415555016{n}") for n in (1, 2))
    items = [
        {"email": two["email"], "phone": "+14155550163"},
        {"email": one["email"], "phone": two["phone"]},
        {"email": two["email"], "phone": one["phone"]},
    ]
    body = alice.api.post(f"{LEADS}/bulk?on_duplicate=update", {"leads": items}).json()
    assert [item["result"] for item in body["results"]] == ["updated"] * 3
    shown = {n: alice.api.get(f"{LEADS}/{one_['id']}").json()["phone"] for n, one_ in ((1, one), (2, two))}
    assert shown == {1: two["phone"], 2: one["phone"]}


def test_suppressed_numbers_of_a_bulk_have_opted_out(alice: Tenant) -> None:
    body = alice.api.post(f"{LEADS}/bulk", {"leads": [{"phone": "+14155550199"}]}).json()
    assert alice.api.get(f"{LEADS}/{body['results'][0]['lead_id']}").json()["opted_out_at"]


def test_a_bulk_is_bounded_and_idempotent(alice: Tenant) -> None:
    assert error(alice.api.post(f"{LEADS}/bulk", {"leads": [{}] * 501}))[0] == ["body", "leads"]
    assert error(alice.api.post(f"{LEADS}/bulk", {"leads": []}))[0] == ["body", "leads"]
    body = {"leads": [{"first_name": f"N{n}"} for n in range(500)]}
    first = alice.api.post(f"{LEADS}/bulk", body, Idempotency_Key="b")
    again = alice.api.post(f"{LEADS}/bulk", body, Idempotency_Key="b")
    assert first.json()["created"] == 500
    assert again.content == first.content
    assert Lead.objects.filter(workspace=alice.workspace).count() == 501


def test_a_bulk_costs_the_same_number_of_statements_for_many(
    alice: Tenant, django_assert_max_num_queries: Any
) -> None:
    alice.api.get(LEADS)
    with django_assert_max_num_queries(22):
        body = {"leads": [{"phone": f"+1415556{n:04}", "organization": f"F{n % 50}"} for n in range(300)]}
        assert alice.api.post(f"{LEADS}/bulk?on_duplicate=update", body).json()["created"] == 300
    with django_assert_max_num_queries(22):
        body = {"leads": [{"phone": f"+1415556{n:04}", "title": "x"} for n in range(300)]}
        assert alice.api.post(f"{LEADS}/bulk?on_duplicate=update", body).json()["updated"] == 300


# --- organizations, segments, consents, notes ------------------------------------------------------


def test_organizations(alice: Tenant) -> None:
    path = f"{C}/organizations"
    made = alice.api.post(path, {"name": " Acme ", "domain": "ACME.example"}).json()
    assert (made["name"], made["domain"]) == ("Acme", "acme.example")
    twin = alice.api.post(path, {"name": "ACME"})
    assert (twin.status_code, twin.json()["code"]) == (409, "name_taken")
    assert twin.json()["organization_id"] == made["id"]
    assert [one["id"] for one in alice.api.get(f"{path}?q=acm").json()["items"]] == [made["id"]]
    assert alice.api.get(f"{path}?domain=acme.EXAMPLE").json()["items"]
    lead = make(alice, organization="acme")
    assert lead["organization_id"] == made["id"]
    used = alice.api.delete(f"{path}/{made['id']}")
    assert (used.status_code, used.json()["code"]) == (409, "organization_in_use")
    alice.api.patch(f"{LEADS}/{lead['id']}", {"organization_id": None})
    assert alice.api.delete(f"{path}/{made['id']}").status_code == 204


@pytest.mark.parametrize(("kind", "path"), [(Company, "organizations"), (Segment, "segments")])
def test_what_is_deleted_while_it_is_changed_is_not_made_anew(
    alice: Tenant, monkeypatch: pytest.MonkeyPatch, kind: type[Company | Segment], path: str
) -> None:
    made = alice.api.post(f"{C}/{path}", {"name": "Old"} | ({"kind": "static"} if kind is Segment else {}))
    one = f"{C}/{path}/{made.json()['id']}"
    save = kind.save

    def too_late(row: Company | Segment, **how: Any) -> None:
        kind.objects.filter(pk=row.pk).delete()
        save(row, **how)

    monkeypatch.setattr(kind, "save", too_late)
    assert alice.api.patch(one, {"name": "New"}).status_code == 404


def test_a_static_segment_is_kept_by_hand(alice: Tenant) -> None:
    made = alice.api.post(f"{C}/segments", {"name": "Mine", "kind": "static"}).json()
    path = f"{C}/segments/{made['id']}"
    more = [make(alice, first_name=f"M{n}")["id"] for n in range(3)]
    assert alice.api.post(f"{path}/leads", {"lead_ids": more}).json() == {"changed": 3}
    assert alice.api.post(f"{path}/leads", {"lead_ids": [*more, str(alice.lead.id)]}).json() == {"changed": 1}
    unknown = alice.api.post(f"{path}/leads", {"lead_ids": [more[0], made["id"]]})
    assert error(unknown) == (["body", "lead_ids", 1], "missing")
    assert alice.api.post(f"{path}/leads/remove", {"lead_ids": more[:1]}).json() == {"changed": 1}
    alice.api.delete(f"{LEADS}/{more[1]}")
    shown = [one["id"] for one in alice.api.get(f"{path}/leads").json()["items"]]
    assert shown == [more[2], str(alice.lead.id)]
    assert alice.api.get(path).json()["lead_count"] == 2
    taken = alice.api.post(f"{C}/segments", {"name": "Mine", "kind": "static"})
    assert (taken.status_code, taken.json()["code"]) == (409, "name_taken")
    assert error(alice.api.patch(path, {"rules": {"all": []}}))[0] == ["body", "rules"]


def test_a_segment_of_rules_is_asked_each_time(alice: Tenant, charlie: Tenant) -> None:
    rules = {"all": [{"field": "stage", "op": "eq", "value": "qualified"}]}
    made = alice.api.post(f"{C}/segments", {"name": "Hot", "kind": "rules", "rules": rules}).json()
    path = f"{C}/segments/{made['id']}"
    assert (made["rules"], made["lead_count"]) == (rules, 0)
    alice.api.patch(f"{LEADS}/{alice.lead.id}", {"stage": "qualified"})
    assert alice.api.get(path).json()["lead_count"] == 1
    refused = alice.api.post(f"{path}/leads", {"lead_ids": [str(alice.lead.id)]})
    assert (refused.status_code, refused.json()["code"]) == (409, "segment_has_rules")
    wrong = alice.api.patch(path, {"rules": {"any": [{"field": "stage", "op": "eq", "value": "hot"}]}})
    assert error(wrong) == (["body", "rules", "any", 0, "value"], "enum")
    for owner in (charlie.owner.id, "01900000-0000-7000-8000-000000000000"):
        theirs = {"all": [{"field": "owner_id", "op": "in", "value": [str(owner)]}]}
        assert error(alice.api.patch(path, {"rules": theirs})) == (["body", "rules"], "missing")
    mine = {"all": [{"not": {"field": "owner_id", "op": "eq", "value": str(alice.owner.id)}}]}
    assert alice.api.patch(path, {"rules": mine}).json()["lead_count"] == 1
    missing = alice.api.post(f"{C}/segments", {"name": "No rules", "kind": "rules"})
    assert error(missing) == (["body", "rules"], "missing")


def test_a_consent_is_recorded_shown_and_revoked(alice: Tenant) -> None:
    path = f"{LEADS}/{alice.lead.id}/consents"
    now = timezone.now()
    given = {"purpose": "informational", "source": "phone", "given_at": (now - timedelta(days=9)).isoformat()}
    over = {**given, "expires_at": (now - timedelta(days=1)).isoformat()}
    active = alice.api.post(path, {**given, "proof": "Yes, do call."}).json()
    expired = alice.api.post(path, over).json()
    assert (active["state"], expired["state"]) == ("active", "expired")
    assert active["recorded_by"] == f"key:{alice.key_prefix}"
    revoked = alice.api.post(f"{path}/{active['id']}/revoke", {"reason": "changed their mind"}).json()
    assert (revoked["state"], revoked["revoked_reason"]) == ("revoked", "changed their mind")
    again = alice.api.post(f"{path}/{active['id']}/revoke", {}).json()
    assert again["revoked_at"] == revoked["revoked_at"]
    shown = alice.api.get(f"{LEADS}/{alice.lead.id}").json()["consents"]
    assert [(one["purpose"], one["state"]) for one in shown] == [
        ("informational", "expired"),
        ("informational", "revoked"),
        ("marketing", "active"),  # of the world
        ("marketing", "active"),
    ]
    assert names(alice, "consent=informational") == set()
    actions = AuditEntry.objects.filter(object_id=str(alice.lead.id)).values_list("action", flat=True)
    assert sorted(actions) == ["consent.given", "consent.given", "consent.given", "consent.revoked"]
    assert told("lead.updated")[-1]["changes"]["consent"] == {"from": "informational", "to": None}
    future = {**given, "given_at": (now + timedelta(days=1)).isoformat()}
    assert error(alice.api.post(path, future)) == (["body", "given_at"], "in_the_future")
    backwards = {**given, "expires_at": (now - timedelta(days=10)).isoformat()}
    assert error(alice.api.post(path, backwards)) == (["body", "expires_at"], "in_the_past")


def test_a_consent_belongs_to_its_lead(alice: Tenant) -> None:
    other = make(alice, first_name="Other")
    consent = alice.crm["consent_id"]
    answer = alice.api.post(f"{LEADS}/{other['id']}/consents/{consent}/revoke", {})
    assert answer.status_code == 404


def test_a_note_is_a_line_of_the_timeline(alice: Tenant) -> None:
    path = f"{LEADS}/{alice.lead.id}/timeline"
    made = alice.api.post(path, {"text": "Prefers mornings"})
    assert (made.status_code, made.json()["type"]) == (201, "note")
    assert alice.api.get(path).json()["items"][0]["summary"] == "Prefers mornings"
    assert error(alice.api.post(path, {"text": " "}))[0] == ["body", "text"]
