"""Where a person may be: the zones whose clocks count, and the places whose laws do. Pure.

The zone that was stated counts; else those of the address. What the number's area code says only adds to them
(promises.md 4.2): people move with their numbers, so both must be within hours.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberType
from phonenumbers import timezone as number_zones

from tenex.lib import places, zones

_NANP: Final = 1
_NANP_LENGTH: Final = len("+12125550123")
EMERGENCY_DIGITS: Final = 6
"""No country's emergency number is longer; which ones are, is not looked up for longer ones."""
_NOWHERE: Final = "Etc/Unknown"
_REFUSED_KINDS: Final = {
    PhoneNumberType.PREMIUM_RATE: "premium rate",
    PhoneNumberType.SHARED_COST: "shared cost",
    PhoneNumberType.PERSONAL_NUMBER: "a personal number",
    PhoneNumberType.PAGER: "a pager",
    PhoneNumberType.VOICEMAIL: "a mailbox",
}


class Provenance(StrEnum):
    STATED = "stated"
    ADDRESS = "address"
    AREA_CODE = "area_code"


@dataclass(frozen=True, slots=True)
class NumberFacts:
    """What the numbering plans know of a number."""

    country: str
    """Empty: of no country."""
    region: str
    """The state or province of the area code, if it is of one."""
    zones: tuple[str, ...]
    refused_kind: str
    """Not empty: of a kind that is never dialed."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    zones: tuple[tuple[str, Provenance], ...]
    places: tuple[tuple[str, str], ...]
    """Country and region (empty if not known); each one's laws hold."""

    @property
    def zone_names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.zones)


def number_facts(e164: str) -> NumberFacts | None:
    """None if it is no number in international form.

    In North America the last four digits say nothing: one answer for ten thousand numbers.
    """
    north_american = len(e164) == _NANP_LENGTH and e164.startswith("+1") and e164[1:].isdecimal()
    return _facts_of(f"{e164[:-4]}2345" if north_american else e164)


@lru_cache(maxsize=16_384)
def _facts_of(e164: str) -> NumberFacts | None:
    try:
        number = phonenumbers.parse(e164, None)
    except phonenumbers.NumberParseException:
        return None
    type_ = phonenumbers.number_type(number)
    kind = _REFUSED_KINDS.get(type_, "")
    country, region = _home(number)
    digits = str(number.national_number)
    if country and len(digits) <= EMERGENCY_DIGITS and phonenumbers.is_emergency_number(digits, country):
        kind = "an emergency number"
    # A number that is assigned to nobody has no type; its beginning says as much as that of its neighbors.
    # A mobile number of most countries tells no place: every zone of the country.
    tells_place = type_ == PhoneNumberType.UNKNOWN or phonenumbers.is_number_type_geographical(
        type_, number.country_code or 0
    )
    found = (
        number_zones.time_zones_for_geographical_number(number)
        if tells_place  # and the type is not looked up a second time
        else number_zones.time_zones_for_number(number)
    )
    return NumberFacts(country, region, tuple(name for name in found if _usable(name)), kind)


def of(*, phone: str, stated_zone: str, country: str, region: str) -> Whereabouts:
    """The candidates for a person with this number, stated zone and address. No zone: nobody knows."""
    return _of(number_facts(phone), stated_zone, country, region)


@lru_cache(maxsize=4096)
def _of(known: NumberFacts | None, stated_zone: str, country: str, region: str) -> Whereabouts:
    found: dict[str, Provenance] = {}
    if stated_zone and _usable(stated_zone):
        found[stated_zone] = Provenance.STATED
    else:
        found |= dict.fromkeys(_of_address(country, region, known), Provenance.ADDRESS)
    for name in known.zones if known else ():
        found.setdefault(name, Provenance.AREA_CODE)
    return Whereabouts(tuple(found.items()), _places(found, country, region, known))


def _of_address(country: str, region: str, known: NumberFacts | None) -> tuple[str, ...]:
    """A country of several zones alone tells none, if the number says more of the same country."""
    names = places.zones_of(country, region)
    says_region = country in places.countries() and region in places.countries()[country].regions
    vague = len(names) > 1 and not says_region
    if vague and known is not None and known.country == country and known.zones:
        return ()
    return tuple(name for name in names if _usable(name))


def _places(
    found: dict[str, Provenance], country: str, region: str, known: NumberFacts | None
) -> tuple[tuple[str, str], ...]:
    all_of: dict[tuple[str, str], None] = {}
    if country and not (not region and known and known.country == country and known.region):
        all_of[country, region] = None
    if known is not None and known.country and not (known.country == country and region and not known.region):
        all_of[known.country, known.region] = None
    countries = {one for one, _ in all_of}
    for name, whence in found.items():
        # Who says that they live by another country's clock is there, so that its law holds too.
        there = places.country_of_zone(name) if whence == Provenance.STATED else ""
        if there and there not in countries:
            all_of[there, ""] = None
    return tuple(all_of)


def _home(number: PhoneNumber) -> tuple[str, str]:
    """Country and, in North America, state or province; empty if it is of none."""
    country = phonenumbers.region_code_for_number(number) or ""
    if number.country_code == _NANP:
        area = (number.national_number or 0) // 10**7
        known = places.of_area_code(area)
        if known is not None:
            return known
        country = country or _country_of_area(area)
    country = country or phonenumbers.region_code_for_country_code(number.country_code or 0)
    return (country if country in places.countries() else ""), ""


@cache
def _country_of_area(code: int) -> str:
    """Of a North American area code, by a number of it that looks like one."""
    likely = PhoneNumber(country_code=_NANP, national_number=code * 10**7 + 2_345_678)
    return phonenumbers.region_code_for_number(likely) or ""


@lru_cache(maxsize=1024)
def _usable(name: str) -> bool:
    return name != _NOWHERE and zones.zone(name) is not None
