"""Calendars over the API: connected, tested, booked in; what comes in and never goes out."""

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from crm.models import Calendar, CalendarAccount, Meeting, MeetingStatus
from tenex.events.models import Event
from tenex.workspaces.models import AuditEntry
from tenex.workspaces.services import keys
from tests.api.world import Api, Tenant
from tests.rig import radicale
from tests.rig.radicale import Radicale

C = "/api/v1/connectors"
EVERY_DAY = {str(day): [["00:00", "24:00"]] for day in range(1, 8)}


@pytest.fixture
def server(caldav_server: Radicale) -> Radicale:
    return caldav_server


def made(api: Api, server: Radicale, **fields: Any) -> dict[str, Any]:
    body = {
        "kind": "caldav",
        "name": "Theirs",
        "time_zone": "UTC",
        "hours": EVERY_DAY,
        "notice_minutes": 0,
        "url": server.home(),
        "user_name": radicale.USER,
        "password": radicale.PASSWORD,
        **fields,
    }
    answer = api.post(C, body)
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found


def refused(answer: Any) -> tuple[list[Any], str]:
    assert answer.status_code == 422, answer.content
    first = answer.json()["detail"][0]
    return first["loc"], first["type"]


def test_from_nothing_to_a_booked_moved_and_canceled_meeting(alice: Tenant, server: Radicale) -> None:
    connector = made(alice.api, server)
    assert connector["health"]["state"] == "unfinished"
    where = f"{C}/{connector['id']}"
    found = alice.api.post(f"{where}/discover").json()["items"]
    assert found == [{"address": f"{server.home()}work/", "name": "Work", "writable": True}]
    tested = alice.api.post(f"{where}/test").json()
    assert tested["ok"] is True, tested
    health = alice.api.get(where).json()["health"]
    assert (health["state"], health["failures"], health["breaker_open_until"]) == ("ok", 0, None)

    slots = alice.api.get(f"{where}/slots").json()["items"]
    body = {"lead_id": str(alice.lead.pk), "starts_at": slots[4]["starts_at"], "notes": "Prices"}
    booked = alice.api.post(f"{where}/meetings", body)
    assert booked.status_code == 201, booked.content
    meeting = booked.json()
    assert (meeting["status"], meeting["starts_at"]) == ("booked", slots[4]["starts_at"])
    assert len(server.events()) == 1
    again = alice.api.post(f"{where}/meetings", body)
    assert (again.status_code, again.json()["code"]) == (409, "slot_taken")

    at = f"{C}/meetings/{meeting['id']}"
    moved = alice.api.post(f"{at}/reschedule", {"starts_at": slots[6]["starts_at"]}).json()
    assert (moved["starts_at"], moved["sequence"], moved["moves_to"]) == (slots[6]["starts_at"], 1, None)
    again = alice.api.post(f"{at}/reschedule", {"starts_at": slots[6]["starts_at"]})
    assert (again.status_code, again.json()["sequence"]) == (200, 1)
    assert alice.api.post(f"{at}/cancel").json()["status"] == "canceled"
    assert alice.api.post(f"{at}/cancel").status_code == 200
    over = alice.api.post(f"{at}/reschedule", {"starts_at": slots[8]["starts_at"]})
    assert (over.status_code, over.json()["code"]) == (409, "meeting_over")
    told = Event.objects.filter(data__meeting_id=meeting["id"]).order_by("seq").values_list("type", flat=True)
    assert list(told) == ["meeting.booked", "meeting.rescheduled", "meeting.canceled"]


def test_the_built_in_calendar_needs_nothing(alice: Tenant) -> None:
    answer = alice.api.post(C, {"kind": "built_in", "name": "Ours", "hours": EVERY_DAY, "slot_minutes": 60})
    assert answer.status_code == 201, answer.content
    connector = answer.json()
    assert (connector["account"], connector["health"]) == (None, None)
    where = f"{C}/{connector['id']}"
    assert alice.api.post(f"{where}/test").json()["ok"] is True
    assert alice.api.post(f"{where}/discover").json()["code"] == "connector_built_in"
    slots = alice.api.get(f"{where}/slots").json()["items"]
    assert slots
    body = {"lead_id": str(alice.lead.pk), "starts_at": slots[0]["starts_at"]}
    assert alice.api.post(f"{where}/meetings", body).json()["status"] == "booked"
    listed = alice.api.get(f"{C}/meetings?connector_id={connector['id']}&status=booked").json()["items"]
    assert [one["starts_at"] for one in listed] == [slots[0]["starts_at"]]


