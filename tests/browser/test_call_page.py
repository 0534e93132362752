"""A finished rehearsal call with its real recording: heard, followed, corrected, shared, revoked."""

import json
import time

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import chrome
from tests.browser.chrome import Visit
from tests.flows.world import World

TALK = {
    "name": "call-page",
    "call": {"direction": "inbound", "from": "+14155550101", "to": "+14155550100", "ring_s": 0.5},
    "script": [
        {"agent": "Hello, this is Ava, an A.I. assistant, and this call is recorded. How can I help you?"},
        {"caller": "We have set aside one hundred and twenty thousand dollars for warehouse robots."},
        {
            "agent": [
                {"tool": "lookup_lead", "args": {}},
                {
                    "say": "Good to hear that. A pilot runs for eight weeks with five robots, and it "
                    "includes the integration with your warehouse system and the training of your people."
                },
            ]
        },
        {
            "caller": {
                "say": "Sorry to interrupt, we have to go live next quarter.",
                "barge_in_after_ms": 1800,
            }
        },
        {"agent": "That is possible."},
        {"caller": "Good. That is all. Goodbye."},
        {"agent": [{"tool": "end_call", "args": {"reason": "goodbye"}}, {"say": "Goodbye."}]},
    ],
}


@pytest.fixture(scope="module")
def call(world: World) -> str:
    """An inbound call in which the caller interrupts the agent and names a budget."""
    made = world.finished(world.call_in(TALK), 150)
    recording = f"/api/v1/voice/calls/{made['id']}/recording"
    world.until(
        lambda: world.api.get(recording)["status"] == "stored" or None, "the recording did not come", 60
    )
    return str(made["id"])


@pytest.fixture
def page(visit: Visit, call: str) -> Page:
    """The call's page with its waveform drawn."""
    opened = visit.open(f"/console/calls/{call}")
    until(opened, "document.querySelector('[data-state]')?.textContent === ''")
    return opened


def until(page: Page, condition: str, timeout_s: float = 10) -> None:
    """Wait for a JavaScript condition; Playwright's own way needs an eval, which the policy forbids."""
    deadline = time.monotonic() + timeout_s
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(50)


def at_s(page: Page) -> float:
    return float(page.evaluate("document.querySelector('audio').currentTime"))


def plays(page: Page) -> bool:
    return bool(page.evaluate("!document.querySelector('audio').paused"))


def test_it_plays_and_the_words_follow(page: Page, visit: Visit) -> None:
    visit.check()
    visit.shots("call")
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.locator(".said[data-now]").first).to_be_visible()
    expect(page.locator(".w.now").first).to_be_visible()
    first = page.locator(".w.now").first.inner_text()
    until(page, f"document.querySelector('.w.now')?.textContent !== {json.dumps(first)}")
    slider = page.get_by_role("slider", name="Position in the recording")
    until(page, "document.querySelector('audio').currentTime > 1.2")
    assert (slider.get_attribute("aria-valuetext") or "").startswith("0:0")
    page.get_by_role("button", name="Pause").click()
    assert not plays(page)
    visit.check()


def test_the_picture_is_drawn_from_both_channels(page: Page) -> None:
    painted = page.evaluate(
        """() => {
          const canvas = document.querySelector("canvas"), pen = canvas.getContext("2d");
          const half = Math.floor(canvas.height / 2);
          const tall = (from) => {
            const { data, width } = pen.getImageData(0, from, canvas.width, half);
            let most = 0;
            for (let x = 0; x < width; x++) {
              let rows = 0;
              for (let y = 0; y < half; y++) if (data[4 * (y * width + x) + 3]) rows++;
              most = Math.max(most, rows / half);
            }
            return most;
          };
          return [tall(0), tall(half)];
        }"""
    )
    assert min(painted) > 0.3, painted


def test_a_click_on_a_line_is_heard_from_there(page: Page) -> None:
    line = page.locator(".said[data-speaker=caller]").first
    line.locator("p").click()
    assert plays(page)
    start_s = float(line.get_attribute("data-start") or 0) / 1000
    assert abs(at_s(page) - start_s) < 1.0
    expect(line).to_have_attribute("data-now", "")


