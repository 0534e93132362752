"""Several leads of the list at once."""

import uuid
from typing import Any

import pytest
from django.test import Client

from crm.models import Lead, Segment, SegmentMember
from crm.services import segments
from tenex.workspaces.models import AuditEntry, Role, Workspace
from tests import rows
from tests.pages.people import member

pytestmark = pytest.mark.django_db


@pytest.fixture
def space() -> Workspace:
    return rows.workspace()


@pytest.fixture
def client_of(space: Workspace) -> Client:
    return member(Role.OPERATOR, space)


@pytest.fixture
def three(space: Workspace) -> list[Lead]:
    return [rows.lead(space, first_name=f"Lead {n}", phone=f"+1415555020{n}") for n in range(3)]


def do(client: Client, what: str, chosen: list[Lead], **more: Any) -> Any:
    sent = {"do": what, "lead": [str(one.pk) for one in chosen], "back": "stage=new&q=x", **more}
    return client.post("/console/leads/bulk", sent)


def test_the_list_has_a_box_for_each_lead(client_of: Client, three: list[Lead]) -> None:
    shown = client_of.get("/console/leads").content.decode()
    for lead in three:
        assert f'value="{lead.pk}" form="bulk"' in shown
        assert f'aria-label="Choose {lead}"' in shown


def test_into_a_segment_new_or_old(client_of: Client, space: Workspace, three: list[Lead]) -> None:
    answer = do(client_of, "segment", three[:2], segment_name="Fair 2026")
    assert (answer.status_code, answer["Location"]) == (302, "/console/leads?stage=new&q=x")
    segment = Segment.objects.get()
    assert (segment.name, segment.kind) == ("Fair 2026", "static")
    do(client_of, "segment", three, segment_id=str(segment.pk))
    assert SegmentMember.objects.filter(segment=segment).count() == 3
    other = rows.workspace("other")
    foreign = segments.create(other, name="Theirs", kind="static", actor="x")
    do(client_of, "segment", three, segment_id=str(foreign.pk))
    assert not SegmentMember.objects.filter(segment=foreign).exists()


def test_another_stage(client_of: Client, three: list[Lead]) -> None:
    do(client_of, "stage", three, stage="contacted")
    assert {lead.stage for lead in Lead.objects.all()} == {"contacted"}
    do(client_of, "stage", three, stage="nonsense")
    assert {lead.stage for lead in Lead.objects.all()} == {"contacted"}


@pytest.mark.parametrize(("what", "field"), [("suppress", "opted_out_at"), ("archive", "archived_at")])
def test_what_cannot_be_undone_is_asked_for_twice(
    client_of: Client, three: list[Lead], what: str, field: str
) -> None:
    asked = do(client_of, what, three[:2])
    assert asked.status_code == 200
    page = asked.content.decode()
    assert "Lead 0" in page
    assert 'name="sure" value="yes"' in page
    assert not Lead.objects.exclude(**{field: None}).exists()
    assert do(client_of, what, three[:2], sure="yes").status_code == 302
    assert Lead.objects.exclude(**{field: None}).count() == 2


def test_as_a_file(client_of: Client, space: Workspace, three: list[Lead]) -> None:
    answer = do(member(Role.VIEWER, space, "vi@example.com"), "export", three[:2])
    lines = answer.content.decode().splitlines()
    assert answer["Content-Type"].startswith("text/csv")
    assert len(lines) == 3
    assert lines[0].startswith("id,first_name")
    assert AuditEntry.objects.filter(action="leads.exported").count() == 1


def test_a_viewer_changes_nothing(space: Workspace, three: list[Lead]) -> None:
    viewer = member(Role.VIEWER, space)
    for what in ("segment", "stage", "suppress", "archive", ""):
        answer = do(viewer, what, three, stage="won", sure="yes", segment_name="x")
        assert answer.status_code == 403, what
    assert not Lead.objects.exclude(archived_at=None).exists()


def test_leads_of_others_and_nonsense_change_nothing(client_of: Client, three: list[Lead]) -> None:
    foreign = rows.lead(rows.workspace("other"))
    do(client_of, "archive", [*three, foreign], sure="yes")
    assert not Lead.objects.exclude(archived_at=None).exists(), "all or nothing"
    for ids in ([], ["x"], [str(uuid.uuid4())], [str(three[0].pk)]):
        answer = client_of.post("/console/leads/bulk", {"do": "nonsense", "lead": ids})
        assert answer.status_code == 302
        assert answer["Location"] == "/console/leads"


def test_nobody_is_sent_to_another_site(client_of: Client, three: list[Lead]) -> None:
    answer = client_of.post(
        "/console/leads/bulk",
        {"do": "stage", "stage": "won", "lead": [str(three[0].pk)], "back": "//evil.example"},
    )
    assert answer["Location"] == "/console/leads?//evil.example"
