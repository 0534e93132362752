"""The main menu."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Item:
    """`key` is what a page calls itself; `scope` is what one needs to find it in the menu."""

    key: str
    label: str
    href: str
    icon: str
    scope: str


ITEMS: Final = (
    Item("live", "Live", "/console/", "live", "calls:read"),
    Item("calls", "Calls", "/console/calls", "phone", "calls:read"),
    Item("leads", "Leads", "/console/leads", "people", "leads:read"),
    Item("batches", "Batches", "/console/batches", "stack", "batches:read"),
    Item("agents", "Agents", "/console/agents", "agent", "agents:read"),
    Item("knowledge", "Knowledge", "/console/knowledge", "book", "knowledge:read"),
    Item("connectors", "Calendars", "/console/connectors", "calendar", "connectors:read"),
    Item("recordings", "Recordings", "/console/recordings", "listen", "settings:read"),
    Item("dashboard", "Dashboard", "/console/dashboard", "chart", "calls:read"),
    Item("credentials", "Accounts and keys", "/console/credentials", "key", "credentials:admin"),
)
