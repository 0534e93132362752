"""`python -m bench.pages`: first contentful paint of console and admin with 10,000 calls and as many leads.

One Chromium, one server, one page at a time, each loaded several times after a first one that fills the
browser's cache of scripts and styles (a person opens the console once and then moves in it). The floor is the
sign-in page, which reads nothing; so a ratio says what a page's rows cost, whatever the machine.
"""

import argparse
import contextlib
import json
import os
import secrets
import statistics
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tenex.settings")
os.environ.setdefault("SECRET_KEY", secrets.token_hex(32))  # so that DEBUG is off, as in production

from tenex.engines.bootstrap import ensure_environment

ensure_environment(throwaway=True)

from bench import browser, fixture, media  # noqa: E402 - after the engines have addresses

FLOOR: Final = "/console/login"
_PAINT = """
() => (performance.getEntriesByName("first-contentful-paint")[0] || {}).startTime
"""
_ANSWER = """() => performance.getEntriesByType("navigation")[0].responseStart"""


def measure(calls: int, loads: int, database_url: str) -> dict[str, dict[str, float]]:
    """Milliseconds of each page: first paint p50 and worst, and of that the server's answer (p50)."""
    from django.core.management import call_command

    from bench import api_data
    from voice.services import metrics

    call_command("collectstatic", interactive=False, verbosity=0)
    api_data.fill(api_data.Sizes(calls, calls * 2, given_leads=calls))
    while metrics.sum_up_due(500):
        pass
    cookie, pages = _owner_and_pages()
    port = media._free_port()
    environment = os.environ | {"DATABASE_URL": database_url}
    with contextlib.ExitStack() as stack:
        stack.enter_context(media._ready("bench.server", "--port", str(port), env=environment))
        context = stack.enter_context(browser.chromium(port, cookie))
        stranger, owner = context.browser.new_page(viewport=browser.SIZE), context.new_page()
        base = f"http://127.0.0.1:{port}"
        return {FLOOR: _loads(stranger, base + FLOOR, loads)} | {
            path: _loads(owner, base + path, loads) for path in pages
        }


def _owner_and_pages() -> tuple[str, list[str]]:
    from crm.models import Lead
    from tenex.workspaces.models import Workspace
    from voice.models import Agent, Batch, Call

    workspace = Workspace.objects.get(slug="bench")
    one = {
        name: str(model.objects.filter(workspace=workspace).values_list("pk", flat=True)[0])
        for name, model in (("agents", Agent), ("batches", Batch), ("calls", Call), ("leads", Lead))
    }
    console = [
        *("", "dashboard", "start", "members", "credentials", "recordings"),
        *("connectors", "connectors/new", "knowledge", "knowledge/new"),
        *("leads/new", "leads/import", "batches/new", "agents/new"),
        *(path for name, pk in one.items() for path in (name, f"{name}/{pk}")),
        f"agents/{one['agents']}/versions",
        f"leads/{one['leads']}/person",
    ]
    admin = ["", "crm/lead/", "voice/call/", f"voice/call/{one['calls']}/change/", "voice/verdict/"]
    cookie = browser.owner_session(workspace.pk)
    return cookie, [*(f"/console/{path}" for path in console), *(f"/admin/{path}" for path in admin)]


def _loads(page: Any, address: str, loads: int) -> dict[str, float]:
    paints, answers = [], []
    for turn in range(loads + 1):
        response = page.goto(address)
        if response.status != 200:
            raise SystemExit(f"{address} answered {response.status}")
        while not (painted := page.evaluate(_PAINT)):  # no wait_for_function: it evaluates, which CSP forbids
            page.wait_for_timeout(20)
        if turn:
            paints.append(painted)
            answers.append(page.evaluate(_ANSWER))
    return {
        "first_paint_p50_ms": round(statistics.median(paints), 1),
        "first_paint_max_ms": round(max(paints), 1),
        "answer_p50_ms": round(statistics.median(answers), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--loads", type=int, default=7, help="of each page, after the first")
    parser.add_argument("--json", type=Path, default=None, help="where to write everything")
    options = parser.parse_args()
    with fixture.scratch_database() as database_url:
        found = measure(options.calls, options.loads, database_url)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2), encoding="utf-8")
    floor = found[FLOOR]["first_paint_p50_ms"]
    for path, one in found.items():
        times = f"{one['first_paint_p50_ms'] / floor:5.2f}x"
        print(
            f"{one['first_paint_p50_ms']:7.1f} ms p50 {one['first_paint_max_ms']:7.1f} max"
            f" {one['answer_p50_ms']:7.1f} answer {times}  {path}"
        )


if __name__ == "__main__":
    main()
