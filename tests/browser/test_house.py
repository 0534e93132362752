"""The agent pages, the admin and the first run in Chromium."""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser import chrome
from tests.browser.chrome import Visit
from tests.flows.world import World

MODELS = {
    "crm": "calendar calendaraccount chunk company consent corpus customfield document followup lead"
    " leadimport meeting segment suppression timelineentry",
    "events": "event",
    "voice": "agent agentversion batch call callingswitch callshare carrieraccount credential decision"
    " erasure legalhold mediaprocess metricsdue metricshour phonenumber purgereceipt recipient recording"
    " verdict verdictcorrection voiceprofile",
    "webhooks": "delivery replay webhooksubscription",
    "workspaces": "apikey auditentry datakey invitation keyrotation user workspace",
}


@pytest.fixture(scope="module")
def agent(world: World) -> dict[str, Any]:
    """An agent of this module's own: the demo's keeps its prompt."""
    ava = world.api.get("/api/v1/voice/agents")["items"][0]
    made = world.api.post(f"/api/v1/voice/agents/{ava['id']}/duplicate", {"name": "Nora"})
    return dict(made)


@pytest.fixture(scope="module")
def call(world: World) -> str:
    return str(world.finished(world.call_in("inbound-not-a-fit"))["id"])


def prompt(page: Page) -> Any:
    return page.get_by_label("Prompt", exact=True)


def saved(page: Page) -> None:
    expect(page.get_by_role("status").filter(has_text="Draft saved")).to_be_visible()


def written(page: Page, text: str) -> None:
    """Type at the end of the prompt and wait until the draft has it."""
    box = prompt(page)
    box.click()
    page.keyboard.press("Control+End")
    with page.expect_response(lambda r: r.request.method == "POST" and r.ok):
        page.keyboard.type(text)
    saved(page)


# --- agents


def test_a_prompt_is_written_checked_previewed_and_published(visit: Visit, agent: dict[str, Any]) -> None:
    page = visit.open(f"/console/agents/{agent['id']}")
    written(page, "\nAsk about {{lead.compny}}.")
    expect(page.locator(".marks mark.wrong")).to_have_text("{{lead.compny}}")
    problem = page.get_by_role("list", name="Problems")
    expect(problem).to_contain_text("no such variable; did you mean {{lead.company}}?")
    visit.check()
    visit.shots("agent")
    problem.get_by_role("button").click()
    chosen = "el => el.value.slice(el.selectionStart, el.selectionEnd)"
    assert prompt(page).evaluate(chosen) == "{{lead.compny}}"
    with page.expect_response(lambda r: r.request.method == "POST" and r.ok):
        page.get_by_role("button", name="lead.company").click()
    expect(problem.get_by_role("listitem")).to_have_count(0)
    assert "Ask about {{lead.company}}." in prompt(page).input_value()
    page.get_by_label("Lead", exact=True).fill("maria")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_label("Instructions as the model gets them")).to_contain_text(
        "Ask about Brightwell Logistics."
    )
    visit.check()
    page.reload()
    assert "Ask about {{lead.company}}." in prompt(page).input_value(), "it was saved by itself"
    page.get_by_role("button", name="Publish…").click()
    expect(page.locator(".diff ins").last).to_have_text("Ask about {{lead.company}}.")
    visit.check()
    visit.shots("agent-publish")
    page.get_by_label(re.compile("^Why")).fill("We never asked who they are")
    page.get_by_role("button", name="Publish as version 2").click()
    row = page.get_by_role("row").filter(has_text="We never asked who they are")
    expect(row).to_contain_text("Published")
    visit.check()
    visit.shots("agent-versions")


def test_criteria_are_rows_by_keyboard(visit: Visit, agent: dict[str, Any]) -> None:
    page = visit.open(f"/console/agents/{agent['id']}")
    names = page.locator("[name=criterion_name]")
    before = names.evaluate_all("all => all.map(one => one.value)")
    names.last.focus()
    page.keyboard.press("Enter")
    page.keyboard.type("team")
    page.keyboard.press("Tab")
    with page.expect_response(lambda r: r.request.method == "POST" and r.ok):
        page.keyboard.type("Who else decides")
    names.last.focus()
    with page.expect_response(lambda r: r.request.method == "POST" and r.ok):
        page.keyboard.press("Alt+ArrowUp")
    saved(page)
    page.reload()
    wanted = [*before[:-1], "team", before[-1]]
    assert names.evaluate_all("all => all.map(one => one.value)") == wanted
    visit.check()


