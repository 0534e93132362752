"""Countries and their regions: codes, and the clocks that people there live by.

The data is `places.yaml`. Regions (states, provinces) are known for countries where they decide a clock; what
is written there is a code of ISO 3166-2 without the country.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from tenex.lib import yaml_files

_FILE: Final = Path(__file__).with_name("places.yaml")
_CODE_LENGTH = 10
"""As much as a lead's row takes."""


@dataclass(frozen=True, slots=True)
class Region:
    name: str
    zones: tuple[str, ...]
    area_codes: tuple[int, ...]
    """Of North America."""


@dataclass(frozen=True, slots=True)
class Country:
    code: str
    zones: tuple[str, ...]
    regions: Mapping[str, Region]
    """By code; empty where the regions do not matter to us."""


@cache
def countries() -> Mapping[str, Country]:
    """All countries by their ISO code."""
    raw: dict[str, dict[str, Any]] = yaml_files.read(_FILE.read_bytes())
    return {
        code: Country(
            code,
            tuple(entry["zones"]),
            {
                region: Region(found["name"], tuple(found["zones"]), tuple(found.get("area_codes", ())))
                for region, found in entry.get("regions", {}).items()
            },
        )
        for code, entry in raw.items()
    }


@cache
def _country_of_zones() -> Mapping[str, str]:
    return {name: country.code for country in countries().values() for name in country.zones}


def country_of_zone(zone: str) -> str:
    """The country whose people live by this IANA zone; empty for zones of no country and for old names."""
    return _country_of_zones().get(zone, "")


@cache
def _of_area_codes() -> Mapping[int, tuple[str, str]]:
    return {
        code: (country.code, region)
        for country in countries().values()
        for region, found in country.regions.items()
        for code in found.area_codes
    }


def of_area_code(code: int) -> tuple[str, str] | None:
    """Country and state or province of a North American area code; None if it is of no single one."""
    return _of_area_codes().get(code)


def zones_of(country: str, region: str = "") -> tuple[str, ...]:
    """The zones of a region, or of the whole country; empty if there is no such place."""
    found = countries().get(country)
    if found is None:
        return ()
    place = found.regions.get(region)
    return place.zones if place else found.zones


def country_code(text: str) -> str | None:
    """`de`, `Germany` -> `DE`; empty stays empty; None for no country."""
    wanted = " ".join(text.split())
    if not wanted or wanted.upper() in countries():
        return wanted.upper()
    return _country_names().get(wanted.casefold())


def region_code(country: str, text: str) -> str | None:
    """`ca`, `California`, `US-CA` -> `CA`; None if the country has regions and this is none of them."""
    wanted = " ".join(text.split()).upper().removeprefix(f"{country}-")
    found = countries().get(country)
    if not wanted or found is None:
        return None if wanted else ""
    if not found.regions:
        return wanted if len(wanted) <= _CODE_LENGTH and wanted.isascii() else None
    if wanted in found.regions:
        return wanted
    names = {region.name.upper(): code for code, region in found.regions.items()}
    return names.get(wanted)


def place_code(text: str) -> str | None:
    """`de`, `Germany` -> `DE`; `us-ca`, `US-California` -> `US-CA`; None if it is no place that we know."""
    named = country_code(text)
    if named:
        return named
    head, dash, tail = text.partition("-")
    country = country_code(head)
    if not dash or not country or not countries()[country].regions:
        return None
    region = region_code(country, tail)
    return f"{country}-{region}" if region else None


def place_name(code: str) -> str:
    """`US-CA` -> `California, US`; a country by its code's English name."""
    country, _, region = code.partition("-")
    if region:
        found = countries()[country].regions.get(region)
        return f"{found.name if found else region}, {country}"
    return _english_names().get(country, country)


@cache
def _english_names() -> Mapping[str, str]:
    """By code. The table comes with the telephone numbers' own."""
    from phonenumbers.geodata.locale import LOCALE_DATA

    names = {}
    for code, known in LOCALE_DATA.items():
        name = str(known.get("en", ""))
        name = str(known[name[1:]]) if name.startswith("*") else name  # another language's, which is the same
        if name and code in countries():
            names[str(code)] = name
    return names


@cache
def _country_names() -> Mapping[str, str]:
    names = {name.casefold(): code for code, name in _english_names().items()}
    return names | {"usa": "US", "united states of america": "US", "uk": "GB", "great britain": "GB"}
