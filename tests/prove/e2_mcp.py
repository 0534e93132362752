"""E2: over MCP nobody reaches another tenant, no session is anybody's, and nothing is cheaper than over REST.

Against a running server: every tool with every id that it takes as another tenant's, byte for byte the answer
for an id that nobody has; every tool under every single scope; ids of sessions; pages of other sites; the
very next request after a revocation; every tool that writes beside its REST twin, counted at the service that
both must call and compared by the rows that they leave; and one rate limit under both doors, in random order.

    python -m tests.prove.e2_mcp [--full]
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from tenex.engines.bootstrap import ensure_environment
from tests.prove.dial_rig import database, main

if TYPE_CHECKING:
    import httpx2

    from tests.api.world import Tenant

_LIMIT = 12
_ORIGINS = (
    "https://evil.example", "http://127.0.0.1.evil.example", "http://localhost", "http://[::1]:8000", "null",
    "file://", "", "http://127.0.0.1:8000@evil.example", "chrome-extension://abc", "HTTPS://EVIL.EXAMPLE:443",
)  # fmt: skip


@dataclass(frozen=True)
class Size:
    rounds: int
    """Of each thing that is not a matrix."""


QUICK, FULL = Size(rounds=5), Size(rounds=100)


@dataclass
class Proof:
    """What was tried and what went wrong, by kind."""

    trials: Counter[str] = field(default_factory=Counter)
    violations: Counter[str] = field(default_factory=Counter)

    def check(self, kind: str, holds: bool, what: object = "") -> None:
        self.trials[kind] += 1
        if not holds:
            self.violations[kind] += 1
            print(f"E2: {kind}: {what}", file=sys.stderr)


def prove(full: bool) -> dict[str, Any]:
    """Run it on a database of its own; the line to print."""
    os.environ |= {
        "DEBUG": "1",
        "LOG_LEVEL": "ERROR",
        "DATABASE_POOL_SIZE": "0",
        "RATE_LIMIT_PER_MINUTE": "100000",
        "OPENAI_API_KEY": "sk-prove",
        "DJANGO_SETTINGS_MODULE": "tenex.settings",
    }
    ensure_environment(throwaway=True)
    size, proof = FULL if full else QUICK, Proof()
    with database():
        from tests.api.live_server import serve
        from tests.api.world import make

        with serve() as base:
            own, other = make("own", 0), make("other", 1)
            _tenants(proof, base, own, other)
            _scopes(proof, base, own)
            _sessions(proof, base, own, other, size)
            _origins(proof, base, own, size)
            _revoked(proof, base, own, size)
            _twins(proof, base, own, size)
            _limits(proof, base, own, size)
    return {
        "trials": sum(proof.trials.values()),
        "violations": sum(proof.violations.values()),
        "tried": dict(proof.trials),
        "violated": dict(proof.violations),
    }


# --- asking ---------------------------------------------------------------------------------------


def _ask(base: str, token: str, tool: str, arguments: dict[str, Any], **headers: str) -> httpx2.Response:
    from tests.mcp.servers import call, post

    return post(base, token, call(tool, **arguments), **headers)


def _failed(answer: httpx2.Response) -> str:
    """The `code` of a failed call; empty if it did not fail."""
    result = answer.json().get("result", {})
    return str(json.loads(result["content"][0]["text"])["code"]) if result.get("isError") else ""


def _rows() -> dict[str, int]:
    """Rows of every table of ours, but for who was seen when."""
    from django.apps import apps

    return {
        model._meta.label: model._default_manager.count()
        for model in apps.get_models()
        if model._meta.app_label in {"workspaces", "events", "webhooks", "crm", "voice"}
    }


# --- what is tried --------------------------------------------------------------------------------


def _tenants(proof: Proof, base: str, own: Tenant, other: Tenant) -> None:
    """With a key and with the token of a person."""
    from tenex.mcp.registry import catalog
    from tenex.workspaces.services import tokens
    from tests.mcp.matrix import arguments, cells, told_of

    for token in (own.api.token, tokens.issue(own.owner)):
        before = _rows()
        for cell in cells(own, other):
            theirs = _ask(base, token, cell.tool.name, cell.theirs)
            nobodys = _ask(base, token, cell.tool.name, cell.nobodys)
            same = theirs.content == nobodys.content and theirs.status_code == nobodys.status_code == 200
            proof.check(
                "another tenant's id",
                same and _failed(theirs) in {"not_found", "invalid_input"},
                (cell.tool.name, cell.argument, theirs.text[:300]),
            )
        proof.check("nothing written", _rows() == before)
        for tool in (one for one in catalog().tools.values() if one.read_only):
            answer = _ask(base, token, tool.name, arguments(tool, own))
            leaked = [value for value in told_of(other) if value in answer.text]
            proof.check("lists", not leaked and not _failed(answer), (tool.name, leaked))


def _scopes(proof: Proof, base: str, own: Tenant) -> None:
    """Each tool with a key of each single scope: allowed just where the scope covers the tool's."""
    from tenex.mcp.registry import catalog
    from tenex.workspaces.scopes import SCOPES, holds
    from tenex.workspaces.services import keys
    from tests.mcp.matrix import arguments

    for scope in SCOPES:
        _, token = keys.create(own.workspace, "narrow", [scope], "system:prove")
        for tool in catalog().tools.values():
            allowed = tool.scope is None or holds([scope], tool.scope)
            if allowed and not tool.read_only:
                continue  # what it does is tried below
            code = _failed(_ask(base, token, tool.name, arguments(tool, own)))
            proof.check("scope", code == ("" if allowed else "forbidden_scope"), (scope, tool.name, code))


