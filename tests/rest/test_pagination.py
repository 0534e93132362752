"""Keyset pages: a walk sees each row once, whatever arrives meanwhile."""

from datetime import timedelta

import pytest
from django.utils import timezone

from crm.models import Lead
from tests.api.world import Tenant

LEADS = "/api/v1/crm/leads"


def walk(tenant: Tenant, query: str = "", *, between: bool = False) -> list[str]:
    seen: list[str] = []
    cursor = ""
    while True:
        page = tenant.api.get(f"{LEADS}?limit=3{query}{cursor}").json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            return seen
        assert len(page["items"]) == 3
        cursor = f"&cursor={page['next_cursor']}"
        if between:
            Lead.objects.create(workspace=tenant.workspace, first_name="Late")


@pytest.fixture
def many(alice: Tenant) -> list[str]:
    """Ten leads, some of the same instant; ids in the order of a list."""
    now = timezone.now()
    made = [
        Lead(workspace=alice.workspace, first_name=f"L{n}", created_at=now - timedelta(seconds=n // 3 + 1))
        for n in range(10)
    ]
    Lead.objects.filter(workspace=alice.workspace).delete()
    Lead.objects.bulk_create(made)
    return [str(lead.id) for lead in sorted(made, key=lambda lead: (lead.created_at, lead.id), reverse=True)]


def test_a_walk_sees_every_row_once(alice: Tenant, many: list[str]) -> None:
    assert walk(alice) == many


def test_rows_that_arrive_during_a_walk_shift_nothing(alice: Tenant, many: list[str]) -> None:
    assert walk(alice, between=True) == many


def test_rows_that_go_during_a_walk_shift_nothing(alice: Tenant, many: list[str]) -> None:
    first = alice.api.get(f"{LEADS}?limit=3").json()
    Lead.objects.filter(pk=many[2]).delete()
    second = alice.api.get(f"{LEADS}?limit=3&cursor={first['next_cursor']}").json()
    assert [item["id"] for item in second["items"]] == many[3:6]


def test_a_cursor_is_bound_to_its_filters_but_not_to_the_page_size(alice: Tenant, many: list[str]) -> None:
    cursor = alice.api.get(f"{LEADS}?limit=3&stage=new").json()["next_cursor"]
    assert alice.api.get(f"{LEADS}?limit=5&stage=new&cursor={cursor}").status_code == 200
    for query in ("", "&stage=customer", "&stage=new&q=L1"):
        assert alice.api.get(f"{LEADS}?limit=3{query}&cursor={cursor}").status_code == 422


def test_every_changed_character_of_a_cursor_is_noticed(alice: Tenant, many: list[str]) -> None:
    cursor = alice.api.get(f"{LEADS}?limit=3").json()["next_cursor"]
    for index in range(0, len(cursor) - 1, 7):
        other = "A" if cursor[index] != "A" else "B"
        spoiled = cursor[:index] + other + cursor[index + 1 :]
        assert alice.api.get(f"{LEADS}?limit=3&cursor={spoiled}").status_code == 422


def test_results_of_a_batch_come_in_its_order(alice: Tenant, many: list[str]) -> None:
    path = f"/api/v1/voice/batches/{alice.batch.id}/results"
    rows = [
        alice.batch.recipients.create(workspace=alice.workspace, lead_id=lead, position=n + 10)
        for n, lead in enumerate(many)
    ]
    seen: list[str] = []
    cursor = ""
    while True:
        page = alice.api.get(f"{path}?limit=4{cursor}").json()
        seen += [item["lead_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [str(row.lead_id) for row in rows]
