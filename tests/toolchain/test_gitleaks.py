"""The rule that we give to scanners of code finds our keys and leaves other text alone."""

import re
import secrets
import tomllib

import pytest

from tenex.workspaces.services import keys
from tests.prove.d7_key_form import RULES, found_by_scanner

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def made() -> str:
    return keys.text_of(*("".join(secrets.choice(_LETTERS) for _ in range(n)) for n in (8, 43)))


@pytest.mark.parametrize(
    "around", ["{}", 'key = "{}"', "X={};", "https://x.example/?k={}&b=1", "Bearer {}\n"]
)
def test_a_key_in_code_is_found(around: str) -> None:
    for _ in range(200):
        key = made()
        assert found_by_scanner(around.format(key)) == [key]


@pytest.mark.parametrize(
    "text",
    [
        "tnx_<prefix>_<secret>",
        "tnx_9gLa9WLN_…",
        "tnx_" + "a" * 8 + "_" + "a" * 49,
        "x" + "tnx_abcdefgh_" + "b1" * 30,
        "tnx_abcdefgh_" + "9e0c9c590d1b2dd52ed0",
        "a320f628bc28bde943a94aebe5984cfc" * 2 + "1966ed55962700e6",
    ],
)
def test_other_text_is_not(text: str) -> None:
    assert found_by_scanner(text) == []


def test_our_own_tree_has_none() -> None:
    root = RULES.parents[1]
    for top in ("tenex", "crm", "voice", "tests", "docs", "deploy"):
        for path in (root / top).rglob("*"):
            if path.is_file() and path.suffix in (".py", ".md", ".json", ".toml", ".example", ".yaml"):
                assert found_by_scanner(path.read_text(encoding="utf-8")) == [], path


def test_the_rule_is_one_that_gitleaks_takes() -> None:
    """Its patterns are RE2: no look-around, no back references."""
    (rule,) = tomllib.loads(RULES.read_text(encoding="utf-8"))["rules"]
    assert {"id", "description", "regex", "keywords"} <= set(rule)
    assert not re.search(r"\(\?[=!<]|\\[1-9]", rule["regex"])
    assert all(word == word.lower() for word in rule["keywords"])
