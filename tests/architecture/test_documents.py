"""The pages for operators and integrators name what the code has: settings, codes, line and event types.

Read from the source by its syntax tree, so nothing has to run and no service is needed.
"""

import ast
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenex.api import event_stream
from tenex.rest import streams
from tenex.webhooks import signing
from tenex.webhooks.catalogue import EVENT_TYPES
from voice.api import stream as call_stream
from voice.rehearsal import scenario

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "deploy" / "README.md", *sorted(DOCS.glob("*.md"))]
REHEARSAL = ROOT / "voice" / "rehearsal"
# Read by a library, or by the command line tools, not through tenex.env.
OF_LIBRARIES = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "FORWARDED_ALLOW_IPS"}
# Not for people: set by ourselves for our children, or Django's own.
INTERNAL = {"DJANGO_SETTINGS_MODULE", "TENEX_ENGINES"}
READERS = {"text", "flag", "integer", "number", "items", "choice", "base_url", "origins", "prices", "keys"}


def _sources(*tops: str) -> Iterator[tuple[Path, ast.Module]]:
    for top in tops:
        for path in sorted((ROOT / top).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path, ast.parse(path.read_text(encoding="utf-8"))


APPLICATION = [
    (path, tree) for path, tree in _sources("tenex", "crm", "voice") if not path.is_relative_to(REHEARSAL)
]


def _calls() -> Iterator[ast.Call]:
    for _, tree in APPLICATION:
        yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _name(node: ast.expr) -> str:
    """The last name of `a.b.c(…)` and `c(…)`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _keyword(call: ast.Call, name: str) -> str | None:
    return next((_text(given.value) for given in call.keywords if given.arg == name), None)


def _first_cells(page: Path, section: str | None = None) -> set[str]:
    """Everything in backquotes in the first column of the tables of a page, or of one section of it."""
    text = page.read_text(encoding="utf-8")
    if section is not None:
        text = text.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    cells = re.findall(r"^\| ([^|]*) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


# --- settings --------------------------------------------------------------------------------------


def _variables_read() -> set[str]:
    found: set[str] = set()
    for call in _calls():
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        first = _text(call.args[0]) if call.args else None
        through_env = _name(call.func) in READERS and isinstance(owner, ast.Name) and owner.id == "env"
        by_hand = _name(call.func) == "get" and owner is not None and _name(owner) == "environ"
        if first is not None and (through_env or by_hand):
            found.add(first)
    for _, tree in APPLICATION:  # names that are kept in constants: ACCOUNT_VARIABLE = "…"
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and _name(node.targets[0]).endswith("_VARIABLE"):
                found.add(_text(node.value) or "")
    return found


def test_every_variable_that_is_read_has_a_row_in_the_readme_and_no_row_is_left_over() -> None:
    read = _variables_read()
    assert {"SECRET_KEY", "PORT", "TENEX_POSTGRES_ACCOUNT", "DEMO_EXIT"} <= read
    documented = _first_cells(ROOT / "README.md", "Settings")
    assert documented - OF_LIBRARIES == read - INTERNAL


# --- errors ----------------------------------------------------------------------------------------


def _error_codes() -> set[str]:
    """`code = "…"` of every child of TenexError, and every explicit `code="…"`."""
    bases: dict[str, set[str]] = {}
    codes: dict[str, set[str]] = {}
    for _, tree in [*APPLICATION, *_sources("voice/rehearsal")]:
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                bases.setdefault(node.name, set()).update(map(_name, node.bases))
                for line in node.body:
                    if isinstance(line, ast.Assign) and _name(line.targets[0]) == "code":
                        codes.setdefault(node.name, set()).add(_text(line.value) or "")
    errors = {"TenexError"}
    while more := {name for name, parents in bases.items() if parents & errors} - errors:
        errors |= more
    assert len(errors) > 20
    found = set().union(*(codes.get(name, set()) for name in errors - {"Refusal"}))
    found |= {code for call in _calls() if (code := _keyword(call, "code")) is not None}
    return {code for code in found if code}


def test_every_error_code_has_a_row() -> None:
    found = _error_codes()
    assert {"call_over", "carrier_ambiguous", "forbidden_scope", "invalid_scenario"} <= found
    assert found - _first_cells(DOCS / "errors.md") == set()


def test_codes_that_are_given_without_an_exception_have_a_row() -> None:
    """By the handlers of the API, by tools, and for leads that are not called."""
    makers = {"_plain_json": 2, "_refuse": 2, "_failure": 0, "_BadCall": 0, "_error": 0, "Refuse": 0}
    found = set()
    for call in _calls():
        place = makers.get(_name(call.func))
        if place is not None and len(call.args) > place and (code := _text(call.args[place])):
            found.add(code)
        if _name(call.func) == "Rejection":
            found.add(_text(call.args[1]) or "suppressed")
    assert {"timeout", "archived", "range_not_satisfiable", "duplicate"} <= found
    assert found - _first_cells(DOCS / "errors.md") == set()


def test_every_type_of_a_422_has_a_row() -> None:
    found = {kind for call in _calls() if (kind := _keyword(call, "type_")) is not None}
    assert "slot_passed" in found
    assert found - _first_cells(DOCS / "errors.md") == set()


# --- what integrators hear -------------------------------------------------------------------------


def _announced() -> set[str]:
    """Types that `voice.services.calls` both writes to the journal and records as events."""
    return {
        kind
        for call in _calls()
        if _name(call.func) == "_announce" and len(call.args) > 1 and (kind := _text(call.args[1]))
    }


def test_every_type_of_a_journal_line_is_documented_and_no_other() -> None:
    makers = {"Line", "Journal", "journal"}
    written = {
        kind
        for call in _calls()
        if _name(call.func) in makers and call.args and (kind := _text(call.args[0])) is not None
    } | _announced()
    assert {"turn.updated", "tool.finished", "call.ended", "call.finalized", "model.usage"} <= written
    assert _first_cells(DOCS / "live_stream.md") - {"id", "seq", "event", "type", "at_ms", "data"} == written
    text = (DOCS / "live_stream.md").read_text(encoding="utf-8")
    for kind in (call_stream.SNAPSHOT, event_stream.OPENED, streams.POSITION):
        assert f"`{kind}`" in text


def test_every_type_of_an_event_is_documented_and_no_other() -> None:
    recorded = {
        kind
        for call in _calls()
        if _name(call.func) == "record" and (kind := _keyword(call, "type")) is not None
    } | _announced()
    assert recorded == set(EVENT_TYPES)
    assert _first_cells(DOCS / "webhooks.md", "Event types") == recorded


def test_every_log_line_that_wants_somebody_is_in_the_runbook() -> None:
    levels = {"warning", "error", "exception"}
    found = {
        text
        for call in _calls()
        if _name(call.func) in levels
        and isinstance(call.func, ast.Attribute)
        and _name(call.func.value) == "log"
        and (text := _text(call.args[0])) is not None
    }
    assert len(found) > 30
    assert found - _first_cells(DOCS / "runbook.md", "Log lines") == set()


# --- the pages themselves --------------------------------------------------------------------------


def _anchor(heading: str) -> str:
    """GitHub's name of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), f"{page.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in set(map(_anchor, headings)), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_name_no_place_of_one_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"(?<![\w$])/(?:home|root|Users|tmp|work|mnt)/\S*", text) == []


def test_the_snippet_for_receivers_accepts_our_requests_and_no_others() -> None:
    code = re.search(r"```python\n(.*?)```", (DOCS / "webhooks.md").read_text(encoding="utf-8"), re.DOTALL)
    assert code
    body, secret = b'{"id":"evt_1"}', signing.new_secret()
    check = f"""
{code[1]}
import sys
sys.path.insert(0, {str(ROOT)!r})
from tenex.webhooks import signing
old = int(time.time()) - 3600
now = int(time.time())
for at, body, ok in ((now, {body!r}, True), (now, b"{{}}", False), (old, {body!r}, False)):
    headers = signing.headers(workspace_secrets=["new", "old"], message_id="evt_1", timestamp_s=at,
                              secrets_=[{signing.new_secret()!r}, {secret!r}], body={body!r})
    assert verify_standard({secret!r}, headers, body) is ok, (at, body)
    for name in ("new", "old"):
        assert verify_body(name, headers, body) is (body == {body!r})
assert not verify_body("other", headers, {body!r})
"""
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_the_snippet_for_node_accepts_our_requests_and_no_others() -> None:
    code = re.search(r"```js\n(.*?)```", (DOCS / "webhooks.md").read_text(encoding="utf-8"), re.DOTALL)
    assert code
    body, secret, now = '{"id":"evt_1","name":"Zoë"}', signing.new_secret(), int(time.time())
    cases = [
        (
            signing.headers(
                workspace_secrets=["new", "old"],
                secrets_=[signing.new_secret(), secret],
                message_id="evt_1",
                timestamp_s=at,
                body=body.encode(),
            ),
            sent,
            [fits, same, same, False],
        )
        for at, sent, fits, same in (
            (now, body, True, True),
            (now, "{}", False, False),
            (now - 3600, body, False, True),
        )
    ]
    check = f"""
for (const [headers, sent, expected] of {json.dumps(cases)}) {{
  const body = Buffer.from(sent);
  const found = [verifyStandard({secret!r}, headers, body),
                 ...["new", "old", "other"].map((name) => verifyBody(name, headers, body))];
  if (JSON.stringify(found) !== JSON.stringify(expected)) throw new Error(JSON.stringify([found, expected]));
}}
"""
    done = subprocess.run(["node", "-e", code[1] + check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_scenario_of_the_rehearsal_page_is_one_and_names_every_key() -> None:
    text = (DOCS / "rehearsal.md").read_text(encoding="utf-8")
    example = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert example
    assert scenario.parse(example[1]).script
    parts = (scenario.Scenario, scenario.CallPart, scenario.CallerStep, scenario.Expectation)
    keys = {field.alias or name for part in parts for name, field in part.model_fields.items()} - {"role"}
    values = {*scenario.FaultKind, *scenario.Answer}
    assert {name for name in keys | values if not re.search(rf"`[^`]*\b{re.escape(name)}\b", text)} == set()
