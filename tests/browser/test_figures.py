"""Leads by a file, a batch of them, its figures, and a call from a lead's page, as an operator does it."""

import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chrome import Visit
from tests.flows.world import World

BUSY, SILENT = "0161", "0162"
NIGHTS = ("Pacific/Honolulu", "America/New_York", "Europe/Berlin", "Asia/Tokyo")
"""In one of these it is night now, whenever it is."""


@pytest.fixture(scope="module")
def file(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four people who have agreed, two of whom cannot be read."""
    for last in (BUSY, SILENT):
        number = world.number(last)
        call = {"direction": "outbound", "to": number, "answer": "busy", "ring_s": 12}
        world.answers(number, {"name": f"busy-{last}", "call": call, "script": []})
    lines = [
        "Full name;Mobile number;Opt-in date;Shoe size",
        f"Wanda Wizard;{world.number(BUSY)};2026-01-05;38",
        "Broken Wizard;not a number;2026-01-05;40",
        f"Walter Wizard;{world.number(SILENT)};2026-01-05;44",
        f"Late Wizard;{world.number('0163')};one day;41",
    ]
    path = tmp_path_factory.mktemp("files") / "wizards.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_without_calls_the_dashboard_says_what_to_do(visit: Visit) -> None:
    page = visit.open("/console/dashboard?from=2020-01-01&to=2020-01-02")
    expect(page.get_by_role("heading", name="No finalized calls in this range")).to_be_visible()
    visit.check()
    visit.shots("dashboard-empty")
    visit.open("/console/dashboard?from=2026-02-30", status=422)
    expect(page.locator("#from-error")).to_contain_text("not a date")
    visit.check()


def test_a_file_is_imported_and_its_bad_rows_are_shown(visit: Visit, file: Path) -> None:
    page = visit.open("/console/leads/import")
    visit.check()
    page.get_by_label("CSV file").set_input_files(file)
    expect(page.get_by_label("Mobile number is")).to_have_value("phone")
    expect(page.get_by_label("Opt-in date is")).to_have_value("consent.given_at")
    expect(page.get_by_label("Shoe size is")).to_have_value("-")
    expect(page.get_by_role("cell", name="Wanda Wizard")).to_be_visible()
    visit.check()
    visit.shots("import-columns")
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_role("heading", name="Bad rows")).to_be_visible()
    expect(page.get_by_text("Completed")).to_be_visible()
    bad = page.locator("#import tbody tr")
    expect(bad).to_have_count(2)
    expect(bad.nth(0)).to_contain_text("Mobile number")
    expect(bad.nth(1)).to_contain_text("not an ISO 8601 date")
    visit.check()
    visit.shots("import-done")


def test_a_filter_is_kept_as_a_segment(visit: Visit) -> None:
    page = visit.open("/console/leads")
    visit.check()
    visit.shots("leads")
    page.get_by_label("Search").fill("wizard")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("button", name="Keep as segment").click()
    page.get_by_label("Name", exact=True).fill("Wizards")
    visit.check()
    page.get_by_role("button", name="Keep", exact=True).click()
    expect(page.get_by_role("status").first).to_contain_text("Wizards")
    expect(page.locator("tbody tr")).to_have_count(2)


def test_a_batch_of_the_segment_is_previewed_started_paused_and_runs_to_its_end(
    visit: Visit, world: World
) -> None:
    page = visit.open("/console/batches/new")
    visit.check()
    visit.shots("batch-new")
    page.get_by_role("textbox", name="Name").fill("Wizards of autumn")
    page.get_by_label("Objective").fill("Find out whether {{lead.first_name}} needs a new hat")
    page.get_by_role("combobox", name="Segment").select_option(label="Wizards")
    page.get_by_label("Lines at once").fill("0")
    page.get_by_role("button", name="Make a draft").click()
    expect(page.locator("#e-concurrency")).to_be_visible()
    visit.faults = [fault for fault in visit.faults if "status of 422" not in fault]
    visit.check()
    page.get_by_label("Lines at once").fill("1")
    page.get_by_role("button", name="Make a draft").click()
    expect(page.get_by_role("heading", name="Wizards of autumn")).to_be_visible()
    visit.check()
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("Called at once").locator("..")).to_contain_text("2")
    visit.check()
    visit.shots("batch-preview")
    page.get_by_role("button", name="Start").click()

    rows = page.locator("#recipients tbody tr")
    expect(rows).to_have_count(2)
    expect(page.locator("#recipients .badge", has_text="Being called")).to_have_count(1)
    with page.expect_response(re.compile("part=1")):
        page.locator("#recipients tbody a").first.focus()
    page.wait_for_timeout(300)  # what is replaced every two seconds keeps the focus where it was
    assert str(page.evaluate("document.activeElement.id")).startswith("lead-")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("dialog")).to_contain_text("conversations go on to their end")
    visit.check()
    page.locator("#pause-reason").fill("Lunch")
    page.get_by_role("dialog").get_by_role("button", name="Pause").click()
    expect(page.get_by_text("An operator paused it: Lunch")).to_be_visible()
    visit.check()
    visit.shots("batch-paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#batch-live .badge").first).to_have_text("Completed", timeout=60_000)
    expect(page.locator("#recipients .badge", has_text="Busy")).to_have_count(2)
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    visit.check()
    page.reload()
    expect(page.get_by_role("link", name=re.compile("^Dialed: 2"))).to_be_visible()
    visit.check()
    visit.shots("batch-done")
    assert all(world.dials_to(world.number(last)) for last in (BUSY, SILENT))
    visit.open("/console/batches")
    expect(page.get_by_role("progressbar", name="2 of 2 done")).to_be_visible()
    visit.check()
    visit.shots("batches")


def test_all_calling_is_stopped_and_a_batch_is_canceled(visit: Visit, world: World) -> None:
    numbers = [world.number(last) for last in (BUSY, SILENT)]
    before = [world.dials_to(number) for number in numbers]
    page = visit.open("/console/batches/new")
    page.get_by_role("textbox", name="Name").fill("Second thoughts")
    page.get_by_label("Objective").fill("Ask them")
    page.get_by_role("combobox", name="Segment").select_option(label="Wizards")
    page.get_by_role("button", name="Make a draft").click()
    expect(page.get_by_role("heading", name="Second thoughts")).to_be_visible()
    visit.open("/console/batches")
    page.get_by_role("button", name="Stop all calling").click()
    visit.check()
    page.get_by_role("dialog").get_by_role("button", name="Stop all calling").click()
    expect(page.get_by_role("alert")).to_contain_text("Calling is paused")
    visit.check()
    page.get_by_role("link", name="Second thoughts").click()
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#batch-live .badge").first).to_have_text("Running")
    page.wait_for_timeout(3000)
    assert [world.dials_to(number) for number in numbers] == before
    page.get_by_role("button", name="Cancel").click()
    page.locator("#cancel-reason").fill("Not this season")
    visit.check()
    page.get_by_role("button", name="Cancel the batch").click()
    expect(page.locator("#batch-live .badge").first).to_have_text("Canceled")
    visit.check()
    visit.open("/console/batches")
    page.get_by_role("button", name="Let calling go on").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    assert [world.dials_to(number) for number in numbers] == before


def test_the_dashboard_leads_to_the_calls_behind_its_figures(visit: Visit) -> None:
    page = visit.open("/console/dashboard?range=7d")
    visit.check()
    visit.shots("dashboard")
    piece = page.locator("#outcomes").get_by_role("link", name=re.compile(r"Not reached: \d"))
    expect(piece.first).to_be_visible()
    _by_keyboard(page)
    page.locator("#rates summary").click()
    expect(page.locator("#rates table")).to_be_visible()
    visit.check()
    with page.expect_download() as download:
        page.locator("#rates").get_by_role("link", name="Download as CSV").click()
    assert Path(download.value.path()).read_text(encoding="utf-8").startswith("When,Connect rate,")
    page.get_by_role("link", name="Batch", exact=True).click()
    expect(page).to_have_url(re.compile("by=batch"))
    page.locator("#parts").get_by_role("link", name="Wizards of autumn").click()
    expect(page.locator("tbody tr")).to_have_count(2)


def _by_keyboard(page: Page) -> None:
    """A chart is one stop of the Tab key; arrows go on inside, and what has the focus is told."""
    links = page.locator("#rates svg a")
    expect(links.first).to_have_attribute("tabindex", "0")
    page.locator("#outcomes summary").focus()
    page.keyboard.press("Tab")
    focused = page.evaluate("document.activeElement.closest('section').id")
    assert focused == "rates"
    expect(page.locator(".tip")).to_contain_text(re.compile(r"Connect rate: \d"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    expect(page.locator(".tip")).to_be_hidden()


def test_who_did_not_agree_is_not_called_and_who_did_is(visit: Visit, world: World) -> None:
    number = world.number("0164")
    call = {"direction": "outbound", "to": number, "answer": "busy", "ring_s": 1}
    world.answers(number, {"name": "busy-0164", "call": call, "script": []})
    page = visit.open("/console/leads/new")
    visit.check()
    page.get_by_label("First name").fill("Noor")
    page.get_by_label("Phone").fill("12")
    page.get_by_role("button", name="Add").click()
    expect(page.locator("#e-phone")).to_be_visible()
    visit.faults = [fault for fault in visit.faults if "status of 422" not in fault]
    visit.check()
    visit.shots("lead-new")
    page.get_by_label("Phone").fill(number)
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("No: No consent to marketing calls holds.")).to_be_visible()
    page.get_by_role("button", name="Call now").click()
    expect(page.get_by_role("status").first).to_contain_text("Not called: No consent")
    visit.check()
    page.get_by_text("Record a consent").click()
    page.get_by_label("Where it was given").fill("Web form")
    page.get_by_label("When (").fill("2026-01-05T10:00")
    visit.check()
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.get_by_text("Yes, now.")).to_be_visible()
    page.get_by_role("button", name="Call now").click()
    expect(page.get_by_role("status").first).to_contain_text("is being dialed")
    expect(page.locator("#calls tbody tr")).to_have_count(1)
    world.until(lambda: world.dials_to(number) or None, "nobody was dialed")
    visit.check()
    visit.shots("lead")


def test_at_night_a_call_waits(visit: Visit, world: World) -> None:
    night = next(zone for zone in NIGHTS if not 7 <= datetime.now(UTC).astimezone(ZoneInfo(zone)).hour < 22)
    number = world.number("0165")
    lead = world.new_lead(number, time_zone=night)
    page = visit.open(f"/console/leads/{lead}")
    expect(page.get_by_text("Not now: Outside the calling hours of the lead.")).to_be_visible()
    visit.check()
    page.get_by_role("button", name="Call now").click()
    expect(page.get_by_role("status").first).to_contain_text("It may be called from")
    expect(page.get_by_text("Never called.")).to_be_visible()
    page.get_by_role("button", name="Call when it may be called").click()
    expect(page.get_by_role("status").first).to_contain_text("waits in the queue")
    expect(page.locator("#calls tbody tr")).to_contain_text("Queued")
    assert world.dials_to(number) == 0
    visit.check()
    visit.shots("lead-at-night")
