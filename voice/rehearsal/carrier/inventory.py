"""Numbers that the offline carrier sells: out of ranges that are reserved for fiction. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_KEYPAD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999")


@dataclass(frozen=True, slots=True)
class ForSale:
    phone_number: str
    country: str
    kind: str
    locality: str | None = None
    region: str | None = None
    postal_code: str | None = None
    lata: str | None = None
    latitude: str | None = None
    longitude: str | None = None
    address_requirements: str = "none"


_PLACE = ("locality", "region", "postal_code", "lata", "latitude", "longitude")


@dataclass(frozen=True, slots=True)
class _Range:
    """`first` and the `count - 1` numbers after it; `place` is where they ring."""

    country: str
    kind: str
    first: int
    count: int
    place: tuple[str | None, ...] = (None,) * 6
    address_requirements: str = "none"

    def numbers(self) -> Iterator[ForSale]:
        for offset in range(self.count):
            number = f"+{self.first + offset}"
            place = dict(zip(_PLACE, self.place, strict=True))
            yield ForSale(
                number, self.country, self.kind, address_requirements=self.address_requirements, **place
            )


def _north_american(country: str, area: int, place: tuple[str | None, ...], kind: str = "Local") -> _Range:
    """555-0100 to 555-0199 of an area code."""
    return _Range(country, kind, int(f"1{area}5550100"), 100, place)


_RANGES = (
    _north_american("US", 628, ("San Francisco", "CA", "94103", "722", "37.7749", "-122.4194")),
    _north_american("US", 415, ("San Francisco", "CA", "94102", "722", "37.7793", "-122.4193")),
    _north_american("US", 206, ("Seattle", "WA", "98101", "674", "47.6062", "-122.3321")),
    _north_american("US", 212, ("New York", "NY", "10001", "132", "40.7128", "-74.0060")),
    _north_american("US", 833, (None,) * 6, "TollFree"),
    _north_american("CA", 416, ("Toronto", "ON", "M5H", "888", "43.6532", "-79.3832")),
    _north_american("CA", 833, (None,) * 6, "TollFree"),
    _Range("GB", "Local", 442079460000, 1000, ("London", None, None, None, None, None), "any"),
    _Range("GB", "Mobile", 447700900000, 1000),
    _Range("DE", "Local", 493023125000, 1000, ("Berlin", None, None, None, None, None), "local"),
)
_KINDS = ("Local", "Mobile", "TollFree", "National", "SharedCost", "Voip", "MachineToMachine")


def sold(country: str, kind: str) -> bool:
    """Whether this kind of number is sold in the country at all."""
    return kind in _KINDS and any((one.country, one.kind) == (country, kind) for one in _RANGES)


def find(phone_number: str) -> ForSale | None:
    """The number if it is out of what we sell."""
    american = re.fullmatch(r"\+1([2-9]\d\d)55501\d\d", phone_number)
    ranges = _RANGES if american is None else (*_RANGES, *_elsewhere(american[1]))
    return next((one for r in ranges for one in r.numbers() if one.phone_number == phone_number), None)


def _elsewhere(area_code: str) -> tuple[_Range, ...]:
    """An area code of the United States that the table does not know."""
    if not re.fullmatch(r"[2-9]\d\d", area_code) or any(str(r.first)[1:4] == area_code for r in _RANGES):
        return ()
    return (_north_american("US", int(area_code), (None,) * 6),)


def search(
    country: str, kind: str, *, area_code: str = "", contains: str = "", address_free: bool = False
) -> Iterator[ForSale]:
    """What is sold there; `contains` as the real service reads it: `*` any digit, letters as on a keypad.

    A pattern with `+` begins at the country code, any other may stand anywhere.
    """
    pattern = re.escape(contains.upper().translate(_KEYPAD)).replace(r"\*", r"\d")
    anchored = re.compile(f"^{pattern}" if contains.startswith("+") else pattern)
    for one in (*_RANGES, *_elsewhere(area_code)):
        if (one.country, one.kind) != (country, kind) or (
            address_free and one.address_requirements != "none"
        ):
            continue
        for number in one.numbers():
            if area_code and number.phone_number[2:5] != area_code:
                continue
            if anchored.search(number.phone_number):
                yield number
