"""Questions and passages for `bench.retrieval`, out of public text that ships with a package of ours.

botocore (Apache-2.0) describes each operation of a service twice: the operation's documentation, and beside
it worked examples, written for another place by other hands, each with a title and a description of what
somebody wants ("To add a user to a group", "The following command …"). The documentation is the passage, the
example's words are the question, and the passage of the operation that the example is of is the answer.

Fair, because neither was made from the other for this purpose, and nobody here chose pairs: all operations
of the services below are passages, those without an example too. Left out are questions of fewer than four
words, those that stand word for word (a run of five words) in their passage, a second question of an
operation, and operations whose documentation is shorter than a sentence or is the same as another's. Half of
the questions, by a hash of their words, are for choosing weights, the other half for reporting.
"""

import gzip
import hashlib
import html
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crm.knowledge import blocks, chunking

SERVICES = (
    "autoscaling", "batch", "devicefarm", "ecr", "ecs", "elasticbeanstalk", "fsx", "glacier", "iam", "kms",
    "lambda", "organizations", "polly", "secretsmanager", "ses", "storagegateway",
)  # fmt: skip
_RUN = 5
_FEWEST_WORDS = 4
_FEWEST_CHARS = 80
_WORD = re.compile(r"[a-z0-9]+")
_LEAD_IN = re.compile(
    r"^(?:the following (?:[\w-]+ )?(?:example|command|code|operation)s?|this example|the example"
    r"|this (?:operation|command))"
    r"(?: (?:shows?|demonstrates|illustrates) how)?(?: to)?\s+",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Question:
    text: str
    answers: set[int] = field(default_factory=set)
    """Places of its passages: those that the operation's documentation was cut into."""
    develop: bool = False


@dataclass(slots=True)
class Set:
    """Passages are (title of their document, text)."""

    passages: list[tuple[str, str]] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    overlap: float = 0.0
    """Share of a question's words that stand in its passage, on average."""


def build() -> Set:
    found = Set()
    seen: set[str] = set()
    shares: list[float] = []
    for service in SERVICES:
        model, examples = _service(service)
        title = str(model["metadata"].get("serviceFullName", service))
        for name, operation in sorted(model["operations"].items()):
            text = plain(str(operation.get("documentation", "")))
            if len(text) < _FEWEST_CHARS or text in seen:
                continue
            seen.add(text)
            cut = chunking.passages([blocks.Block(text)])
            places = set(range(len(found.passages), len(found.passages) + len(cut)))
            found.passages += [(title, one.text) for one in cut]
            question = _question(examples.get(name, []), text)
            if question:
                develop = hashlib.sha256(question.encode()).digest()[0] % 2 == 0
                found.questions.append(Question(question, places, develop))
                asked, told = set(_words(question)), set(_words(text))
                shares.append(len(asked & told) / len(asked))
    found.overlap = sum(shares) / max(1, len(shares))
    return found


def _service(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    import botocore

    versions = sorted((Path(botocore.__file__).parent / "data" / name).iterdir())
    folder = next(one for one in reversed(versions) if (one / "examples-1.json").exists())
    model = json.loads(gzip.decompress((folder / "service-2.json.gz").read_bytes()))
    examples = json.loads((folder / "examples-1.json").read_text(encoding="utf-8"))
    return model, examples.get("examples", {})


def plain(documentation: str) -> str:
    """Paragraphs of the documentation's HTML."""
    text = re.sub(r"</(?:p|li|note|important|dt|dd)>", "\n\n", documentation)
    text = html.unescape(re.sub(r"<[^>]+>", " ", text))
    paragraphs = (" ".join(one.split()) for one in text.split("\n\n"))
    return "\n\n".join(one for one in paragraphs if one)


def _question(examples: list[dict[str, Any]], passage: str) -> str:
    """The first example's own words for what it is about; empty if it has none of use."""
    told = " ".join(_words(passage))
    for example in examples:
        for text in (str(example.get("description", "")), str(example.get("title", ""))):
            wanted = _LEAD_IN.sub("", plain(text).split("\n")[0]).strip()
            first = re.split(r"(?<=[.:])\s", wanted)[0].rstrip(".:")
            words = _words(first)
            if len(words) < _FEWEST_WORDS or len(first) > 300:
                continue
            runs = (" ".join(words[at : at + _RUN]) for at in range(max(1, len(words) - _RUN + 1)))
            if not any(run in told for run in runs):
                return first
    return ""


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
