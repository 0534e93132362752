"""Workspaces beside the demo, each with an account of its own at the offline carrier and a key of its own."""

import json
import secrets
from dataclasses import dataclass
from typing import Any

import httpx2

from tenex.demo.client import Api
from tests.rig import System

V = "/api/v1/voice"

_MAKE = """
import datetime as dt, json
from tenex.lib import daytime
from tenex.workspaces.services import keys, workspaces
from voice.console.agents import FIRST_AGENT
from voice.services import agents
space = workspaces.create({{
    "name": "{slug}", "slug": "{slug}", "legal_name": "{slug} Inc.",
    "calling_window_start": dt.time(0, 0), "calling_window_end": dt.time(23, 59, 59),
    "calling_rules": "legal", "calling_rules_reason": "tests", "calling_countries": daytime.COUNTRIES,
}}, "system:tests")
agent = agents.create(space, {{**FIRST_AGENT, "name": "Ava"}}, "system:tests")
_, key = keys.create(space, "tests", ["*"], "system:tests")
print(json.dumps({{"id": str(space.pk), "agent": str(agent.pk), "key": key}}))
"""


@dataclass(slots=True)
class OwnTenant:
    """A workspace that goes over its own account, and all that opens it."""

    workspace_id: str
    agent_id: str
    key: str
    number: str
    account_sid: str
    auth_token: str
    key_sid: str
    key_secret: str
    openai_key: str
    api: Api
    number_id: str = ""

    @property
    def secrets(self) -> dict[str, str]:
        return {
            "api key": self.key,
            "auth token": self.auth_token,
            "key secret": self.key_secret,
            "openai key": self.openai_key,
        }

    def credentials(self, **more: str) -> None:
        """Give both to the system."""
        twilio = {
            "account_sid": self.account_sid,
            "auth_token": self.auth_token,
            "api_key_sid": self.key_sid,
            "api_key_secret": self.key_secret,
            **more,
        }
        answered(self.put("twilio", twilio), 200)
        answered(self.put("openai", {"api_key": self.openai_key}), 200)

    def put(self, kind: str, body: dict[str, str]) -> httpx2.Response:
        return self.api._http.put(f"{V}/credentials/{kind}", json=body)

    def import_number(self) -> None:
        made = self.api.post(f"{V}/numbers", {"e164": self.number, "agent_id": self.agent_id})
        self.number_id = made["id"]


def answered(answer: httpx2.Response, status: int) -> httpx2.Response:
    assert answer.status_code == status, f"{answer.status_code} {answer.text[:500]}"
    return answer


def make(system: System, slug: str, number: str) -> OwnTenant:
    """The workspace, the account with its number, and the key; the system does not know of the latter yet."""
    printed = system.manage("shell", "-v0", "-c", _MAKE.format(slug=slug))
    told: dict[str, Any] = json.loads(printed.splitlines()[-1])
    made = OwnTenant(
        workspace_id=told["id"],
        agent_id=told["agent"],
        key=told["key"],
        number=number,
        account_sid="AC" + secrets.token_hex(16),
        auth_token=secrets.token_hex(16),
        key_sid="SK" + secrets.token_hex(16),
        key_secret=secrets.token_urlsafe(24),
        openai_key="sk-own-" + secrets.token_hex(16),
        api=Api(system.base_url, told["key"]),
    )
    carrier = f"{system.carrier_url}/control"
    body = {"auth_token": made.auth_token, "api_keys": {made.key_sid: made.key_secret}}
    answered(httpx2.put(f"{carrier}/accounts/{made.account_sid}", json=body, trust_env=False), 201)
    answered(
        httpx2.put(f"{carrier}/numbers/{number}?account={made.account_sid}", json={}, trust_env=False), 200
    )
    model = system.openai_url.removesuffix("/v1")
    answered(httpx2.put(f"{model}/control/keys", json={"api_key": made.openai_key}, trust_env=False), 201)
    return made


def uses(system: System, key: str) -> dict[str, int]:
    """Path -> how often the offline model let this key in."""
    model = system.openai_url.removesuffix("/v1")
    listed = httpx2.get(f"{model}/control/keys", trust_env=False).json()
    return {one["path"]: one["times"] for one in listed if one["key"] == key}
