"""One running system with the demo workspace, at the pace of life, and a signed-in Chromium."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Playwright, expect, sync_playwright

from tests.browser import chrome
from tests.browser.chrome import Visit
from tests.flows.world import World
from tests.rig import Shape, start_system

PASSWORD = "correct horse battery"
expect.set_options(timeout=chrome.PATIENCE_MS)


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    with start_system(Shape.SINGLE) as system:
        made = World(system, password=PASSWORD)
        yield made
        made.close()


@pytest.fixture(scope="session")
def play() -> Iterator[Playwright]:
    with sync_playwright() as made:
        yield made


@pytest.fixture(scope="session")
def browser(play: Playwright) -> Iterator[Browser]:
    made = chrome.launch(play)
    yield made
    made.close()


@pytest.fixture(scope="session")
def signed_in(browser: Browser, world: World) -> Iterator[BrowserContext]:
    """The owner of the demo workspace."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(chrome.PATIENCE_MS)
    chrome.sign_in(context, world.system.base_url, world.email, PASSWORD)
    yield context
    context.close()


@pytest.fixture
def visit(signed_in: BrowserContext, world: World) -> Iterator[Visit]:
    with chrome.visit(signed_in, world.system.base_url) as made:
        yield made
