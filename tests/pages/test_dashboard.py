"""The dashboard: what it counts, what its parts lead to, and what it makes of questions without sense."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tenex.workspaces.models import Role, Workspace
from tests import rows
from tests.pages.people import member
from voice.console import dashboard_query
from voice.models import Agent, AgentVersion, Call, CallStatus, EndReason, Outcome

pytestmark = pytest.mark.django_db

USAGE = {"input_token_details": {"audio_tokens": 1000}, "output_token_details": {"audio_tokens": 500}}


def finished(space: Workspace, agent: AgentVersion, outcome: str, *, ago: timedelta, **fields: Any) -> Call:
    """A finalized outbound call that was created so long ago."""
    at = timezone.now() - ago
    talked = outcome not in ("no-answer", "busy", "failed")
    return rows.call(
        space,
        agent=agent,
        **{
            "direction": "outbound",
            "status": CallStatus.FINALIZED,
            "outcome": outcome,
            "end_reason": EndReason.CALLER_HANGUP if talked else EndReason.NO_ANSWER,
            "created_at": at,
            "placed_at": at,
            "answered_at": at if talked else None,
            "ended_at": at + timedelta(seconds=90),
            "finalized_at": at + timedelta(seconds=99),
            "duration_ms": 90_000 if talked else None,
            "usage": USAGE if talked else {},
            "latency": {"turn_ms": {"each": [700, 900]}} if talked else {},
            **fields,
        },
    )


@pytest.fixture
def space() -> Workspace:
    return rows.workspace(time_zone="America/New_York")


@pytest.fixture
def client(space: Workspace) -> Client:
    return member(Role.VIEWER, space)


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def table(client: Client, key: str, query: str = "") -> list[list[str]]:
    answer = client.get(f"/console/dashboard/{key}.csv{query}")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/csv")
    return list(csv.reader(io.StringIO(answer.content.decode())))


def test_without_calls_it_says_what_to_do(client: Client) -> None:
    text = client.get("/console/dashboard").content.decode()
    assert "No finalized calls in this range" in text
    assert 'href="/console/batches/new"' in text


def test_figures_come_with_what_they_are_a_part_of(client: Client, space: Workspace) -> None:
    agent = rows.version(space)
    for outcome in ("qualified", "unqualified", "no-answer", "no-answer"):
        finished(space, agent, outcome, ago=timedelta(hours=30))
    finished(space, agent, "qualified", ago=timedelta(days=10))
    rows.call(space, agent=agent)  # under way
    other = rows.workspace("other")
    finished(other, rows.version(other), "qualified", ago=timedelta(hours=30), number=None)
    text = text_of(client.get("/console/dashboard?range=7d").content.decode())
    assert "Connect rate 50 %" in text
    assert "2 of 4 dialed" in text
    assert "1 of 2 connected before: 100 % of 1" in text
    assert "1 call not finalized yet" in text
    assert text.count(" few ") >= 2  # rates of fewer than ten
    [total] = table(client, "parts", "?range=7d")[1:]
    assert total[:4] == ["Ava", "4", "0.5", "0.5"]


def test_a_rate_of_ten_is_not_marked(client: Client, space: Workspace) -> None:
    agent = rows.version(space)
    for _ in range(10):
        finished(space, agent, "qualified", ago=timedelta(hours=30))
    page = client.get("/console/dashboard?range=7d").content.decode()
    assert 'class="few"' not in page
    assert "▲" not in text_of(page).split("Qualified rate")[1].split("Meetings")[0]  # nothing to compare with


def test_pieces_lead_to_their_calls(client: Client, space: Workspace) -> None:
    agent = rows.version(space)
    call = finished(space, agent, "busy", ago=timedelta(days=2))
    page = client.get("/console/dashboard?range=7d").content.decode()
    [piece] = re.findall(r'<a href="([^"]+)" aria-label="([^"]*Not reached: 1)"', page)
    asked = parse_qs(urlsplit(piece[0].replace("&amp;", "&")).query)
    start, end = (datetime.fromisoformat(asked[name][0]) for name in ("from", "to"))
    assert set(asked["outcome"][0].split(",")) == {"no-answer", "busy", "voicemail"}
    assert start <= call.created_at < end
    zone = ZoneInfo("America/New_York")
    assert (start.astimezone(zone).hour, end.astimezone(zone).hour) == (0, 0)
    assert piece[1].startswith(f"{call.created_at.astimezone(zone):%A}")


def test_calls_are_told_apart_by_everything(client: Client, space: Workspace) -> None:
    first = rows.version(space)
    second = AgentVersion.objects.create(agent=first.agent, number=2, system_prompt="x")
    ben = Agent.objects.create(workspace=space, name="Ben", slug="ben", profile=first.agent.profile)
    third = AgentVersion.objects.create(agent=ben, number=1, system_prompt="x")
    for version, count in ((first, 3), (second, 2), (third, 1)):
        for _ in range(count):
            finished(space, version, "qualified", ago=timedelta(days=3))
    zone = ZoneInfo("America/New_York")
    at = (timezone.now() - timedelta(days=3)).astimezone(zone)
    expected = {
        "agent": [["Ava", "5"], ["Ben", "1"]],
        "version": [["Ava, version 1", "3"], ["Ava, version 2", "2"], ["Ben, version 1", "1"]],
        "number": [["'+1 415-555-0100", "6"]],
        "batch": [["(none)", "6"]],
        "hour": [[f"{at:%H}:00", "6"]],
        "weekday": [[f"{at:%A}", "6"]],
    }
    for by, lines in expected.items():
        assert [line[:2] for line in table(client, "parts", f"?range=7d&by={by}")[1:]] == lines
    page = client.get("/console/dashboard?range=7d&by=version").content.decode()
    assert f"agent_id={first.agent_id}&amp;version=2" in page
    narrowed = table(client, "outcomes", f"?range=7d&agent_id={ben.pk}")
    assert sum(int(line[1]) for line in narrowed[1:]) == 1


_OF_CALL = re.compile(r'href="/console/calls/[0-9a-f-]{36}"')


def test_every_link_leads_to_as_many_calls_as_it_says(client: Client, space: Workspace) -> None:
    first = rows.version(space)
    second = AgentVersion.objects.create(agent=first.agent, number=2, system_prompt="x")
    for place, outcome in enumerate([*Outcome.values] * 3):
        finished(space, (first, second)[place % 2], outcome, ago=timedelta(hours=7 * place + 2))
    links: list[tuple[str, str]] = []
    for by in ("agent", "version", "number", "hour", "weekday"):
        page = client.get(f"/console/dashboard?range=30d&by={by}").content.decode()
        parts = page[page.index('id="parts"') :]
        links += re.findall(r'<th scope="row"><a href="([^"]+)">[^<]+</a></th><td class="num">(\d+)', parts)
    links += re.findall(r'<a href="([^"]+)" aria-label="[^"]*: (\d+)"><title>', page)
    assert len(links) > 40
    for href, count in links:
        answer = client.get(href.replace("&amp;", "&"))
        assert answer.status_code == 200, href
        assert len(_OF_CALL.findall(answer.content.decode())) == int(count), href


def test_every_figure_has_its_numbers_as_a_file(client: Client, space: Workspace) -> None:
    agent = rows.version(space)
    finished(space, agent, "qualified", ago=timedelta(days=1))
    page = client.get("/console/dashboard?range=7d").content.decode()
    keys = set(re.findall(r"/console/dashboard/(\w+)\.csv", page))
    assert keys == {"outcomes", "rates", "latency", "duration", "cost", "meetings", "hours", "parts"}
    for key in keys:
        assert len(table(client, key, "?range=7d")) >= 2
    assert sum(float(line[1]) for line in table(client, "cost", "?range=7d")[1:]) > 0.02
    assert client.get("/console/dashboard/nonsense.csv").status_code == 404


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("range=forever", "there is no such range"),
        ("from=2026-13-01", "not a date"),
        ("from=2026-03-02&to=2026-03-01", "the first day must not be after the last"),
        ("from=2020-01-01&to=2026-03-01", "at most 366 days"),
        ("from=2099-01-01&to=2099-01-02", "still to come"),
        ("agent_id=7", "not an id"),
        ("direction=sideways", "there is no such direction"),
        ("by=colour", "cannot be told apart"),
    ],
)
def test_what_makes_no_sense_is_said_at_its_field(client: Client, query: str, problem: str) -> None:
    answer = client.get(f"/console/dashboard?{query}")
    assert answer.status_code == 422
    assert problem in answer.content.decode()


def test_an_id_of_another_workspace_has_no_calls(client: Client, space: Workspace) -> None:
    other = rows.workspace("other")
    agent = rows.version(other)
    finished(other, agent, "qualified", ago=timedelta(days=1), number=None)
    page = client.get(f"/console/dashboard?agent_id={agent.agent_id}").content.decode()
    assert "No finalized calls in this range" in page


def test_days_are_those_of_the_workspace() -> None:
    zone = ZoneInfo("Pacific/Auckland")
    now = datetime(2026, 4, 4, 13, tzinfo=UTC)  # 02:00 of the 5th, on which the clock goes back at three
    asked = dashboard_query.read(QueryDict("range=today"), zone, now)
    assert asked.period.start == datetime(2026, 4, 4, 11, tzinfo=UTC)
    whole = dashboard_query.read(
        QueryDict("from=2026-04-05&to=2026-04-05"), zone, datetime(2026, 5, 1, tzinfo=UTC)
    )
    assert whole.period.end - whole.period.start == timedelta(hours=25)
    assert whole.query() == "?range=custom&by=agent&from=2026-04-05&to=2026-04-05"


def test_the_number_of_queries_does_not_grow(client: Client, space: Workspace) -> None:
    agent = rows.version(space)

    def count() -> int:
        with CaptureQueriesContext(
            connection,
        ) as seen:
            assert client.get("/console/dashboard?by=version").status_code == 200
        return len(seen)

    finished(space, agent, "qualified", ago=timedelta(days=1))
    client.get("/console/dashboard")
    few = count()
    for number in range(2, 9):
        version = AgentVersion.objects.create(agent=agent.agent, number=number, system_prompt="x")
        for outcome in Outcome.values:
            finished(space, version, outcome, ago=timedelta(days=number))
    assert count() == few


def test_who_may_not_read_calls_sees_no_figures(space: Workspace) -> None:
    assert Client().get("/console/dashboard").status_code == 302
    assert member(None, space, "x@example.com").get("/console/dashboard").status_code == 403