def test_a_password_comes_in_and_never_goes_out(alice: Tenant, server: Radicale) -> None:
    connector = made(alice.api, server)
    where = f"{C}/{connector['id']}"
    alice.api.patch(where, {"password": "another secret"})
    alice.api.post(f"{where}/test")
    answers = [alice.api.get(path).content.decode() for path in (C, where)]
    kept = json.dumps(
        [
            list(CalendarAccount.objects.values()),
            list(AuditEntry.objects.values("action", "data")),
            list(Event.objects.values("data")),
        ],
        default=str,
    )
    for text in (*answers, kept):
        assert radicale.PASSWORD not in text
        assert "another secret" not in text
    assert alice.api.get(where).json()["account"]["has_credentials"] is True
    done = AuditEntry.objects.filter(object_id=connector["id"]).order_by("created_at")
    assert [(row.action, row.data.get("fields", [])) for row in done][-1] == (
        "connector.updated", ["password"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "loc", "type_"),
    [
        ({"kind": "caldav", "name": "B"}, ["body", "url"], "missing"),
        ({"kind": "built_in", "name": "B", "url": "https://x.example"}, ["body", "url"], "extra_forbidden"),
        ({"kind": "built_in", "name": "B", "time_zone": "Mars"}, ["body", "time_zone"], "time_zone"),
        ({"kind": "built_in", "name": "B", "hours": {"8": []}}, ["body", "hours", "8"], "extra_forbidden"),
        (
            {"kind": "built_in", "name": "B", "hours": {"1": [["9", "17:00"]]}},
            ["body", "hours", "1"],
            "value_error",
        ),
        (
            {"kind": "built_in", "name": "B", "hours": {"2": [["09:00", "12:00"], ["11:00", "13:00"]]}},
            ["body", "hours", "2"],
            "value_error",
        ),
        (
            {"kind": "built_in", "name": "B", "hours": {"1": [["17:00", "09:00"]]}},
            ["body", "hours", "1"],
            "value_error",
        ),
        ({"kind": "built_in", "name": "  "}, ["body", "name"], "too_short"),
    ],
)
def test_what_is_wrong_is_said_where(alice: Tenant, body: dict[str, Any], loc: list[str], type_: str) -> None:
    assert refused(alice.api.post(C, body)) == (loc, type_)


def test_an_address_inside_is_refused(alice: Tenant) -> None:
    body = {"kind": "caldav", "name": "B", "url": "https://10.0.0.1/", "user_name": "b", "password": "b"}
    assert refused(alice.api.post(C, body)) == (["body", "url"], "url_refused")


def test_a_calendar_that_does_not_answer(alice: Tenant, server: Radicale) -> None:
    connector = made(alice.api, server, url="http://127.0.0.1:9/")
    where = f"{C}/{connector['id']}"
    tested = alice.api.post(f"{where}/test").json()
    assert (tested["ok"], tested["checks"][0]["step"]) == (False, "sign_in")
    assert alice.api.post(f"{where}/discover").status_code == 503
    asked = alice.api.get(f"{where}/slots")
    assert (asked.status_code, asked.json()["code"]) == (503, "calendar_unavailable")
    health = alice.api.get(where).json()["health"]
    assert health["state"] == "failing"
    assert health["last_error"]


def test_a_calendar_with_meetings_to_come_stays(alice: Tenant) -> None:
    where = f"{C}/{alice.crm['connector_id']}"
    answer = alice.api.delete(where)
    assert (answer.status_code, answer.json()["code"]) == (409, "connector_in_use")
    Meeting.objects.filter(pk=alice.crm["meeting_id"]).update(status=MeetingStatus.CANCELED)
    assert alice.api.delete(where).status_code == 204
    assert alice.api.get(where).status_code == 404
    assert alice.api.get(f"{C}/meetings/{alice.crm['meeting_id']}").status_code == 200


@pytest.mark.parametrize("whose", ["nobody", "charlie", "deleted"])
def test_who_may_be_named_as_calendar_connector_id(alice: Tenant, charlie: Tenant, whose: str) -> None:
    calendar_id = {"nobody": str(uuid.uuid4()), "charlie": str(charlie.calendar.pk)}.get(whose)
    if calendar_id is None:
        gone = Calendar.objects.create(workspace=alice.workspace, name="Gone", archived_at=timezone.now())
        calendar_id = str(gone.pk)
    batch = {"objective": "x", "lead_ids": [str(alice.lead.pk)], "calendar_connector_id": calendar_id}
    assert refused(alice.api.post("/api/v1/voice/batches", batch))[1] == "missing"
    session = {"lead_id": str(alice.lead.pk), "calendar_connector_id": calendar_id}
    assert refused(alice.api.post("/api/v1/voice/sessions", session))[1] == "missing"
    for path in (f"agents/{alice.agent.pk}", f"numbers/{alice.number.pk}"):
        answer = alice.api.patch(f"/api/v1/voice/{path}", {"calendar_id": calendar_id})
        assert refused(answer) == (["body", "calendar_id"], "missing")


def test_scopes(alice: Tenant) -> None:
    _, secret = keys.create(alice.workspace, "reads", ["connectors:read"], "system:tests")
    reader = Api(secret)
    where = f"{C}/{alice.crm['connector_id']}"
    assert reader.get(C).status_code == reader.get(f"{where}/slots").status_code == 200
    for answer in (
        reader.post(C, {"kind": "built_in", "name": "B"}),
        reader.patch(where, {"name": "B"}),
        reader.delete(where),
        reader.post(f"{where}/test"),
        reader.post(f"{C}/meetings/{alice.crm['meeting_id']}/cancel"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_scope")


def test_windows_of_slots(alice: Tenant) -> None:
    where = f"{C}/{alice.crm['connector_id']}/slots"
    now = timezone.now()
    far = (now + timedelta(days=90)).isoformat().replace("+00:00", "Z")
    for query in ("from=x", f"from={far}&to={far}", "to=2001-01-01T00:00:00Z", "from=0001-01-01T00:00:00Z"):
        assert alice.api.get(f"{where}?{query}").status_code == 422, query
    beyond = (now + timedelta(days=70)).isoformat().replace("+00:00", "Z")
    assert alice.api.get(f"{where}?from={beyond}").json()["items"] == [], "beyond the horizon"
