"""The live console and a live call in Chromium: watched, heard, steered, taken over by a fake microphone."""

import io
import json
import re
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Page, Playwright, WebSocketRoute, expect

from tests.browser import chrome
from tests.browser.chrome import Visit
from tests.browser.conftest import PASSWORD
from tests.flows.world import V, World
from voice.rehearsal import mulaw

CHAT = 14
LONG: dict[str, Any] = {
    "name": "long-talk",
    "call": {"direction": "inbound", "from": "+14155550101", "to": "+14155550100"},
    "script": [
        {"agent": "Hello, this is Ava of Northwind Robotics. How can I help you today?"},
        *[
            step
            for _ in range(CHAT)
            for step in (
                {"caller": "I would like to hear more about the robots, please."},
                {"agent": "Our robots carry boxes from shelf to shelf, all day long, without a pause."},
            )
        ],
    ],
}


def microphone_file(folder: Path, *, quiet_s: float = 0.0) -> Path:
    """A minute and a half of something that noise suppression takes for a voice: 48 kHz.

    With `quiet_s` there are two seconds of it again and again, each after so much silence.
    """
    at = np.arange(48_000 * 90) / 48_000
    silent = at % (quiet_s + 2) < quiet_s
    syllables = 0.5 + 0.5 * np.sign(np.sin(2 * np.pi * 3.1 * at))
    voice = sum(np.sin(2 * np.pi * 140 * k * at + k) / k for k in range(1, 12))
    sound = np.where(silent, 0, np.clip(voice * syllables * 9000, -32768, 32767)).astype("<i2")
    file = folder / "operator.wav"
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(48_000)
        out.writeframes(sound.tobytes())
    return file


@pytest.fixture(scope="module")
def operator(
    play: Playwright, world: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrowserContext]:
    """An owner at a computer with a microphone."""
    browser = chrome.launch(play, microphone=microphone_file(tmp_path_factory.mktemp("mic")))
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, permissions=["microphone"], reduced_motion="reduce"
    )
    context.set_default_timeout(chrome.PATIENCE_MS)
    chrome.sign_in(context, world.system.base_url, world.email, PASSWORD)
    yield context
    browser.close()


@pytest.fixture(scope="module")
def call(world: World) -> str:
    """A call that goes on for minutes."""
    known = {one["id"] for one in world.calls()}
    world.carrier("POST", "calls", {"scenario": LONG})
    return world.until(
        lambda: next((str(one["id"]) for one in world.calls() if one["id"] not in known), None), "no call"
    )


@pytest.fixture(scope="module")
def desk(operator: BrowserContext, world: World, call: str) -> Iterator[Visit]:
    """The call's page, open all the while."""
    with chrome.visit(operator, world.system.base_url) as visit:
        visit.open(f"/console/live/{call}")
        yield visit


def journal(world: World, call: str) -> list[dict[str, Any]]:
    """All lines of the call's journal so far."""
    url = f"{world.system.base_url}{V}/calls/{call}/stream?follow=false"
    answer = httpx2.get(url, headers={"Authorization": f"Bearer {world.key}"}, timeout=10, trust_env=False)
    return [json.loads(row[6:]) for row in answer.text.splitlines() if row.startswith("data: ")]


def lines(world: World, call: str, type_: str) -> list[dict[str, Any]]:
    return [line["data"] for line in journal(world, call) if line["type"] == type_]


def until(page: Page, true: str, timeout_s: float = 40) -> None:
    """Wait for an expression; Playwright's own way is code that the page's policy forbids."""
    deadline = time.monotonic() + timeout_s
    while not page.evaluate(true):
        assert time.monotonic() < deadline, true
        page.wait_for_timeout(200)


def said(page: Page) -> Any:
    return page.get_by_role("log")


