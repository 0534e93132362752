"""Reads are of one workspace by construction: doors hold no queries, selectors begin with the workspace."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOORS = [
    path
    for pattern in ("*/api/*.py", "*/console/*.py", "*/mcp.py", "*/mcp_*.py", "tenex/mcp/*.py")
    for path in sorted(ROOT.glob(pattern))
    if path.parts[len(ROOT.parts)] != "tests"
]
SELECTORS = sorted(path for path in ROOT.glob("*/selectors/*.py")) + sorted(
    path for path in ROOT.glob("*/*/selectors/*.py")
)

QUERIES_IN_DOORS = {
    "voice/api/media.py": "the signed link names the recording, and is the credential",
    "voice/api/stream.py": "the signed link names the call, and is the credential",
    "tenex/api/webhooks.py": "its rows are narrowed to the workspace in one place",
    "tenex/api/mcp.py": "keys of the caller's workspace",
    "crm/api/leads.py": "the do-not-call list, narrowed to the workspace",
    "crm/api/suppressions.py": "the do-not-call list, narrowed to the workspace",
}
"""Doors with a query of their own, and why that is safe."""

OF_ROWS_THAT_WERE_FOUND = {
    "voice/selectors/batches.py:counters": "ids of batches that the caller has read",
    "voice/selectors/calls.py:positions": "calls that readers were admitted to",
    "voice/selectors/calls.py:position": "a call that its reader was admitted to",
    "voice/selectors/calls.py:journal_after": "a call that its reader was admitted to",
    "voice/selectors/calls.py:matching": "narrows rows that are a workspace's already",
    "voice/selectors/live.py:positions": "workspaces whose members look at their live calls",
    "voice/selectors/journal.py:snapshot": "a call that its reader was admitted to",
    "crm/selectors/calendars.py:latest_of_call": "the call that is under way",
    "crm/selectors/calendars.py:meeting_of_call": "the call that is under way",
    "crm/selectors/leads.py:with_consents": "rows that are a workspace's already",
}
"""Selectors that begin with ids of what was found by a workspace before."""

PURE = {
    "plain",
    "compile_rules",
    "condition",
    "ids_named",
    "query",
    "words",
    "sums",
    "whole_days",
    "percentile_ms",
    "matching",
}
"""Functions that read no rows: conditions and expressions for rows that a workspace narrows."""


def _queries(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("objects", "_default_manager", "_base_manager"):
            yield node.lineno


def test_doors_hold_no_queries() -> None:
    assert len(DOORS) > 20
    found = {
        f"{name}:{line}"
        for path in DOORS
        if (name := str(path.relative_to(ROOT))) not in QUERIES_IN_DOORS
        for line in _queries(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == set(), "ask a selector, which begins with the workspace"


def _models() -> set[str]:
    import django.apps

    return {model.__name__ for model in django.apps.apps.get_models()}


def test_selectors_begin_with_the_workspace_or_with_a_row_that_was_found_by_it() -> None:
    models = _models()
    assert len(SELECTORS) > 5
    found = []
    for path in SELECTORS:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
                continue
            place = f"{path.relative_to(ROOT)}:{node.name}"
            first = node.args.args[0] if node.args.args else None
            kind = ast.unparse(first.annotation) if first is not None and first.annotation else ""
            by_workspace = first is not None and first.arg in ("workspace", "workspace_id")
            by_row = kind in models
            if not (by_workspace or by_row or place in OF_ROWS_THAT_WERE_FOUND or node.name in PURE):
                found.append(f"{place}({first.arg if first is not None else ''}: {kind})")
    assert found == []
