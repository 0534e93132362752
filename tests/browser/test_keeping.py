"""What is kept, in Chromium: recordings that need somebody, consent by place, holds, a person, many leads."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chrome import Visit
from tests.flows.world import World

_TROUBLE = """
import json
from datetime import timedelta
from django.utils import timezone
from crm.models import Lead
from voice.models import Call, Recording
call = Call.objects.get(pk="{call}")
long = "A name that goes on and on, of somebody at a company with " + "very " * 12 + "many words"
Lead.objects.filter(pk=call.lead_id).update(first_name=long[:100])
common = dict(workspace=call.workspace, call=call, source_url="u")
at = timezone.now() + timedelta(minutes=9)
Recording.objects.create(
    **common, provider_sid="RE1", status="pending", problem="storage", store_failures=7, next_at=at,
    problem_detail="EndpointConnectionError",
)
Recording.objects.create(
    **common, provider_sid="RE2", status="failed", problem="carrier", problem_detail="carrier_rejected"
)
Recording.objects.create(
    **common, provider_sid="RE3", status="stored", file="x.wav", problem="short", size_bytes=900_000,
    problem_detail="12000 ms instead of 61000",
)
print(json.dumps({{"lead": str(call.lead_id)}}))
"""


@pytest.fixture(scope="module")
def call(world: World) -> str:
    return str(world.finished(world.call_in("inbound-not-a-fit"))["id"])


@pytest.fixture(scope="module")
def lead(world: World, call: str) -> str:
    told: dict[str, Any] = json.loads(
        world.system.manage("shell", "--no-imports", "-c", _TROUBLE.format(call=call)).splitlines()[-1]
    )
    return str(told["lead"])


def test_recordings_that_need_somebody_and_consent_by_place(visit: Visit, lead: str) -> None:
    page = visit.open("/console/recordings")
    expect(page.get_by_role("row").filter(has_text="The file storage does not take it")).to_be_visible()
    expect(page.get_by_text("by a key of this workspace, in pieces")).to_be_visible()
    page.get_by_label("Country, or country and state").fill("Atlantis")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("is no country")
    assert page.get_by_label("Country, or country and state").input_value() == "Atlantis"
    visit.faults.clear()  # Chromium logs the 422
    visit.check()
    page.get_by_label("Country, or country and state").fill("Germany")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Germany (DE)")).to_have_value("explicit")
    visit.check()
    visit.shots("recordings")
    page.get_by_label("Germany (DE)").select_option("usual")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Germany (DE)")).to_have_count(0)


def test_a_call_is_held_and_says_how_it_was_recorded(visit: Visit, call: str, lead: str) -> None:
    page = visit.open(f"/console/calls/{call}")
    expect(page.locator("#holds")).to_be_visible()
    page.get_by_text("Hold this call").click()
    page.locator("#hold-reason").fill("Court order 7/26: " + "a long reason " * 15)
    page.get_by_role("button", name="Hold", exact=True).click()
    expect(page.locator("#holds")).to_contain_text("Court order 7/26")
    expect(page.get_by_text("They were told: the notice was spoken")).to_be_visible()
    visit.check()
    visit.shots("call held")
    page.once("dialog", lambda asked: asked.accept())
    page.get_by_role("button", name="Release").click()
    expect(page.locator("#holds")).not_to_contain_text("Court order")


def test_a_person_is_exported_and_erased_after_their_number_was_typed(visit: Visit, lead: str) -> None:
    page = visit.open(f"/console/leads/{lead}")
    visit.check()
    visit.shots("lead")
    page.get_by_role("link", name="Export or erase").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("What is known of")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download everything").click()
    assert download.value.suggested_filename == "person.zip"
    page.get_by_label(re.compile("to erase them")).fill("no")
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_role("alert")).to_contain_text("nothing was erased")
    visit.faults.clear()  # Chromium logs the 422
    visit.check()
    visit.shots("person")


def test_several_leads_at_once(visit: Visit, world: World) -> None:
    page = visit.open("/console/leads")
    bar = page.get_by_role("form", name="With the chosen leads")
    expect(bar).to_be_hidden()
    boxes = page.locator("input[data-choose]")
    boxes.nth(0).check()
    expect(bar).to_contain_text("1 chosen")
    page.get_by_label("Choose all of this page").check()
    expect(page.get_by_label("All of this page", exact=True)).to_be_checked()
    expect(bar).to_contain_text(f"{boxes.count()} chosen")
    visit.check()
    visit.shots("leads chosen")
    page.get_by_label("New one’s name").fill("Of the page")
    page.get_by_role("button", name="Put in").click()
    expect(page.get_by_role("status").filter(has_text="put into the segment")).to_be_visible()
    boxes.nth(0).check()
    page.get_by_role("button", name="Archive").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Archive these leads?")
    visit.check()
    visit.shots("leads sure")
    _no_script(page)


def _no_script(page: Page) -> None:
    """The question is a page of its own, so it is asked without JavaScript, too."""
    assert page.locator("dialog").count() == 0
