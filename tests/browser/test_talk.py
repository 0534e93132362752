"""Talking to an agent in Chromium, by a fake microphone and in writing; a test call counts nowhere."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Playwright, expect

from tests.browser import chrome
from tests.browser.conftest import PASSWORD
from tests.browser.test_live import journal, microphone_file, until
from tests.flows.world import V, World


@pytest.fixture(scope="module")
def builder(
    play: Playwright, world: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrowserContext]:
    browser = chrome.launch(play, microphone=microphone_file(tmp_path_factory.mktemp("mic"), quiet_s=7))
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, permissions=["microphone"], reduced_motion="reduce"
    )
    context.set_default_timeout(chrome.PATIENCE_MS)
    chrome.sign_in(context, world.system.base_url, world.email, PASSWORD)
    yield context
    browser.close()


def test_an_agent_is_talked_to_and_written_to(builder: BrowserContext, world: World) -> None:
    agent = world.api.get(f"{V}/agents")["items"][0]["id"]
    before = world.api.get(f"{V}/metrics")
    with chrome.visit(builder, world.system.base_url) as visit:
        page = visit.open(f"/console/agents/{agent}/talk")
        visit.check()
        visit.shots("talk-before")
        page.get_by_label("Speak as").select_option(label="Maria Chen")
        page.get_by_role("button", name="Start talking").click()
        log = page.get_by_role("log")
        expect(page.locator("[data-link]")).to_have_attribute("data-link", "on")
        expect(log.locator('li[data-speaker="agent"]').first).to_be_visible(timeout=20_000)
        until(page, "document.querySelector('[data-side=agent]').classList.contains('speaks')")
        until(page, "document.querySelector('[data-side=caller]').classList.contains('speaks')")
        turns = log.locator('li[data-speaker="agent"]').count()
        page.get_by_placeholder("Write instead of speaking").fill("How much is it?")
        page.get_by_role("button", name="Send").click()
        expect(log.locator('li[data-speaker="caller"]').filter(has_text="How much is it?")).to_be_visible()
        until(page, f"document.querySelectorAll('.words li[data-speaker=agent]').length > {turns}")
        until(page, "document.querySelector('[data-f=median]').textContent !== '–'")
        visit.check()
        visit.shots("talk")
        page.get_by_role("button", name="Hang up").click()
        expect(page.get_by_text("The call is over")).to_be_visible()
        expect(page.get_by_role("button", name="Start talking")).to_be_enabled()
        call = (page.get_by_role("link", name="Open its page").get_attribute("href") or "").rpartition("/")[2]
        visit.check()
    row = world.finished(call)
    assert row["direction"] == "inbound"
    assert any(line["type"] == "turn.latency" for line in journal(world, call))
    assert world.api.get(f"{V}/metrics")["calls"] == before["calls"], "no figure counts it"
    assert not world.receiver.of_call(call), "no webhook tells of it"


def test_without_a_microphone_one_writes(builder: BrowserContext, world: World) -> None:
    agent = world.api.get(f"{V}/agents")["items"][0]["id"]
    with chrome.visit(builder, world.system.base_url) as visit:
        page = visit.open(f"/console/agents/{agent}/talk")
        page.get_by_role("button", name="Start, and write only").click()
        log = page.get_by_role("log")
        expect(log.locator('li[data-speaker="agent"]').first).to_be_visible(timeout=20_000)
        page.get_by_placeholder("Write instead of speaking").fill("Good afternoon.")
        page.keyboard.press("Enter")
        expect(log).to_contain_text("Good afternoon.")
        page.get_by_role("button", name="Hang up").click()
        expect(page.get_by_text("The call is over")).to_be_visible()
