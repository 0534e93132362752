"""What a flow sees: our API as an integrator, the carrier's truth, a webhook receiver."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx2

from tenex.demo.client import Api
from tenex.demo.receiver import Received, Receiver
from tenex.lib import daytime
from tests.rig import System

V = "/api/v1/voice"
CRM = "/api/v1/crm"


class World:
    """One running system with the demo workspace in it."""

    def __init__(self, system: System, *, password: str = "") -> None:
        self.system = system
        self.receiver = Receiver()
        arguments = ["seed_demo", "--json", "--webhook-url", self.receiver.url, "--password", password]
        seeded = json.loads(system.manage(*arguments).splitlines()[-1])
        self.receiver.trust(
            subscription_secret=seeded["webhook"]["secret"],
            workspace_secret=seeded["webhook"]["workspace_secret"],
        )
        self.key: str = seeded["api_key"]
        self.email: str = seeded["email"]
        self.phones: dict[str, str] = seeded["phones"]
        """Last four digits -> number of a lead: where it is day."""
        self.api = Api(system.base_url, self.key)

    def close(self) -> None:
        self.api.close()
        self.receiver.close()

    # --- the phone network

    def carrier(self, method: str, path: str, body: Any = None) -> Any:
        answer = httpx2.request(
            method, f"{self.system.carrier_url}/control/{path}", json=body, timeout=30, trust_env=False
        )
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def call_in(self, scenario: str | dict[str, Any]) -> str:
        """Let a person call us, by the scenario of that name or this one; the id of our call."""
        known = {call["id"] for call in self.calls()}
        sid = self.carrier("POST", "calls", {"scenario": scenario})["sid"]

        def appeared() -> str | None:
            return next((str(c["id"]) for c in self.calls(direction="inbound") if c["id"] not in known), None)

        return self.until(appeared, f"no call of {sid} appeared")

    def answers(self, number: str, scenario: dict[str, Any]) -> None:
        """What happens when the app dials that number."""
        self.carrier("POST", "scenarios", {"number": number, "scenario": scenario})

    def dials_to(self, number: str) -> int:
        return sum(
            1
            for call in self.carrier("GET", f"calls?number=%2B{number[1:]}")["calls"]
            if call["direction"] == "outbound-api"
        )

    # --- our side

    def calls(self, **filters: str) -> list[dict[str, Any]]:
        return list(self.api.get(f"{V}/calls", **filters)["items"])

    def lead(self, phone: str) -> dict[str, Any]:
        return dict(self.api.get(f"{CRM}/leads", phone=phone)["items"][0])

    def new_lead(self, phone: str, **fields: Any) -> str:
        """Somebody who has agreed to be called."""
        made = self.api.post(f"{CRM}/leads", {"first_name": "Test", "phone": phone, **fields})
        agreed = {"purpose": "marketing", "source": "form", "given_at": "2026-01-01T00:00:00Z"}
        self.api.post(f"{CRM}/leads/{made['id']}/consents", agreed)
        return str(made["id"])

    @staticmethod
    def number(last: str) -> str:
        """A number of nobody's, where it is day."""
        return daytime.place(datetime.now(UTC)).number(last)

    def finished(self, call_id: str, timeout_s: float = 90) -> dict[str, Any]:
        """The call once it is finalized."""

        def over() -> dict[str, Any] | None:
            call = self.api.get(f"{V}/calls/{call_id}")
            return call if call["status"] == "finalized" else None

        return self.until(over, f"call {call_id} was not finalized", timeout_s)

    def transcript(self, call_id: str) -> list[dict[str, Any]]:
        items = self.api.get(f"{V}/calls/{call_id}/transcript")["items"]
        return [item for item in items if item.get("speaker") in {"caller", "agent"}]

    def tools_of(self, call_id: str) -> list[str]:
        items = self.api.get(f"{V}/calls/{call_id}/transcript")["items"]
        return [item["name"] for item in items if item.get("name")]

    def batch(self, leads: list[str], **fields: Any) -> dict[str, Any]:
        return dict(self.api.post(f"{V}/batches", {"lead_ids": leads, "objective": "Qualify them", **fields}))

    def completed(self, batch_id: str, timeout_s: float = 120) -> dict[str, Any]:
        def over() -> dict[str, Any] | None:
            batch = self.api.get(f"{V}/batches/{batch_id}")
            return batch if batch["status"] == "completed" else None

        return self.until(over, f"batch {batch_id} was not completed", timeout_s)

    def delivered(self, call_id: str, type_: str) -> Received:
        def found() -> Received | None:
            return next((entry for entry in self.receiver.of_call(call_id) if entry.type == type_), None)

        return self.until(found, f"{type_} of {call_id} was not delivered", 30)

    @staticmethod
    def until[T](look: Callable[[], T | None], failure: str, timeout_s: float = 30) -> T:
        deadline = time.monotonic() + timeout_s
        while (found := look()) is None:
            assert time.monotonic() < deadline, failure
            time.sleep(0.1)
        return found