def test_the_board_shows_the_call_while_it_goes_on(operator: BrowserContext, world: World, call: str) -> None:
    with chrome.visit(operator, world.system.base_url) as visit:
        page = visit.open("/console/")
        card = page.locator(f'[data-call="{call}"]')
        expect(page.locator("[data-link]")).to_have_attribute("data-link", "on")
        expect(card.get_by_role("heading", name="Maria Chen")).to_be_visible()
        expect(card.locator(".state")).to_have_text("Talking")
        expect(card).to_contain_text("hear more about the robots")
        expect(card.locator(".meter.speaks").first).to_be_visible(timeout=20_000)
        expect(card).to_contain_text(re.compile(r"answers in \d"))
        expect(page.locator('[data-tally="talking"]')).to_have_text("1")
        visit.check()
        visit.shots("live-board")
        card.get_by_role("link", name="Maria Chen").click()
        expect(page).to_have_url(f"{world.system.base_url}/console/live/{call}")


def test_a_connection_that_is_cut_is_said_and_comes_back(
    operator: BrowserContext, world: World, call: str
) -> None:
    away = False
    routes: list[WebSocketRoute] = []

    def through(route: WebSocketRoute) -> None:
        if away:
            route.close(code=1011)
            return
        route.connect_to_server()
        routes.append(route)

    with chrome.visit(operator, world.system.base_url) as visit:
        visit.page.route_web_socket(re.compile("/console/ws"), through)
        page = visit.open("/console/")
        card = page.locator(f'[data-call="{call}"]')
        expect(page.locator("[data-link]")).to_have_attribute("data-link", "on")
        away = True
        routes[-1].close(code=1011)
        expect(page.get_by_text("Not connected. This is how it was at")).to_be_visible()
        expect(page.locator("[data-board]")).to_have_class(re.compile("stale"))
        visit.check()
        visit.shots("live-board-lost")
        away = False
        expect(page.locator("[data-link]")).to_have_attribute("data-link", "on")
        expect(page.locator("[data-board]")).not_to_have_class(re.compile("stale"))
        expect(card.locator(".state")).to_have_text("Talking")


def test_listening_hears_both_sides(desk: Visit, world: World, call: str) -> None:
    page = desk.page
    expect(page.locator("[data-link]")).to_have_attribute("data-link", "on")
    page.get_by_role("button", name="Listen").click()
    for side in ("caller", "agent"):
        until(page, f"Number(document.querySelector('[data-ear={side}]').dataset.loudest ?? 0) > 40")
    expect(said(page)).to_contain_text(f"{world.email} listens")
    assert lines(world, call, "operator.listened") == [{"by": f"user:{world.email}", "audible": False}]
    desk.check()
    desk.shots("live-call-listening")
    page.get_by_role("button", name="Stop listening").click()
    expect(page.get_by_role("button", name="Listen")).to_be_visible()


def test_a_whisper_reaches_the_agent_alone(desk: Visit, world: World, call: str) -> None:
    page = desk.page
    page.get_by_label("Whisper to the agent").fill("Offer ten per cent off.")
    page.get_by_role("button", name="Whisper").click()
    expect(page.get_by_text("The agent has been told. The caller does not hear it.")).to_be_visible()
    expect(said(page)).to_contain_text("whispered: Offer ten per cent off. · the caller does not hear it")
    (line,) = lines(world, call, "operator.whispered")
    assert line == {"by": f"user:{world.email}", "audible": False, "text": "Offer ten per cent off."}


def test_a_sentence_is_said_word_for_word(desk: Visit, world: World, call: str) -> None:
    page = desk.page
    page.get_by_label("Let the agent say exactly").fill("We close at six today.")
    page.get_by_role("button", name="Say").click()
    agent = said(page).locator('li[data-speaker="agent"]')
    expect(agent.filter(has_text="We close at six today.")).to_be_visible(timeout=30_000)
    assert lines(world, call, "operator.said")[0]["audible"] is True


def test_a_muted_agent_says_nothing_until_it_may(desk: Visit, world: World, call: str) -> None:
    page = desk.page
    page.get_by_role("button", name="Mute the agent").click()
    expect(page.get_by_text("The agent is muted. The caller hears silence.")).to_be_visible()
    expect(page.get_by_label("Let the agent say exactly")).to_be_disabled()
    turns = said(page).locator("li[data-speaker]")
    before = turns.count()
    until(page, f"document.querySelectorAll('.words li[data-speaker]').length > {before}")
    heard = [one.get_attribute("data-speaker") for one in turns.all()[before:]]
    assert set(heard) == {"caller"}
    desk.check()
    desk.shots("live-call-muted")
    page.get_by_role("button", name="Let the agent speak").click()
    expect(page.get_by_text("The agent is muted.")).to_be_hidden()
    until(
        page, "[...document.querySelectorAll('.words li[data-speaker]')].at(-1).dataset.speaker === 'agent'"
    )


