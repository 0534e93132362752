"""Pages that state facts of the code are compared with it."""

import re
from pathlib import Path

from voice.services.calls import MOVES

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_table_of_moves_is_the_codes_table() -> None:
    text = (DOCS / "architecture.md").read_text()
    rows = re.findall(r"^\| (\w+) \| ([\w, ]+) \|$", text, re.MULTILINE)
    documented = {to: tuple(source.strip() for source in sources.split(",")) for to, sources in rows}
    assert {str(to): tuple(map(str, sources)) for to, sources in MOVES.items()} == {
        to: documented.get(to) for to in map(str, MOVES)
    }
