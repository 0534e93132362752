"""The pages of calendars in Chromium: a calendar on a real CalDAV server is connected, tested, booked in."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chrome import Visit
from tests.flows.world import World
from tests.rig import radicale
from tests.rig.radicale import Radicale

C = "/console/connectors"


@pytest.fixture(scope="module")
def server() -> Iterator[Radicale]:
    with radicale.running() as found:
        found.calendar("sales")
        found.calendar("private")
        yield found


def fill(page: Page, **values: str) -> None:
    for label, value in values.items():
        page.get_by_label(label.replace("_", " "), exact=True).fill(value)


def test_a_caldav_calendar_from_the_form_to_a_moved_meeting(
    visit: Visit, world: World, server: Radicale
) -> None:
    page = visit.open(C)
    visit.check()
    page.get_by_role("link", name="Add a calendar").click()
    page.get_by_role("link", name="CalDAV").click()
    visit.check()
    fill(
        page,
        Name="Calendar of the sales team in Northern and Southern Europe, with a long name",
        Tuesday="17-9",
    )
    fill(page, Address_of_the_server=server.home(), User_name=radicale.USER, Password=radicale.PASSWORD)
    page.get_by_role("button", name="Save and connect").click()
    expect(page.get_by_label("Tuesday")).to_have_attribute("aria-invalid", "true")
    visit.faults = [fault for fault in visit.faults if "status of 422" not in fault]
    visit.check()
    visit.shots("connector-wrong")
    fill(page, Tuesday="9:00-17:00", Saturday="0-24:00", Sunday="0-24:00", Monday="0-24:00")
    fill(page, Password=radicale.PASSWORD, Notice="0")
    page.get_by_role("button", name="Save and connect").click()
    expect(page.get_by_text("it has 2 calendars")).to_be_visible()
    page.get_by_role("link", name="Choose the calendar").click()
    visit.check()
    visit.shots("connector-choice")
    page.get_by_label("Sales").check()
    page.get_by_role("button", name="Use it").click()
    page.get_by_role("button", name="Test it").click()
    expect(page.get_by_text("Sales can be written in")).to_be_visible()
    visit.check()

    connector = page.url.rsplit("/", 1)[1]
    lead = world.api.get("/api/v1/crm/leads")["items"][0]["id"]
    slots = world.api.get(f"/api/v1/connectors/{connector}/slots")["items"]
    for slot in slots[:3]:
        body = {"lead_id": lead, "starts_at": slot["starts_at"]}
        made = world.api.post(f"/api/v1/connectors/{connector}/meetings", body)
        assert made["status"] == "booked", made
    assert len(server.events("sales")) == 3
    page.reload()
    visit.check()
    visit.shots("connector")
    page.get_by_role("link", name="Move the meeting").first.click()
    visit.check()
    visit.shots("meeting-move")
    page.locator("main form button").first.click()
    expect(page.get_by_text("The meeting is moved")).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel the meeting").first.click()
    confirmed = page.get_by_role("dialog").get_by_role("button").last
    if confirmed.is_visible():
        confirmed.click()
    expect(page.get_by_text("The meeting is canceled")).to_be_visible()
    expect(page.locator("#meetings tbody tr")).to_have_count(2)


def test_trouble_and_emptiness_can_be_looked_at(visit: Visit, world: World) -> None:
    body = {
        "kind": "caldav", "name": "Down", "url": "http://127.0.0.1:9/", "user_name": "x", "password": "x",
    }  # fmt: skip
    made = world.api.post("/api/v1/connectors", body)
    world.api.post(f"/api/v1/connectors/{made['id']}/test", {})
    page = visit.open(C)
    expect(page.get_by_text("Does not answer")).to_be_visible()
    visit.check()
    visit.shots("connectors")
    visit.open(f"{C}/{made['id']}")
    visit.check()
    visit.shots("connector-down")
    visit.open(f"{C}/new?kind=google")
    visit.check()
    visit.shots("connector-google")