def test_two_people_see_each_others_words(
    visit: Visit, agent: dict[str, Any], signed_in: BrowserContext, world: World
) -> None:
    page = visit.open(f"/console/agents/{agent['id']}")
    with chrome.visit(signed_in, world.system.base_url) as other:
        theirs = other.open(f"/console/agents/{agent['id']}")
        written(theirs, "\nTheir line.")
        page.get_by_label("Objective").fill("My objective")
        expect(page.get_by_role("status").filter(has_text="has changed this meanwhile")).to_be_visible()
        page.get_by_role("button", name="Compare with yours").click()
        expect(page.get_by_role("alert")).to_contain_text("nothing is lost")
        expect(page.locator(".diff del").filter(has_text="Their line.")).to_be_visible()
        expect(page.get_by_role("textbox", name="Objective")).to_have_value("My objective")
        visit.faults = [fault for fault in visit.faults if "status of 409" not in fault]
        visit.check()
        visit.shots("agent-conflict")
        page.get_by_role("button", name="Save mine over theirs").click()
        expect(page.get_by_text("The draft is saved.")).to_be_visible()


def test_an_old_version_is_published_again_and_two_are_compared(visit: Visit, agent: dict[str, Any]) -> None:
    page = visit.open(f"/console/agents/{agent['id']}/versions")
    page.get_by_role("row").filter(has_text="Copied from").get_by_role("button", name="Publish again").click()
    visit.check()
    page.get_by_role("dialog").get_by_label("Why?").fill("The first one was better")
    page.get_by_role("dialog").get_by_role("button", name="Publish again").click()
    expect(page.get_by_text("Version 1 is published again, as version 3.")).to_be_visible()
    page.get_by_label("Compare from version 2").check()
    page.get_by_label("Compare to version 3").check()
    page.get_by_role("button", name="Compare the two marked").click()
    expect(page.locator(".diff del").filter(has_text="Ask about {{lead.company}}.")).to_be_visible()
    visit.check()
    visit.shots("agent-compare")


def test_the_list_and_a_new_agent(visit: Visit) -> None:
    page = visit.open("/console/agents")
    visit.check()
    visit.shots("agents")
    page.get_by_role("link", name="New agent").click()
    visit.check()
    page.get_by_label(re.compile("^Name")).fill("وكيل المبيعات")
    page.get_by_role("button", name="Make the agent").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("وكيل المبيعات")
    visit.check()


# --- admin


def test_the_front_page_of_the_admin_leads_to_every_list(visit: Visit) -> None:
    page = visit.open("/admin/")
    visit.check()
    visit.shots("admin")
    links = page.locator("main .models a:not(.button)").evaluate_all("all => all.map(one => one.pathname)")
    assert {*links} == {f"/admin/{app}/{name}/" for app, names in MODELS.items() for name in names.split()}


@pytest.mark.parametrize("app", MODELS)
def test_every_page_of_the_admin(visit: Visit, call: str, app: str) -> None:
    """List, row and form of every model: all that is wrong with them is told at once."""
    page, wrong = visit.page, []

    def look(name: str) -> None:
        try:
            visit.check()
            visit.shots(name)
        except AssertionError as exc:
            wrong.append(f"{name}: {exc}")

    for model in MODELS[app].split():
        name = f"admin-{app}-{model}"
        visit.open(f"/admin/{app}/{model}/")
        look(name)
        first = page.locator("#result_list tbody th a").first
        if first.count():
            first.click()
            page.wait_for_url("**/change/**")
            look(f"{name}-row")
            visit.open(f"/admin/{app}/{model}/")
        add = page.get_by_role("link", name=re.compile("^Add "))
        if add.count():
            add.first.click()
            page.wait_for_url("**/add/**")
            look(f"{name}-add")
    assert wrong == []


