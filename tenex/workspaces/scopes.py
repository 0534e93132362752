"""What a credential may do. Pure: the closed list of scopes, what implies what, what a role holds."""

from collections.abc import Iterable
from typing import Final

ALL: Final = "*"

SCOPES: Final[dict[str, str]] = {
    "agents:read": "See agents, their versions and voice profiles",
    "agents:write": "Change agents and voice profiles",
    "batches:read": "See batches and their results",
    "batches:write": "Start and control batches",
    "calls:read": "See calls, transcripts, verdicts and live events",
    "calls:share": "Show a call to outsiders by a link that expires",
    "calls:write": "Place calls and steer live ones",
    "connectors:read": "See calendars and the meetings in them",
    "connectors:write": "Connect calendars, change them, book, move and cancel meetings",
    "credentials:admin": "Set, check and remove the workspace's own accounts and keys at providers",
    "keys:admin": "Mint, list and revoke API keys",
    "knowledge:read": "See documents and search them",
    "knowledge:write": "Change documents",
    "leads:read": "See leads, their timeline and the do-not-call list",
    "leads:write": "Change leads and the do-not-call list",
    "live:hangup": "Console: hang up a live call",
    "live:listen": "Console: listen to a live call",
    "live:mute": "Console: mute the agent of a live call",
    "live:say": "Console: let the agent say a sentence",
    "live:takeover": "Console: talk to the caller in the agent's place",
    "live:transfer": "Console: transfer a live call to a person",
    "live:whisper": "Console: give the agent an instruction that the caller does not hear",
    "numbers:read": "See phone numbers",
    "numbers:write": "Import, route and release phone numbers",
    "persons:admin": "See, export or erase everything that is known of a person",
    "recordings:read": "Listen to recordings",
    "recordings:write": "Delete recordings",
    "settings:read": "See the workspace's settings",
    "settings:write": "Change the workspace's settings",
    "users:read": "See the members of the workspace and open invitations",
    "users:write": "Invite members, change their roles, remove them",
    "verdicts:write": "Correct the verdicts of calls",
    "webhooks:read": "See webhook subscriptions and deliveries",
    "webhooks:write": "Change webhook subscriptions, replay deliveries",
}

_READS = frozenset(scope for scope in SCOPES if scope.endswith(":read"))

ROLE_SCOPES: Final[dict[str, frozenset[str]]] = {
    "owner": frozenset({ALL}),
    "admin": frozenset({ALL}),
    "operator": _READS
    | {"agents:write", "batches:write", "calls:share", "calls:write", "connectors:write", "knowledge:write"}
    | {"leads:write", "numbers:write", "verdicts:write", "webhooks:write"},
    "viewer": _READS,
}
"""Keys are the values of `workspaces.Role`."""

_OWNER: Final = "owner"


def may_manage(role: str, *, by_role: str | None, by_scopes: Iterable[str]) -> bool:
    """Whether somebody may give or take away `role`: nobody hands out more than they have.

    Owners are made and unmade by owners only, in person: a key has no role, whatever its scopes are.
    """
    if role == _OWNER and by_role != _OWNER:
        return False
    held = set(by_scopes)
    return all(holds(held, scope) for scope in ROLE_SCOPES[role])


def holds(held: Iterable[str], needed: str) -> bool:
    """Whether the scopes `held` cover `needed`. `x:write` includes `x:read`, `calls:write` every `live:…`.

    `*` is everything.
    """
    have = set(held)
    if ALL in have or needed in have:
        return True
    resource, _, verb = needed.partition(":")
    if resource == "live":  # who may steer calls may do so in each of these ways
        return "calls:write" in have
    return verb == "read" and f"{resource}:write" in have


def unknown(scopes: Iterable[str]) -> list[str]:
    """The members of `scopes` that do not exist."""
    return sorted(scope for scope in set(scopes) if scope != ALL and scope not in SCOPES)
