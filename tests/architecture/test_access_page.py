"""The permission table of docs/access.md is what the code does: roles, scopes, and what each opens."""

import os
import re
from pathlib import Path

from tenex.workspaces.models import Role
from tenex.workspaces.scopes import ROLE_SCOPES, SCOPES, holds
from tests.api import matrix

PAGE = Path(__file__).resolve().parents[2] / "docs" / "access.md"
_MADE = re.compile(r"(<!-- made by:[^\n]*-->\n)(.*?)(<!-- /made -->)", re.DOTALL)


def table() -> str:
    opens: dict[str, list[str]] = {scope: [] for scope in SCOPES}
    for one in matrix.operations():
        for requirement in one.described["security"]:
            for scope in requirement.get("bearer", []):
                opens[scope].append(f"`{one.id}`")
    lines = [
        f"| scope | {' | '.join(Role)} | what it is for | operations |",
        "| --- " * (len(Role) + 3) + "|",
    ]
    for scope, meaning in SCOPES.items():
        may = ["yes" if holds(ROLE_SCOPES[role], scope) else "" for role in Role]
        lines.append(f"| `{scope}` | {' | '.join(may)} | {meaning} | {', '.join(sorted(opens[scope]))} |")
    return "\n".join(lines) + "\n"


def test_the_table_is_that_of_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    if os.environ.get("WRITE_DOCS"):
        text = _MADE.sub(lambda found: found[1] + table() + found[3], text)
        PAGE.write_text(text, encoding="utf-8")
    found = _MADE.search(text)
    assert found
    assert found[2] == table(), "WRITE_DOCS=1 makes it anew"


def test_every_role_has_scopes_and_every_scope_a_role() -> None:
    assert set(ROLE_SCOPES) == set(Role)
    assert all(any(holds(held, scope) for held in ROLE_SCOPES.values()) for scope in SCOPES)


def test_what_needs_no_scope_is_named() -> None:
    text = PAGE.read_text(encoding="utf-8")
    free = [one.id for one in matrix.operations() if one.described["security"] == [{"bearer": []}]]
    assert free
    assert [name for name in free if f"`{name}`" not in text] == []
