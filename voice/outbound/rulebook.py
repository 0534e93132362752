"""The legal hours and limits of countries and states, as data with their sources (`rules/*.yaml`). Pure.

A place has several laws, and all of them hold: the country's, its state's, and ours (`strict`), unless the
workspace chose the legal maximum. A file that makes no sense stops the process at its start, not a dial.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import holidays
import yaml
from holidays.registry import COUNTRIES
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tenex.lib import places, yaml_files
from voice.outbound.hours import DAY_S, Law, Limit, Span

FOLDER: Final = Path(__file__).parent / "rules"
ANYWHERE: Final = "*"
"""Of the rules for countries that have no file."""

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN: Final = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_EARLIEST_S, _LATEST_S = 5 * 3600, 23 * 3600
"""No law in the files calls at night; a file that does is wrong. It keeps hours off clock changes too."""


class RulesInvalid(Exception):
    """A rules file that cannot be used; the text says which and where."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Strict):
    law: Annotated[str, Field(min_length=3)]
    read_on: date
    checked: Literal["primary", "secondary", "own"]


class _Limit(_Strict):
    most: Annotated[int, Field(ge=1, le=100)]
    in_hours: Annotated[int, Field(ge=1, le=24 * 366)]


class _Part(_Strict):
    hours: dict[str, list[str]]
    attempts: list[_Limit] = []
    sources: Annotated[list[Source], Field(min_length=1)]
    notes: str = ""


class _File(_Strict):
    country: str
    name: str
    calendar: str
    law: _Part
    strict: _Part
    regions: dict[str, _Part] = {}
    notes: str = ""


class _Never(_Strict):
    pattern: str
    what: str
    source: Annotated[str, Field(min_length=3)]


@dataclass(frozen=True, slots=True)
class CountryRules:
    """What one file says."""

    code: str
    name: str
    law: Law
    strict: Law
    regions: Mapping[str, Law]
    sources: Mapping[str, tuple[Source, ...]]
    """By the name of the law."""


@dataclass(frozen=True)
class Rulebook:
    """All files. `version` names their content: decisions keep it."""

    version: str
    countries: Mapping[str, CountryRules]
    never_dial: tuple[tuple[re.Pattern[str], str], ...]

    def __hash__(self) -> int:
        return hash(self.version)

    @cached_property
    def anywhere(self) -> CountryRules:
        return self.countries[ANYWHERE]

    def laws(self, all_of: tuple[tuple[str, str], ...], *, strict: bool) -> tuple[Law, ...]:
        """What holds in any of some places (country, region), each law once.

        `strict` also where a country has states and none is known: the law of the narrowest one may be
        theirs.
        """
        return _laws(self, all_of, strict)

    def of_place(self, country: str, region: str, strict: bool) -> Iterator[Law]:
        """What holds in one place."""
        rules = self.countries.get(country)
        if rules is None:
            yield _named_calendar(self.anywhere.law, country)
            return
        yield rules.law
        own = rules.regions.get(region)
        if own is not None:
            yield own
        if strict or (rules.regions and not region):
            yield rules.strict


@lru_cache(maxsize=4096)
def _laws(book: Rulebook, all_of: tuple[tuple[str, str], ...], strict: bool) -> tuple[Law, ...]:
    every = (law for country, region in all_of for law in book.of_place(country, region, strict))
    return tuple(dict.fromkeys(every))


@cache
def standard() -> Rulebook:
    """The files that come with the code.

    Raises:
        RulesInvalid.
    """
    return load(FOLDER)


def load(folder: Path) -> Rulebook:
    """Read and check every file of a folder.

    Raises:
        RulesInvalid.
    """
    digest = hashlib.sha256()
    countries: dict[str, CountryRules] = {}
    never: list[tuple[re.Pattern[str], str]] = []
    for path in sorted(folder.glob("*.yaml")):
        text = path.read_bytes()
        digest.update(path.name.encode() + b"\0" + text)
        try:
            raw = yaml_files.read(text)
            if path.stem == "_never_dial":
                never = [(re.compile(one.pattern), one.what) for one in _parsed_never(raw)]
                continue
            rules = _country(_File.model_validate(raw))
            expected = ANYWHERE if path.stem == "_default" else path.stem.upper()
            if rules.code != expected:
                raise ValueError(f"country is {rules.code}, the file is of {expected}")
            countries[rules.code] = rules
        except (ValueError, ValidationError, yaml.YAMLError, re.error) as exc:
            raise RulesInvalid(f"{path.name}: {exc}") from exc
    if ANYWHERE not in countries or not never:
        raise RulesInvalid(f"{folder}: _default.yaml and _never_dial.yaml must be there")
    return Rulebook(digest.hexdigest()[:12], countries, tuple(never))