def test_the_sound_at_a_line_is_its_speakers(page: Page, call: str) -> None:
    """The agent's lines stand where the agent's channel is loud, and nowhere else."""
    shares = page.evaluate(
        """async () => {
          const answer = await fetch(document.querySelector("[data-player]").dataset.peaks);
          const bytes = new Uint8Array(await answer.arrayBuffer());
          return [...document.querySelectorAll(".said[data-speaker=agent]")].map((line) => {
            const [from, to] = [line.dataset.start, line.dataset.end].map((ms) => Math.round(ms / 20));
            let loud = 0;
            for (let at = from; at < Math.min(to, from + 40); at++) if (bytes[2 * at + 1] > 24) loud++;
            return loud / Math.max(1, Math.min(to, from + 40) - from);
          });
        }"""
    )
    assert shares, "no lines of the agent"
    assert sum(shares) / len(shares) > 0.6, shares


def test_keys_play_move_and_step_and_can_be_switched_off(page: Page) -> None:
    page.locator("h1").click()
    page.keyboard.press("j")
    first = at_s(page)
    page.keyboard.press("j")
    assert at_s(page) > first
    page.keyboard.press("k")
    page.keyboard.press(" ")
    assert not plays(page)
    before = at_s(page)
    page.keyboard.press("ArrowRight")
    assert abs(at_s(page) - before - 5) < 0.5
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("Home")
    assert at_s(page) == 0
    page.keyboard.press("ArrowUp")
    assert abs(at_s(page) - 1) < 0.2
    page.get_by_text("Keys", exact=True).click()
    page.get_by_label("Keys work on this page").uncheck()
    page.locator("h1").click()
    page.keyboard.press(" ")
    assert not plays(page)
    page.get_by_text("Keys", exact=True).click()
    page.get_by_label("Keys work on this page").check()


def test_the_speed_is_kept_by_the_player(page: Page) -> None:
    page.get_by_label("Speed").select_option("1.5")
    assert page.evaluate("document.querySelector('audio').playbackRate") == 1.5


def test_interrupted_speech_is_struck_through_where_it_was_not_heard(page: Page) -> None:
    cut = page.locator("del.unheard").first
    expect(cut).to_be_visible()
    assert "line-through" in str(cut.evaluate("e => getComputedStyle(e).textDecorationLine"))
    expect(page.locator(".said", has=cut)).to_contain_text("Interrupted")


def test_a_quote_leads_to_its_second(page: Page) -> None:
    quote = page.locator("[data-quote]").first
    line = page.locator(f"#{quote.get_attribute('data-line')}")
    quote.click()
    start_s, end_s = (float(line.get_attribute(f"data-{side}") or 0) / 1000 for side in ("start", "end"))
    assert start_s - 0.5 <= at_s(page) <= end_s + 0.5
    assert plays(page)
    marked = " ".join(line.locator(".w.quoted").all_inner_texts())
    said = quote.locator("q").inner_text().strip("“”\"'.")
    assert said.split()[0].lower() in marked.lower()
    assert len(marked.split()) == len(said.split())


def test_raw_events_come_when_they_are_asked_for(page: Page, visit: Visit) -> None:
    page.get_by_text("Raw events").click()
    expect(page.locator(".journal li").first).to_contain_text("call.")
    count = page.locator(".journal li").count()
    more = page.locator("[data-more-journal]")
    if more.count():
        more.click()
        until(page, f"document.querySelectorAll('.journal li').length > {count}")
    visit.check()


def test_a_link_that_ran_out_is_asked_for_again(page: Page, visit: Visit) -> None:
    """As after five minutes: the address of the player is void, and the next play goes on all the same."""
    page.evaluate("document.querySelector('audio').src = '/console/calls/' + crypto.randomUUID() + '/x'")
    until(page, "document.querySelector('audio').src.includes('/media?token=')")
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, "document.querySelector('audio').currentTime > 0.2")
    visit.faults = [fault for fault in visit.faults if "status of 404" not in fault]  # of the void address


def test_the_verdict_is_corrected_and_says_by_whom(page: Page, visit: Visit, world: World, call: str) -> None:
    page.get_by_role("link", name="Correct").click()
    now = page.get_by_label("The lead is").input_value()
    other = "qualified" if now != "qualified" else "unqualified"
    page.get_by_label("The lead is").select_option(other)
    page.locator("#reason").fill("They said so by e-mail.")
    visit.shots("call-correct")
    visit.check()
    page.get_by_role("button", name="Save the correction").click()
    expect(page.get_by_text("The verdict is corrected")).to_be_visible()
    expect(page.locator("#verdict")).to_contain_text("Corrected by hand")
    page.locator("summary", has_text="What the model said").click()
    expect(page.locator("#verdict")).to_contain_text("They said so by e-mail.")
    visit.check()
    assert world.api.get(f"/api/v1/voice/calls/{call}")["verdict"]["qualification"] == other
    assert world.delivered(call, "verdict.corrected").data["verdict"]["qualification"] == other


