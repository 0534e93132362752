"""The page of accounts and keys in Chromium: set, refused, in use, forgotten."""

import httpx2
from playwright.sync_api import expect

from tests.browser.chrome import Visit
from tests.flows.world import World

ACCOUNT, TOKEN = "AC" + "0123456789abcdef" * 2, "fedcba9876543210" * 2
MINE = "+14155550161"


def test_an_account_is_set_checked_and_given_up(visit: Visit, world: World) -> None:
    world.carrier("PUT", f"accounts/{ACCOUNT}", {"auth_token": TOKEN})
    world.carrier("PUT", f"numbers/{MINE}?account={ACCOUNT}", {})
    page = visit.open("/console/credentials")
    visit.check()
    visit.shots("credentials-none")
    card = page.get_by_role("region", name="Twilio")
    card.get_by_text("Use your own").click()
    card.get_by_label("Account SID").fill("AC" + "0" * 31)
    card.get_by_label("Auth token").first.fill(TOKEN)
    card.get_by_role("button", name="Check and set").click()
    expect(card.get_by_role("alert")).to_contain_text("AC and 32 characters")
    expect(card.get_by_label("Auth token").first).to_have_value("")
    as_told(visit, 422)
    visit.check()
    visit.shots("credentials-wrong")
    card.get_by_label("Account SID").fill(ACCOUNT)
    card.get_by_label("Auth token").first.fill(TOKEN)
    card.get_by_role("button", name="Check and set").click()
    expect(page.get_by_role("status").filter(has_text="Twilio is set: works")).to_be_visible()
    card.get_by_role("button", name="Check now").click()
    expect(page.get_by_role("status").filter(has_text="Rehearsal (active)")).to_be_visible()
    made = world.api.post("/api/v1/voice/numbers", {"e164": MINE})
    page.on("dialog", lambda dialog: dialog.accept())
    card.get_by_role("button", name="Forget", exact=True).click()
    expect(card.get_by_text("The account is in use:")).to_be_visible()
    as_told(visit, 409)
    visit.check()
    visit.shots("credentials-in-use")
    card.get_by_role("button", name="Forget it all the same").click()
    expect(page.get_by_role("status").filter(has_text="is forgotten")).to_be_visible()
    httpx2.delete(
        f"{world.system.base_url}/api/v1/voice/numbers/{made['id']}",
        headers={"Authorization": f"Bearer {world.key}"},
        trust_env=False,
    )


def as_told(visit: Visit, status: int) -> None:
    """Chromium itself logs such an answer."""
    visit.faults = [fault for fault in visit.faults if f"status of {status}" not in fault]