def _sessions(proof: Proof, base: str, own: Tenant, other: Tenant, size: Size) -> None:
    """An id of a session, made up or seen at another key, changes nothing; none is ever given out."""
    for number in range(size.rounds):
        session = f"{random.Random(number).getrandbits(128):032x}"
        for tenant in (own, other):
            plain = _ask(base, tenant.api.token, "whoami", {})
            named = _ask(base, tenant.api.token, "whoami", {}, Mcp_Session_Id=session)
            proof.check(
                "session",
                plain.content == named.content
                and str(tenant.workspace.id) in named.text
                and "mcp-session-id" not in named.headers,
                named.text,
            )


def _origins(proof: Proof, base: str, own: Tenant, size: Size) -> None:
    """Pages of other sites get nothing, with a good key or without."""
    for origin in _ORIGINS * (1 + size.rounds // 20):
        for token in (own.api.token, ""):
            answer = _ask(base, token, "list_leads", {}, Origin=origin)
            refused = answer.status_code == 403 and answer.json()["code"] == "forbidden_origin"
            proof.check("origin", refused and "access-control-allow-origin" not in answer.headers, origin)


def _revoked(proof: Proof, base: str, own: Tenant, size: Size) -> None:
    """Revoked over MCP, refused by both doors on the very next request."""
    from tenex.workspaces.services import keys

    for _ in range(size.rounds):
        key, token = keys.create(own.workspace, "short", ["*"], "system:prove")
        _ask(base, token, "whoami", {})
        _ask(base, own.api.token, "revoke_api_key", {"prefix": key.prefix, "confirm": True})
        rest = _rest(base, token, "GET", "voice/calls")
        over_mcp = _ask(base, token, "whoami", {})
        proof.check("revoked", (over_mcp.status_code, over_mcp.content) == (401, rest.content), over_mcp.text)


def _twins(proof: Proof, base: str, own: Tenant, size: Size) -> None:
    """A tool that writes, and its REST twin: the same service, once, and the same rows and audit lines."""
    from tenex.mcp.registry import catalog
    from tenex.workspaces.models import AuditEntry
    from tenex.workspaces.services import keys
    from voice.services import batches

    batch = {"lead_ids": [str(own.lead.id)], "objective": "Book a demo"}
    to_revoke = iter(
        [keys.create(own.workspace, "k", ["*"], "system:prove")[0].prefix for _ in range(2 * size.rounds)]
    )

    def revoke(door: str) -> int:
        prefix = next(to_revoke)
        if door == "mcp":
            return _ask(
                base, own.api.token, "revoke_api_key", {"prefix": prefix, "confirm": True}
            ).status_code
        return _rest(base, own.api.token, "DELETE", f"admin/api-keys/{prefix}").status_code

    twins: dict[str, tuple[Any, str, Any]] = {
        "run_voice_qualifier": (batches, "create", ("voice/batches", batch)),
        "mint_api_key": (keys, "mint", ("admin/api-keys", {"name": "twin"})),
        "revoke_api_key": (keys, "revoke", revoke),
    }
    writing = {tool.name for tool in catalog().tools.values() if not tool.read_only}
    proof.check("every writing tool has a twin", writing == set(twins), writing ^ set(twins))
    for tool, (module, service, twin) in twins.items():
        for _ in range(size.rounds):
            left = {}
            for door in ("rest", "mcp"):
                before, audited = _rows(), AuditEntry.objects.count()
                with patch.object(module, service, wraps=getattr(module, service)) as called:
                    if callable(twin):
                        status = twin(door)
                    elif door == "rest":
                        status = _rest(base, own.api.token, "POST", *twin).status_code
                    else:
                        status = _ask(base, own.api.token, tool, twin[1]).status_code
                after = _rows()
                lines = list(AuditEntry.objects.order_by("created_at").values_list("action", "actor"))[
                    audited:
                ]
                grown = {
                    label: after[label] - before[label] for label in after if after[label] != before[label]
                }
                left[door] = (called.call_count, grown, lines, status < 300)
            good = left["mcp"] == left["rest"] and left["mcp"][0] == 1 and left["mcp"][3]
            proof.check("twin", good, (tool, left))


def _rest(base: str, token: str, method: str, path: str, body: Any = None) -> httpx2.Response:
    from tests.mcp.servers import HTTP

    headers = {"Authorization": f"Bearer {token}"}
    return HTTP.request(method, f"{base}/api/v1/{path}", json=body, headers=headers)


def _limits(proof: Proof, base: str, own: Tenant, size: Size) -> None:
    """However requests are spread over the two doors: as many pass as the limit says, then none by either."""
    from django.test import override_settings

    from tenex.workspaces.services import keys

    with ExitStack() as stack:
        stack.enter_context(override_settings(RATE_LIMIT_PER_MINUTE=_LIMIT))
        for number in range(size.rounds):
            dice = random.Random(number)
            _, token = keys.create(own.workspace, "limited", ["*"], "system:prove")

            def ask(door: str, token: str = token) -> httpx2.Response:
                if door == "mcp":
                    return _ask(base, token, "whoami", {})
                return _rest(base, token, "GET", "voice/settings")

            passed = [ask(dice.choice(("mcp", "rest"))).status_code for _ in range(_LIMIT)]
            over = [ask(door) for door in ("mcp", "rest", "mcp")]
            proof.check(
                "one limit",
                passed == [200] * _LIMIT
                and all(one.status_code == 429 and one.json()["error"] == "rate_limited" for one in over)
                and all("retry-after" in one.headers for one in over),
                (passed, [one.status_code for one in over]),
            )


if __name__ == "__main__":
    main("E2", prove)
