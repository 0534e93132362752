"""Segments: rules that are asked, lists that are kept, and walking through either."""

from typing import Any

import pytest

from crm.models import CustomField, Lead, Segment, SegmentMember
from crm.selectors import conditions, segments
from crm.selectors import fields as read_fields
from crm.services import leads
from tenex.errors import InvalidInput, NotFound
from tenex.workspaces.models import Workspace
from tests import rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def space() -> Workspace:
    found = rows.workspace()
    for key, type_, choices in (
        ("budget", "number", []),
        ("plan", "choice", ["free", "pro"]),
        ("vip", "boolean", []),
        ("renewal", "date", []),
        ("city", "text", []),
    ):
        CustomField.objects.create(workspace=found, key=key, type=type_, choices=choices)
    return found


def make(space: Workspace, name: str, **fields: Any) -> Lead:
    return leads.create(space, actor="test", first_name=name, **fields)


def names(space: Workspace, rules: dict[str, Any]) -> set[str]:
    asked = conditions.compile_rules(rules, read_fields.by_key(space.id))
    return set(Lead.objects.filter(asked, workspace=space).values_list("first_name", flat=True))


def one(field: str, op: str, value: Any) -> dict[str, Any]:
    return {"all": [{"field": field, "op": op, "value": value}]}


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        (one("stage", "eq", "contacted"), {"Ana"}),
        (one("stage", "ne", "contacted"), {"Ben", "Cleo"}),
        (one("stage", "in", ["contacted", "new"]), {"Ana", "Ben", "Cleo"}),
        (one("phone", "is_set", True), {"Ana"}),
        (one("phone", "is_set", False), {"Ben", "Cleo"}),
        (one("email", "eq", "BEN@x.example"), {"Ben"}),
        (one("organization", "contains", "ACM"), {"Ana"}),
        (one("organization", "ne", "Acme"), {"Ben", "Cleo"}),
        (one("source", "starts_with", "we"), {"Ben"}),
        (one("source", "is_set", False), {"Ana", "Cleo"}),
        (one("created_at", "within_days", 1), {"Ana", "Ben", "Cleo"}),
        (one("created_at", "lt", "2020-01-01T00:00:00Z"), set()),
        (one("last_call_at", "not_within_days", 30), {"Ana", "Ben", "Cleo"}),
        (one("opted_out", "eq", False), {"Ana", "Ben", "Cleo"}),
        (one("consent", "eq", "marketing"), set()),
        (one("q", "contains", "415 555-0101"), {"Ana"}),
        (one("custom.budget", "gte", 10), {"Ana"}),
        (one("custom.budget", "lt", 10.5), {"Ana", "Ben"}),
        (one("custom.budget", "eq", 10.0), {"Ana"}),
        (one("custom.budget", "is_set", False), {"Cleo"}),
        (one("custom.plan", "in", ["pro"]), {"Ana"}),
        (one("custom.vip", "eq", True), {"Cleo"}),
        (one("custom.vip", "ne", True), {"Ana", "Ben"}),
        (one("custom.renewal", "lte", "2030-06-01"), {"Ben"}),
        (one("custom.city", "contains", "ber"), {"Ben"}),
        ({"all": []}, {"Ana", "Ben", "Cleo"}),
        ({"any": [one("custom.vip", "eq", True), one("stage", "eq", "contacted")]}, {"Ana", "Cleo"}),
        ({"all": [{"not": one("custom.vip", "eq", True)}, one("phone", "is_set", False)]}, {"Ben"}),
    ],
)
def test_what_rules_find(space: Workspace, rules: dict[str, Any], wanted: set[str]) -> None:
    make(
        space,
        "Ana",
        phone="+14155550101",
        company_name="Acme",
        stage="contacted",
        custom={"budget": 10, "plan": "pro"},
    )
    make(
        space,
        "Ben",
        email="ben@x.example",
        source="Web",
        custom={"budget": 9.5, "city": "Berlin", "renewal": "2030-05-31"},
    )
    make(space, "Cleo", custom={"vip": True})
    assert names(space, rules) == wanted


def test_a_value_of_another_type_that_was_there_before_is_above_no_number(space: Workspace) -> None:
    Lead.objects.create(workspace=space, first_name="Odd", custom={"budget": True})
    assert names(space, one("custom.budget", "gte", 1)) == set()
    assert names(space, one("custom.budget", "is_set", True)) == {"Odd"}


