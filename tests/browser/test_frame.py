"""Signing in, the menu, light and dark, what is not there, and the list of calls."""

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import chrome
from tests.browser.chrome import Visit
from tests.flows.world import World


@pytest.fixture(scope="module")
def call(world: World) -> str:
    return str(world.finished(world.call_in("inbound-not-a-fit"))["id"])


def test_wrong_password_says_so_and_nothing_else(browser: Browser, world: World) -> None:
    context = browser.new_context()
    with chrome.visit(context, world.system.base_url) as visit:
        page = visit.open("/console/calls")
        expect(page).to_have_url(f"{world.system.base_url}/console/login?next=/console/calls")
        visit.shots("login")
        visit.check()
        page.get_by_label("E-mail").fill(world.email)
        page.get_by_label("Password").fill("nonsense")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("wrong")
        visit.faults = [fault for fault in visit.faults if "status of 400" not in fault]
        visit.check()
    context.close()


def test_calls_are_found_by_what_one_types(visit: Visit, call: str) -> None:
    page = visit.open("/console/calls")
    expect(page.locator(f"tbody a[href$='{call}']")).to_be_visible()
    visit.check()
    visit.shots("calls")
    page.get_by_label("Search").fill("nobody of that name")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="No call matches")).to_be_visible()
    visit.check()
    page.get_by_role("link", name="Clear all").click()
    expect(page.locator(f"tbody a[href$='{call}']")).to_be_visible()


def test_the_theme_is_kept(visit: Visit) -> None:
    page = visit.open("/console/calls")
    page.emulate_media(color_scheme="light")
    page.get_by_role("button", name="Theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    visit.check()
    page.context.clear_cookies(name="theme")


def test_the_menu_on_a_phone_opens_by_keyboard(visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 390, "height": 800})
    page = visit.open("/console/calls")
    expect(page.get_by_role("link", name="Leads")).to_be_hidden()
    page.locator(".menu > summary").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Leads")).to_be_visible()
    visit.check()
