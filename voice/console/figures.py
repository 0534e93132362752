"""A figure on a page: a drawing, the same numbers as a table, and as a file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from django.http import HttpResponse
from django.utils.safestring import SafeString

from tenex.pages.templatetags.ui import usd as dollars
from tenex.rest import csv_stream

__all__ = ["FEW", "Cell", "Figure", "Line", "as_csv", "dollars", "percent", "rate"]

FEW: Final = 10
"""A rate of fewer calls than this says little, and is marked."""


@dataclass(frozen=True, slots=True)
class Cell:
    """`raw` is what a file has; `text` what a page shows; `few`: too few calls to lean on."""

    text: str
    raw: object = None
    few: bool = False
    href: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table: what it is about, the calls behind it, its cells."""

    name: str
    cells: Sequence[Cell]
    href: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """`key` names it in addresses; `wide` ones take the whole width."""

    key: str
    title: str
    note: str
    drawing: SafeString
    heads: Sequence[str]
    lines: Sequence[Line]
    legend: SafeString = field(default_factory=SafeString)
    first_head: str = "When"
    wide: bool = False
    empty: bool = False


def as_csv(figure: Figure, *, name: str) -> HttpResponse:
    """The table of a figure as a file."""
    table: list[Sequence[object]] = [(figure.first_head, *figure.heads)]
    table += [
        (line.name, *(cell.text if cell.raw is None else cell.raw for cell in line.cells))
        for line in figure.lines
    ]
    answer = HttpResponse(csv_stream.lines(table), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Cache-Control"] = "no-store"
    return answer


def rate(part: int, whole: int, *, href: str = "") -> Cell:
    """A part of a whole, with both beside it."""
    if not whole:
        return Cell("–", "", href=href)
    return Cell(f"{percent(part / whole)} of {whole:,}", round(part / whole, 6), few=whole < FEW, href=href)


def percent(value: float) -> str:
    return f"{value * 100:.1f} %" if 0 < value < 0.1 else f"{value * 100:.0f} %"
