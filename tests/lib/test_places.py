"""Countries, regions and their clocks; where it is day."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest

from tenex.lib import daytime, places


@pytest.mark.parametrize(
    ("text", "code"),
    [("de", "DE"), ("Germany", "DE"), (" united  states ", "US"), ("UK", "GB"), ("", ""), ("Narnia", None)],
)
def test_a_country_by_code_or_name(text: str, code: str | None) -> None:
    assert places.country_code(text) == code


@pytest.mark.parametrize(
    ("country", "text", "code"),
    [
        ("US", "california", "CA"),
        ("US", "US-NY", "NY"),
        ("US", "ZZ", None),
        ("CA", "Quebec", "QC"),
        ("DE", "by", "BY"),
        ("US", "", ""),
        ("", "CA", None),
    ],
)
def test_a_region_of_a_country(country: str, text: str, code: str | None) -> None:
    assert places.region_code(country, text) == code


def test_every_zone_of_the_table_exists_and_no_area_code_is_of_two_regions() -> None:
    known = available_timezones()
    codes: list[int] = []
    for country in places.countries().values():
        assert country.zones
        assert set(country.zones) <= known, country.code
        for region in country.regions.values():
            assert region.zones
            assert set(region.zones) <= known
            codes += region.area_codes
    assert len(codes) == len(set(codes)) > 400
    assert places.of_area_code(415) == ("US", "CA")
    assert places.of_area_code(800) is None
    assert places.country_of_zone("Europe/Berlin") == "DE"
    assert places.country_of_zone("Etc/UTC") == ""


def test_it_is_day_for_two_more_hours_at_every_hour_of_a_year() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    while at.year == 2026:
        place = daytime.place(at)
        for later in (0, 2):
            shown = (at + timedelta(hours=later)).astimezone(ZoneInfo(place.zone))
            assert 8 <= shown.hour < 21, (at, place)
        at += timedelta(minutes=30)
