"""The version is stated twice; they must agree."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_changelog_opens_with_the_packages_version() -> None:
    found = re.search(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert found
    assert found[1] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
