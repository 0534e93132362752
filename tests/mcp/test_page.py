"""docs/mcp.md states what the code has."""

import re

from mcp_types.version import KNOWN_PROTOCOL_VERSIONS

from tenex.mcp import door
from tenex.mcp.registry import catalog
from tests.rig.process import PROJECT

PAGE = (PROJECT / "docs" / "mcp.md").read_text(encoding="utf-8")


def test_the_table_of_tools_is_the_registry() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \| ([^|]*) \|", PAGE, re.MULTILINE)
    documented = [
        (
            name,
            None if scope == "none" else scope.strip("`"),
            re.findall(r"(?<!\*)`(\w+)`", given),
            re.findall(r"\*`(\w+)`", given),
        )
        for name, scope, given in rows
    ]
    registered = []
    for tool in catalog().tools.values():
        fields = tool.arguments().fields
        order = sorted(fields, key=lambda name: name in {"limit", "cursor"})  # the table has them last
        required = [name for name in order if fields[name].required]
        registered.append((tool.name, tool.scope, required, [n for n in order if not fields[n].required]))
    assert documented == registered


def test_the_page_names_prompts_revisions_limits_and_what_is_fenced() -> None:
    prompts = re.search(r"^Prompts: (.*)\. They", PAGE, re.MULTILINE)
    assert prompts
    assert re.findall(r"`(\w+)`", prompts[1]) == list(catalog().prompts)
    for version in KNOWN_PROTOCOL_VERSIONS:
        assert f"`{version}`" in PAGE
    assert f"works on {door.MAX_IN_FLIGHT} MCP requests at a time, each for {door.DEADLINE_S:.0f} s" in PAGE
    fenced = re.search(r"\(all of ((?:`\w+`[,\s]*)+)\)", PAGE)
    assert fenced
    untrusted = {tool.name for tool in catalog().tools.values() if tool.untrusted}
    assert set(re.findall(r"`(\w+)`", fenced[1])) == untrusted