def _parsed_never(raw: Any) -> list[_Never]:
    if not isinstance(raw, list) or not raw:
        raise ValueError("must be a list")
    return [_Never.model_validate(one) for one in raw]


def _country(given: _File) -> CountryRules:
    if given.country != ANYWHERE:
        known = places.countries().get(given.country)
        if known is None:
            raise ValueError(f"no such country: {given.country}")
        unknown = set(given.regions) - set(known.regions)
        if unknown:
            raise ValueError(f"no such regions: {', '.join(sorted(unknown))}")
        _check_calendar(given.calendar, given.regions)
    elif given.calendar != ANYWHERE or given.regions:
        raise ValueError("the rules for any country have no calendar and no regions of their own")
    country, code = given.calendar, given.country
    law = _law(code, given.law, (country, ""), whole=True)
    strict = _law(f"{code} strict", given.strict, (country, ""), whole=True)
    regions = {
        region: _law(f"{code}-{region}", part, (country, region), whole=False)
        for region, part in given.regions.items()
    }
    sources = {law.name: tuple(given.law.sources), strict.name: tuple(given.strict.sources)}
    sources |= {f"{code}-{region}": tuple(part.sources) for region, part in given.regions.items()}
    return CountryRules(code, given.name, law, strict, regions, sources)


def _check_calendar(calendar: str, regions: Iterable[str]) -> None:
    for region in ("", *regions):
        try:
            holidays.country_holidays(calendar, subdiv=region or None)
        except NotImplementedError as exc:
            raise ValueError(f"no calendar of holidays: {calendar} {region}") from exc


def _law(name: str, part: _Part, calendar: tuple[str, str], *, whole: bool) -> Law:
    """`whole`: every day must be named; a state's law leaves the others to the country's."""
    days: list[tuple[Span, ...]] = [((0, DAY_S),)] * 7
    named: set[int] = set()
    on_holidays = None
    for key, spans in part.hours.items():
        read = _spans(key, spans)
        if key == "holidays":
            on_holidays = read
            continue
        for index in _weekdays(key):
            if index in named:
                raise ValueError(f"{name}: {_DAYS[index]} is named twice")
            named.add(index)
            days[index] = read
    if whole and len(named) < 7:
        raise ValueError(f"{name}: not every day has hours")
    limits = tuple(Limit(one.most, one.in_hours * 3600) for one in part.attempts)
    return Law(name, tuple(days), on_holidays, calendar, limits)


def _weekdays(key: str) -> range:
    first, _, last = key.partition("-")
    if first not in _DAYS or (last and last not in _DAYS):
        raise ValueError(f"no such days: {key}")
    return range(_DAYS.index(first), _DAYS.index(last or first) + 1)


def _spans(key: str, texts: list[str]) -> tuple[Span, ...]:
    found: list[Span] = []
    for text in texts:
        match = _SPAN.fullmatch(text)
        if match is None:
            raise ValueError(f"{key}: not HH:MM-HH:MM: {text}")
        hours = [int(part) for part in match.groups()]
        span = (hours[0] * 3600 + hours[1] * 60, hours[2] * 3600 + hours[3] * 60)
        if not _EARLIEST_S <= span[0] < span[1] <= _LATEST_S:
            raise ValueError(f"{key}: must lie between 05:00 and 23:00: {text}")
        if found and span[0] <= found[-1][1]:
            raise ValueError(f"{key}: must follow each other: {text}")
        found.append(span)
    return tuple(found)


def _named_calendar(law: Law, country: str) -> Law:
    """The law for any country with the holidays of this one, where they are known."""
    known = any(country == code for _, code, *_ in COUNTRIES.values())
    return Law(law.name, law.days, law.on_holidays, (country if known else "", ""), law.limits)