def test_a_link_opens_without_a_session_until_it_is_revoked(
    page: Page, visit: Visit, browser: Browser, world: World
) -> None:
    page.get_by_label("With the recording").check()
    page.get_by_role("button", name="Make a link").click()
    url = page.get_by_label("Link to this call").input_value()
    visit.shots("call-shared")
    visit.check()
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(chrome.PATIENCE_MS)
    with chrome.visit(context, world.system.base_url) as outside:
        seen = outside.open(url.removeprefix(world.system.base_url))
        expect(seen.locator(".said").first).to_be_visible()
        expect(seen.get_by_text("Share", exact=True)).to_have_count(0)
        seen.get_by_role("button", name="Play", exact=True).click()
        until(seen, "document.querySelector('audio').currentTime > 0.3")
        outside.check()
        outside.shots("shared")
        page.get_by_role("button", name="Revoke").first.click()
        expect(page.get_by_text("The link is revoked")).to_be_visible()
        seen = outside.open(url.removeprefix(world.system.base_url), status=410)
        expect(seen.get_by_text("This link was revoked.")).to_be_visible()
        outside.check()
    context.close()


def test_the_list_is_walked_by_keyboard_and_narrowed_by_several_outcomes(visit: Visit, call: str) -> None:
    page = visit.open("/console/calls")
    mine = page.locator(f"a.main-link[href$='{call}']")
    mine.focus()
    if page.locator("a.main-link").count() > 1:
        page.keyboard.press("Home")
        expect(page.locator("a.main-link").first).to_be_focused()
        page.keyboard.press("ArrowDown")
        expect(page.locator("a.main-link").nth(1)).to_be_focused()
        mine.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{visit.base_url}/console/calls/{call}")
    page = visit.open("/console/calls")
    page.locator(".pick > summary").click()
    page.get_by_label("Busy").check()
    page.get_by_label("Failed").check()
    visit.check()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Remove filter: Busy")).to_be_visible()
    expect(page.get_by_role("link", name="Remove filter: Failed")).to_be_visible()
    visit.check()
    page.get_by_role("link", name="Clear all").click()
    expect(page.locator("a.main-link").first).to_be_visible()


STATES = """
from tenex.workspaces.models import Workspace
from tests.pages import desk
from voice.models import Agent, Call, PhoneNumber, ToolCall, Turn, Verdict
space, number = Workspace.objects.get(), PhoneNumber.objects.first()
version = Agent.objects.first().current_version
long = desk.judged(space, agent=version, number=number)
text = "שלום, מה שלומך היום? ספרו לי עוד על המחיר."
for n in range(3, 300):
    desk.turn(long, n, "caller" if n % 2 else "agent", text, n * 3000, n * 3000 + 2000)
Verdict.objects.filter(call=long).update(needs_review=True)
busy = desk.judged(space, agent=version, number=number, outcome="busy", direction="outbound")
for kind in (Turn, ToolCall, Verdict):
    kind.objects.filter(call=busy).delete()
unanswered = {"end_reason": "busy", "answered_at": None, "duration_ms": None, "latency": {}, "usage": {}}
Call.objects.filter(pk=busy.pk).update(**unanswered)
print(long.pk, busy.pk)
"""


def test_long_right_to_left_and_unanswered_calls_read_well_without_sound(visit: Visit, world: World) -> None:
    long, busy = world.system.manage("shell", "-v0", "-c", STATES).split()[-2:]
    page = visit.open(f"/console/calls/{long}")
    expect(page.locator(".said")).to_have_count(300)
    expect(page.get_by_text("Needs review")).to_be_visible()
    assert page.locator(".said p").nth(10).evaluate("e => getComputedStyle(e).direction") == "rtl"
    visit.check()
    visit.shots("call-long")
    page = visit.open(f"/console/calls/{busy}")
    expect(page.get_by_text("Nobody answered, so there is nothing to judge.")).to_be_visible()
    visit.check()
    visit.shots("call-busy")
    page = visit.open("/console/calls?needs_review=true")
    expect(page.locator(f"a[href$='{long}']")).to_be_visible()
    visit.check()