@pytest.mark.parametrize(
    ("rules", "loc", "kind"),
    [
        (None, (), "rules"),
        ([], (), "rules"),
        ({}, (), "rules"),
        ({"not": {"all": []}}, (), "rules"),
        ({"all": {}}, ("all",), "not_a_list"),
        ({"all": [1]}, ("all", 0), "dict_type"),
        ({"any": []}, ("any",), "too_short"),
        ({"all": [{}]}, ("all", 0, "field"), "missing"),
        ({"all": [{"field": "stage", "op": "eq"}]}, ("all", 0, "value"), "missing"),
        (
            {"all": [{"field": "stage", "op": "eq", "value": "new", "x": 1}]},
            ("all", 0, "x"),
            "extra_forbidden",
        ),
        (one("workspace_id", "eq", "x"), ("all", 0, "field"), "extra_forbidden"),
        (one("company__workspace__name", "eq", "x"), ("all", 0, "field"), "extra_forbidden"),
        (one("custom.nothing", "eq", "x"), ("all", 0, "field"), "extra_forbidden"),
        ({"all": [{"field": ["stage"], "op": "eq", "value": 1}]}, ("all", 0, "field"), "extra_forbidden"),
        (one("stage", "regex", "x"), ("all", 0, "op"), "enum"),
        (one("stage", "gt", "new"), ("all", 0, "op"), "enum"),
        (one("stage", "eq", "hot"), ("all", 0, "value"), "enum"),
        (one("stage", "in", ["new", "hot"]), ("all", 0, "value", 1), "enum"),
        (one("stage", "in", []), ("all", 0, "value"), "too_long"),
        (one("created_at", "gte", "yesterday"), ("all", 0, "value"), "datetime"),
        (one("created_at", "gte", "2030-13-01T00:00:00Z"), ("all", 0, "value"), "datetime"),
        (one("created_at", "gte", "2030-01-01T00:00:00"), ("all", 0, "value"), "datetime"),
        (one("created_at", "within_days", True), ("all", 0, "value"), "wrong_type"),
        (one("owner_id", "eq", "me"), ("all", 0, "value"), "uuid_parsing"),
        (one("first_name", "eq", 5), ("all", 0, "value"), "string_type"),
        (one("first_name", "eq", "a\x00"), ("all", 0, "value"), "string_type"),
        (one("custom.budget", "gte", "10"), ("all", 0, "value"), "wrong_type"),
        (one("custom.budget", "gte", float("inf")), ("all", 0, "value"), "wrong_type"),
        (one("custom.vip", "eq", "true"), ("all", 0, "value"), "wrong_type"),
        (one("custom.renewal", "gte", "2030-02-30"), ("all", 0, "value"), "date"),
        (one("custom.plan", "eq", "gold"), ("all", 0, "value"), "enum"),
    ],
)
def test_rules_that_make_no_sense_say_where(
    space: Workspace, rules: Any, loc: tuple[str | int, ...], kind: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        names(space, rules)
    assert (caught.value.loc, caught.value.type_) == (("body", "rules", *loc), kind)


def test_rules_are_bounded(space: Workspace) -> None:
    deep: Any = one("stage", "eq", "new")
    for _ in range(10):
        deep = {"all": [deep]}
    with pytest.raises(InvalidInput, match="nested"):
        names(space, deep)
    with pytest.raises(InvalidInput, match="more than 50"):
        names(space, {"any": one("stage", "eq", "new")["all"] * 51})


def test_a_walk_in_portions_meets_everybody_once(space: Workspace) -> None:
    made = [make(space, f"L{n}") for n in range(7)]
    gone = make(space, "Gone")
    leads.archive(space, gone.id, actor="test")
    by_rule = Segment.objects.create(workspace=space, name="all", kind="rules", rules={"all": []})
    by_hand = Segment.objects.create(workspace=space, name="hand", kind="static")
    SegmentMember.objects.bulk_create(SegmentMember(segment=by_hand, lead=lead) for lead in [*made, gone])
    for segment in (by_rule, by_hand):
        met: list[Any] = []
        while portion := segments.lead_ids(space.id, segment.id, after=met[-1] if met else None, limit=3):
            met += portion
        assert met == sorted(lead.id for lead in made)
        assert segments.count(space.id, segment.id) == 7


def test_a_segment_of_another_workspace_is_none(space: Workspace) -> None:
    segment = Segment.objects.create(workspace=space, name="all", kind="rules", rules={"all": []})
    with pytest.raises(NotFound):
        segments.lead_ids(rows.workspace("other").id, segment.id)