def test_filters_of_the_admin_open_and_close_by_keyboard(visit: Visit) -> None:
    page = visit.open("/admin/voice/call/")
    page.locator("summary").filter(has_text="Direction").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Outbound")).to_be_visible()
    visit.check()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Outbound")).to_be_hidden()


def test_a_key_is_shown_once(visit: Visit) -> None:
    page = visit.open("/admin/workspaces/apikey/add/")
    page.get_by_label("Name:").fill("Reporting")
    page.get_by_role("checkbox", name=re.compile("calls:read")).check()
    page.get_by_role("button", name="Save", exact=True).click()
    shown = page.get_by_role("status").locator("code")
    expect(shown).to_contain_text("tnx_")
    token = shown.inner_text()
    visit.check()
    page.reload()
    expect(page.get_by_text(token)).to_have_count(0)


def test_a_delivery_is_sent_again(visit: Visit, call: str, world: World) -> None:
    page = visit.open("/admin/webhooks/delivery/?status__exact=succeeded")
    row = page.locator("#result_list tbody tr").last
    delivery = row.locator("[name=_selected_action]").get_attribute("value")
    subscription = world.api.get("/api/v1/voice/webhooks")["items"][0]["id"]

    def attempts() -> int:
        at = f"/api/v1/voice/webhooks/{subscription}/deliveries/{delivery}"
        return int(world.api.get(at)["attempts"])

    before = attempts()
    row.locator("[name=_selected_action]").check()
    page.get_by_label("Action:").select_option(label="Send again")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("1 deliveries are sent again.")).to_be_visible()
    world.until(lambda: attempts() > before or None, "it was not delivered again")
    visit.check()


def test_a_voice_is_heard_and_a_retention_says_what_it_deletes(visit: Visit) -> None:
    page = visit.open("/admin/voice/voiceprofile/")
    page.locator("#result_list tbody th a").first.click()
    sound = page.locator("audio")
    sound.evaluate("el => { el.muted = true; return el.play(); }")
    assert sound.evaluate("el => el.duration") > 1
    visit.check()
    visit.open("/admin/workspaces/workspace/")
    page.locator("#result_list tbody th a").first.click()
    with page.expect_response(re.compile("retention")):
        page.get_by_label("Transcript retention days:").fill("1")
    expect(page.locator("[data-outlook]")).to_contain_text("changed")
    visit.check()


# --- first run


def test_the_first_steps_mark_themselves(visit: Visit, call: str) -> None:
    page = visit.open("/console/start")
    expect(page.locator(".steps > li[data-done]")).to_have_count(5)
    expect(page.get_by_text("All done.")).to_be_visible()
    visit.check()
    visit.shots("start")
    page.get_by_role("button", name="Another rehearsal call").click()
    expect(page.get_by_text("It rings")).to_be_visible()


def test_a_used_up_link_says_so(browser: Browser, world: World) -> None:
    context = browser.new_context(reduced_motion="reduce")
    with chrome.visit(context, world.system.base_url) as visit:
        visit.open("/console/setup?token=nonsense", status=410)
        visit.check()
        visit.shots("setup-gone")
    context.close()


def test_members_and_the_door_of_an_invitation(visit: Visit, browser: Browser, world: World) -> None:
    page = visit.open("/console/members")
    page.get_by_label("E-mail").fill("ben@example.com")
    page.get_by_role("combobox", name="Role", exact=True).select_option("operator")
    page.get_by_role("button", name="Invite").click()
    link = page.get_by_role("status").locator("code").inner_text()
    visit.check()
    visit.shots("members")
    context = browser.new_context(reduced_motion="reduce")
    with chrome.visit(context, world.system.base_url) as theirs:
        door = theirs.open(link.removeprefix(world.system.base_url))
        theirs.check()
        theirs.shots("join")
        door.get_by_label("Your name").fill("Ben")
        door.get_by_label("Password").fill("correct horse battery")
        door.get_by_role("button", name="Join").click()
        expect(door.get_by_role("heading", name="First steps")).to_be_visible()
        theirs.check()
    context.close()
    page = visit.open("/console/members")
    page.get_by_label("Role of ben@example.com").select_option("viewer")
    expect(page.get_by_text("ben@example.com has another role")).to_be_visible()
    visit.check()
