"""Knowledge as a person fills it: files, an entry, what a question finds, a passage that is turned off."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.chrome import Visit
from tests.crm.hostile_files import encrypted_pdf, pdf
from tests.flows.world import World

TERMS = pdf(
    [
        "# Warranty\nEvery picking robot has a warranty of 36 months.\nIt covers grippers and wheels.",
        "# Refunds\nWe refund within thirty days of the purchase.",
    ]
)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    made = {"terms": tmp_path / "Terms and warranty.pdf", "locked": tmp_path / "Locked.pdf"}
    made["terms"].write_bytes(TERMS)
    made["locked"].write_bytes(encrypted_pdf())
    return made


def test_a_file_comes_in_and_is_found(visit: Visit, world: World, files: dict[str, Path]) -> None:
    page = visit.open("/console/knowledge")
    expect(page.get_by_role("link", name="Knowledge", exact=True)).to_have_attribute("aria-current", "page")
    visit.check()
    visit.shots("knowledge")
    page.get_by_role("link", name="Add").click()
    visit.check()
    visit.shots("knowledge-new-file")
    page.get_by_label("File", exact=True).set_input_files([files["locked"], files["terms"]])
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("[data-progress]")).to_contain_text("protected by a password")
    expect(page.locator("[data-progress] .badge")).to_have_count(2)
    visit.faults = [fault for fault in visit.faults if "status of 422" not in fault]
    visit.check()
    visit.shots("knowledge-new-refused")
    visit.open("/console/knowledge")
    page.get_by_role("link", name="Terms and warranty").click()
    expect(page.get_by_text("Searched").first).to_be_visible(timeout=60_000)
    expect(page.locator(".passage")).to_have_count(2)
    expect(page.locator(".passage").nth(1)).to_contain_text(re.compile("Refunds.*page 2"))
    visit.check()
    visit.shots("document")
    page.get_by_role("button", name="Turn off passage 2").click()
    expect(page.locator(".passage").nth(1)).to_contain_text("turned off")
    visit.check()
    visit.open("/console/knowledge/search?q=how+long+is+the+warranty+of+a+robot")
    first = page.locator(".found > li").first
    expect(first).to_contain_text("Terms and warranty")
    expect(first.locator("mark").first).to_be_visible()
    visit.check()
    visit.shots("knowledge-search")


def test_an_entry_and_a_question_about_something_else(visit: Visit, world: World) -> None:
    page = visit.open("/console/knowledge/new?as=entry")
    page.get_by_label("Do not say").check()
    page.get_by_label("Title").fill(
        "Delivery dates, which nobody can know in advance, whoever asks and however often"
    )
    page.get_by_label("Text").fill("Never promise a delivery date. " + "Supercalifragilistic" * 12)
    visit.check()
    visit.shots("knowledge-new-entry")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("status").first).to_contain_text("was added")
    visit.check()
    visit.shots("document-entry")
    visit.open("/console/knowledge/search?q=zebra+crossing+rules")
    expect(page.get_by_role("heading", name="Nothing is near this question")).to_be_visible()
    visit.check()
    visit.open("/console/knowledge/new?as=url")
    page.get_by_label("Address").fill("https://127.0.0.1/")
    page.get_by_role("button", name="Fetch").click()
    expect(page.get_by_role("alert")).to_contain_text("private or reserved")
    visit.faults = [fault for fault in visit.faults if "status of 422" not in fault]
    visit.check()
    visit.shots("knowledge-new-url")
