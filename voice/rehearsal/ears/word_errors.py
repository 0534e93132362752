"""Word error rate: how many words were changed, lost or added, over the words that were said."""

import re
from dataclasses import dataclass

_NUMBERS = (
    *(
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
    ),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def words(text: str) -> list[str]:
    """Small letters, no punctuation, numbers as words: `$80,000` is `eighty thousand dollars`."""
    text = text.lower().replace("’", "'")
    text = re.sub(r"\$\s*([\d,]+(?:\.\d+)?)(\s+(?:thousand|million))?", r"\1\2 dollars", text)
    text = text.replace("%", " percent ")
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    text = re.sub(r"\d+", lambda found: f" {_spell(int(found[0]))} ", text)
    text = re.sub(r"\b(hundred|thousand)\s+and\b", r"\1", text)
    return re.findall(r"[a-z]+", text.replace("'", ""))


def _spell(number: int) -> str:
    for size, name in ((1_000_000, "million"), (1_000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = f" {_spell(number % size)}" if number % size else ""
            return f"{_spell(number // size)} {name}{rest}"
    if number < len(_NUMBERS):
        return _NUMBERS[number]
    rest = f" {_NUMBERS[number % 10]}" if number % 10 else ""
    return _TENS[number // 10 - 2] + rest


@dataclass(frozen=True, slots=True)
class Errors:
    count: int
    words: int
    """That were said."""

    @property
    def rate(self) -> float:
        return self.count / max(1, self.words)

    def __add__(self, other: "Errors") -> "Errors":
        return Errors(self.count + other.count, self.words + other.words)


def compare(said: str, heard: str) -> Errors:
    """Edit distance in words."""
    reference, found = words(said), words(heard)
    row = list(range(len(found) + 1))
    for at, word in enumerate(reference, 1):
        before, row[0] = row[0], at
        for index, other in enumerate(found, 1):
            before, row[index] = (
                row[index],
                min(row[index] + 1, row[index - 1] + 1, before + (word != other)),
            )
    return Errors(row[-1], len(reference))
