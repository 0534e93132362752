"""D7: what is no key is known without the database, what is one is found: by us, and by scanners of code.

A million random texts of the form of a key, and all single typing errors of some keys: none is a key. Ten
thousand keys of ours: all are, and the rule for gitleaks (deploy/gitleaks.toml) finds all of them in code.
"""

import math
import os
import random
import re
import secrets
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

from tests.prove.dial_rig import main

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RULES = Path(__file__).resolve().parents[2] / "deploy" / "gitleaks.toml"
_LINES = (
    'API_KEY = "{}"',
    "Authorization: Bearer {}",
    "key: {}\n",
    "curl -H 'X: {}' https://example.com",
    "{}",
)


def prove(full: bool) -> dict[str, Any]:
    randoms, owns = (1_000_000, 10_000) if full else (300_000, 3_000)
    os.environ.setdefault("DEBUG", "1")
    os.environ.setdefault("DATABASE_URL", "postgres://nobody@127.0.0.1:9/none")  # nothing here asks it
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tenex.settings")
    import django

    django.setup()
    from tenex.workspaces.services import keys

    draw = random.Random(secrets.randbits(64))
    broken: Counter[str] = Counter()
    for _ in range(randoms):
        body = "".join(draw.choices(_ALPHABET, k=57))
        broken["random_text_is_a_key"] += keys.parse(f"tnx_{body[:8]}_{body[8:]}") is not None
    own = [keys.text_of(_random(8), _random(43)) for _ in range(owns)]
    typos = 0
    for text in own[:200]:
        for index in range(4, len(text)):
            other = draw.choice(_ALPHABET.replace(text[index], "") if text[index] != "_" else "-x")
            typos += 1
            broken["typing_error_is_a_key"] += (
                keys.parse(text[:index] + other + text[index + 1 :]) is not None
            )
    for text in own:
        broken["own_key_is_none"] += keys.parse(text) is None
        broken["scanner_misses_key"] += text not in found_by_scanner(draw.choice(_LINES).format(text))
    return {
        "trials": randoms + typos + owns,
        "violations": sum(broken.values()),
        **+broken,
        "random_texts": randoms,
        "typing_errors": typos,
        "own_keys": owns,
        "expected_false_positives": round(randoms / 2**32, 6),
    }


def found_by_scanner(text: str) -> list[str]:
    """What gitleaks reports by our rule: keyword, pattern, entropy of the secret."""
    (rule,) = tomllib.loads(RULES.read_text(encoding="utf-8"))["rules"]
    if not any(word in text.lower() for word in rule["keywords"]):
        return []
    found = [match.group(rule["secretGroup"]) for match in re.finditer(rule["regex"], text)]
    return [one for one in found if _entropy(one) > rule["entropy"]]


def _entropy(text: str) -> float:
    """Shannon's, in bits a character, as gitleaks computes it."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


if __name__ == "__main__":
    main("D7", prove)
