"""Debian's Chromium, driven as a person would, and judged: errors, foreign requests, what axe finds."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, BrowserContext, Page, Playwright

BINARY = os.environ.get("CHROMIUM", "/usr/bin/chromium")
_ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream", "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
SHOTS = os.environ.get("SHOTS", "")
"""A folder: then `shots` writes pictures into it."""
PATIENCE_MS = 30_000
"""For what must come at all: three systems and three Chromiums share two cores here."""
WIDTHS = {"phone": 390, "tablet": 820, "desktop": 1440}
# The best of WCAG that a program can look for: all rules of 2.2 AA and before, and axe's own good practice.
_RULES = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }
}


def launch(play: Playwright, *, microphone: Path | None = None) -> Browser:
    """Chromium without a window; `microphone` is a WAV file (48 kHz) that its fake one plays once.

    Raises:
        RuntimeError: there is no Chromium. These tests never skip.
    """
    if not Path(BINARY).exists():
        raise RuntimeError(f"no Chromium at {BINARY}: install Debian's `chromium`, or set CHROMIUM")
    heard = [f"--use-file-for-fake-audio-capture={microphone}%noloop"] if microphone else []
    return play.chromium.launch(executable_path=BINARY, args=[*_ARGUMENTS, *heard])


class Visit:
    """One page with an eye on what must not happen: errors in the console, other hosts, what CSP forbids."""

    def __init__(self, page: Page, base_url: str) -> None:
        self.page = page
        self.base_url = base_url
        self.faults: list[str] = []
        host = urlsplit(base_url).netloc
        page.on("console", lambda m: self.faults.append(f"console: {m.text}") if m.type == "error" else None)
        page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        page.on(
            "request",
            lambda r: (
                self.faults.append(f"another host: {r.url}")
                if urlsplit(r.url).scheme in ("http", "https", "ws", "wss") and urlsplit(r.url).netloc != host
                else None
            ),
        )

    def open(self, path: str, *, status: int = 200) -> Page:
        """Go to a page of the system; `status` is what the server must answer."""
        answer = self.page.goto(self.base_url + path)
        assert answer is not None
        assert answer.status == status, f"{path}: {answer.status}"
        if status >= 400:  # Chromium itself logs such an answer
            self.faults = [fault for fault in self.faults if f"status of {status}" not in fault]
        return self.page

    def check(self) -> None:
        """Nothing forbidden happened so far, and axe finds nothing on what is shown now, light and dark."""
        assert self.faults == []
        self.page.wait_for_load_state()  # a click may have asked for the next page only just now
        before = self.page.evaluate("document.documentElement.dataset.theme ?? ''")
        for theme in ("light", "dark"):
            self._theme(theme)
            found: Any = Axe().run(self.page, options=_RULES).response["violations"]
            assert found == [], f"{theme}:\n" + "\n".join(
                f"{one['id']}: {one['help']} at {[node['target'] for node in one['nodes']][:5]}"
                for one in found
            )
        self._theme(before)

    def shots(self, name: str) -> None:
        """Pictures at three widths, light and dark, into $SHOTS; nothing is wider than the screen."""
        before = self.page.viewport_size
        for width_name, width in WIDTHS.items():
            self.page.set_viewport_size({"width": width, "height": 900})
            wide = self.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{name} is {wide} px wide on a screen of {width} px"
            for theme in ("light", "dark") if SHOTS else ():
                self._theme(theme)
                Path(SHOTS).mkdir(parents=True, exist_ok=True)
                file = re.sub(r"\W+", "-", f"{name}-{width_name}-{theme}") + ".png"
                self.page.screenshot(path=Path(SHOTS) / file, full_page=True)
        if before:
            self.page.set_viewport_size(before)

    def _theme(self, name: str) -> None:
        self.page.evaluate(
            "name => name ? document.documentElement.dataset.theme = name"
            " : delete document.documentElement.dataset.theme",
            name,
        )


@contextmanager
def visit(context: BrowserContext, base_url: str) -> Iterator[Visit]:
    """A page that is closed at the end and must have had no fault."""
    page = context.new_page()
    made = Visit(page, base_url)
    try:
        yield made
        assert made.faults == []
    finally:
        page.close()


def sign_in(context: BrowserContext, base_url: str, email: str, password: str) -> None:
    """Through the form, as a person does."""
    page = context.new_page()
    page.goto(f"{base_url}/console/login")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{base_url}/console/")
    page.close()