def test_a_browser_that_vanishes_gives_the_call_back(
    operator: BrowserContext, world: World, call: str
) -> None:
    with chrome.visit(operator, world.system.base_url) as visit:
        page = visit.open(f"/console/live/{call}")
        expect(page.locator("[data-link]")).to_have_attribute("data-link", "on")
        page.get_by_role("button", name="Take over").click()
        expect(page.locator(".state")).to_have_text("Operator talks")
    world.until(
        lambda: (
            [one for one in lines(world, call, "operator.gave_back") if one["why"] == "operator-lost"] or None
        ),
        "the call was not given back",
        timeout_s=10,
    )


# The last of this call: it ends with it.
def test_an_operator_talks_gives_the_call_back_and_hangs_up(desk: Visit, world: World, call: str) -> None:
    page = desk.page
    page.get_by_role("button", name="Take over").click()
    expect(page.locator(".state")).to_have_text("Operator talks")
    expect(page.get_by_text("You talk to the caller.")).to_be_visible()
    page.wait_for_timeout(4000)
    desk.check()
    desk.shots("live-call-taken")
    assert page.locator('[data-side="agent"]').get_attribute("class") is not None
    page.get_by_label("For the agent, what was said (optional)").fill("We agreed on Tuesday.")
    page.get_by_role("button", name="Give back to the agent").click()
    expect(page.locator(".state")).to_have_text("Talking")
    expect(said(page)).to_contain_text("Given back to the agent")
    line = lines(world, call, "operator.gave_back")[-1]
    assert line["why"] == "asked"
    assert 3 < line["seconds"] < 60
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Hang up").click()
    expect(page.get_by_text("This call is over.")).to_be_visible(timeout=20_000)
    expect(page.get_by_role("button", name="Whisper")).to_be_disabled()
    desk.check()
    desk.shots("live-call-over")
    row = world.finished(call)
    assert row["end_reason"] == "operator-hangup"
    _caller_heard(world, call)


def _caller_heard(world: World, call: str) -> None:
    """In the carrier's recording our channel has a voice while the agent was held back."""
    recording = world.api.get(f"{V}/calls/{call}/recording")
    sound = world.api.bytes_of(recording["url"])
    with wave.open(io.BytesIO(sound)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
        rate = file.getframerate()
    told = {line["type"]: line["at_ms"] for line in journal(world, call)}
    answered = told["call.answered"]
    begin = (told["operator.took_over"] - answered) / 1000
    ours = samples[int((begin + 1) * rate) : int((begin + 3) * rate), 1].astype(float)
    loud = np.sqrt(np.mean(ours**2))
    assert loud > 300, f"{loud:.0f} of 32768: nothing of the operator was heard"
    assert rate == mulaw.RATE_HZ


def test_a_call_is_transferred_to_a_person(operator: BrowserContext, world: World) -> None:
    known = {one["id"] for one in world.calls()}
    dialed = {**LONG["call"], "transfer": {"answer": "person", "ring_s": 1.0, "talk_s": 3.0}}
    scenario = LONG | {"name": "to-a-person", "call": dialed}
    world.carrier("POST", "calls", {"scenario": scenario})
    other = world.until(
        lambda: next((str(one["id"]) for one in world.calls() if one["id"] not in known), None), "no call"
    )
    with chrome.visit(operator, world.system.base_url) as visit:
        page = visit.open(f"/console/live/{other}")
        expect(page.locator(".state")).to_have_text("Talking")
        page.get_by_label("Transfer to a person").fill("+14155550166")
        page.get_by_role("button", name="Transfer").click()
        expect(page.get_by_text("This call is over.")).to_be_visible(timeout=30_000)
        visit.check()
    (line,) = lines(world, other, "operator.transferred")
    assert line == {"by": f"user:{world.email}", "audible": True}
    assert world.finished(other)["outcome"] == "transferred"
