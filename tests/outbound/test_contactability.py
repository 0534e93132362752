"""May this lead be dialed now? Only facts and an instant."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from phonenumbers import SUPPORTED_SHORT_REGIONS, PhoneMetadata

from tests.architecture.test_documents import DOCS
from voice.outbound import explain, rulebook, whereabouts
from voice.outbound.contactability import Agreement, Allow, Facts, Limits, Refuse, Window, decide
from voice.outbound.hours import first_opening
from voice.outbound.rulebook import RulesInvalid

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)  # Monday noon in New York
YES = Agreement(UUID(int=1), "marketing", LONG_AGO)
FINE = Facts(
    phone="+12125550142",
    window=Window(time(9), time(20)),
    consents=(YES,),
    stated_zone="America/New_York",
    countries=frozenset({"US", "CA", "GB", "DE", "FR", "AU", "JP"}),
)
NY = ZoneInfo("America/New_York")


def refusal(facts: Facts, now: datetime = NOON) -> Refuse:
    answer = decide(facts, now)
    assert isinstance(answer, Refuse), answer
    return answer


def test_a_good_lead_at_a_good_hour() -> None:
    assert decide(FINE, NOON) == Allow()


FINAL: list[tuple[dict[str, Any], str]] = [
    ({"archived": True}, "archived"),
    ({"phone": ""}, "no_phone"),
    ({"opted_out": True}, "opted_out"),
    ({"suppressed": True}, "suppressed"),
    ({"phone": "+19005550100"}, "never_dialed"),
    ({"phone": "+81312345678", "countries": frozenset({"US"})}, "country_not_enabled"),
    ({"number_owned": False}, "number_not_ours"),
    ({"number_active": False}, "number_released"),
    ({"has_agent": False}, "no_agent"),
    ({"batch_over": True}, "batch_over"),
    ({"consents": ()}, "no_consent"),
    ({"consents": (replace(YES, expires_at=NOON),)}, "consent_expired"),
    ({"consents": (replace(YES, revoked_at=NOON),)}, "consent_revoked"),
    # Freephone of the world: of no country, whose numbers are never enabled; so that is done here by hand.
    ({"phone": "+80012345678", "stated_zone": "", "countries": frozenset({""})}, "unknown_time_zone"),
    ({"placed_in_all": 24}, "called_often_enough"),
    ({"window": Window(time(22), time(23))}, "window_never_opens"),
]
PASSING: list[tuple[dict[str, Any], str]] = [
    ({"calling_stopped": True}, "calling_stopped"),
    ({"workspace_paused": True}, "workspace_paused"),
    ({"batch_running": False}, "batch_not_running"),
    ({"model_configured": False}, "model_not_configured"),
    ({"carrier_configured": False}, "carrier_not_configured"),
    ({"on_the_phone": True}, "on_the_phone"),
    ({"placed": (NOON - timedelta(hours=1),), "placed_in_all": 1}, "called_too_recently"),
    ({"placed": (NOON - timedelta(hours=3),) * 3, "placed_in_all": 3}, "called_too_often"),
    ({"window": Window(time(14), time(16))}, "outside_window"),
]


@pytest.mark.parametrize(("change", "code"), FINAL)
def test_what_will_never_be_right_is_refused_for_good(change: dict[str, Any], code: str) -> None:
    paused_too = replace(FINE, workspace_paused=True, **change)
    found = refusal(paused_too)
    assert (found.code, found.until) == (code, None)


@pytest.mark.parametrize(("change", "code"), PASSING)
def test_what_may_change_is_asked_again(change: dict[str, Any], code: str) -> None:
    found = refusal(replace(FINE, **change))
    assert found.code == code
    assert found.until is not None
    assert found.until > NOON


def test_the_final_reasons_come_in_the_order_of_the_page_and_before_all_others() -> None:
    """Each reason with all that come after it: the first one is told."""
    cases = [*FINAL, *PASSING]
    for index, (change, code) in enumerate(cases):
        later: dict[str, Any] = {}
        for other, _ in reversed(cases[index + 1 :]):
            later |= other
        assert refusal(replace(FINE, **{**later, **change})).code == code, code


def test_the_page_lists_the_codes_of_the_code_with_their_cures() -> None:
    """docs/contactability.md: the table of reasons is complete and in order."""
    page = (DOCS / "contactability.md").read_text(encoding="utf-8").split("## The reasons", 1)[1]
    rows = [line.split("|") for line in page.split("\n## ", 1)[0].splitlines() if line.startswith("| `")]
    assert all(len(row) >= 5 and row[3].strip() for row in rows), "every reason has a cure"
    source = Path(rulebook.__file__).with_name("contactability.py").read_text(encoding="utf-8")
    told = [row[1].strip().strip("`") for row in rows]
    assert all(f'"{code}"' in source for code in told)
    assert source.count("Refuse(\n") + source.count('Refuse("') >= len(told)
    assert told == [code for _, code in (*FINAL, *PASSING)]


# --- consent --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("purpose", "given", "allowed"),
    [
        ("marketing", "marketing", True),
        ("marketing", "informational", False),
        ("informational", "informational", True),
        ("informational", "marketing", True),
    ],
)
def test_which_consent_serves_which_purpose(purpose: str, given: str, allowed: bool) -> None:
    facts = replace(FINE, purpose=purpose, consents=(replace(YES, purpose=given),))
    assert (decide(facts, NOON) == Allow()) is allowed


def test_a_consent_holds_from_its_first_to_before_its_last_instant() -> None:
    limited = replace(YES, given_at=NOON, expires_at=NOON + timedelta(minutes=1))
    facts = replace(FINE, consents=(limited,))
    assert refusal(facts, NOON - timedelta(seconds=1)).code == "no_consent"
    assert decide(facts, NOON) == Allow()
    assert refusal(facts, NOON + timedelta(minutes=1)).code == "consent_expired"


def test_one_consent_that_holds_is_enough_and_its_absence_tells_the_cure() -> None:
    revoked = replace(YES, id=UUID(int=2), revoked_at=NOON - timedelta(days=3))
    assert decide(replace(FINE, consents=(revoked, YES)), NOON) == Allow()
    assert "POST /api/v1/crm/leads/{lead_id}/consents" in refusal(replace(FINE, consents=())).detail
    assert all(len(refusal(replace(FINE, consents=few)).detail) <= 200 for few in ((), (revoked,)))


# --- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "phone",
    [
        "+19005550100", "+12129765555", "+12122115555", "+19115550100", "+15005550100", "+17005550100",
        "+17105550100", "+16005550100", "+870773111632", "+88165123456", "+88213123456", "+97912345678",
        "+80812345678", "+447012345678", "+449012345678", "+448712345678", "+33899123456", "+499001234567",
    ],
)  # fmt: skip
def test_numbers_that_are_never_dialed(phone: str) -> None:
    assert refusal(replace(FINE, phone=phone)).code == "never_dialed"


def test_only_the_countries_of_the_workspace_are_called() -> None:
    at_home = replace(FINE, countries=frozenset({"US"}))
    assert decide(at_home, NOON) == Allow()
    for phone in ("+442079460102", "+16045550142", "+18765550142", "+5511912345678"):
        assert refusal(replace(at_home, phone=phone)).code == "country_not_enabled"


# --- zones ----------------------------------------------------------------------------------------


def zones(**facts: str) -> dict[str, str]:
    given = {"phone": "", "stated_zone": "", "country": "", "region": "", **facts}
    return {name: str(whence) for name, whence in whereabouts.of(**given).zones}


def test_the_stated_zone_counts_else_the_address_and_the_area_code_adds() -> None:
    san_francisco = {"America/Los_Angeles": "area_code"}
    assert zones(phone="+14155550142") == san_francisco
    assert zones(phone="+14155550142", stated_zone="America/New_York") == {
        "America/New_York": "stated",
        **san_francisco,
    }
    stated_here = zones(phone="+14155550142", stated_zone="America/Los_Angeles", country="US", region="NY")
    assert stated_here == {"America/Los_Angeles": "stated"}
    assert zones(phone="+14155550142", country="US", region="NY") == {
        "America/New_York": "address",
        **san_francisco,
    }
    assert zones(phone="+14155550142", stated_zone="Mars/Base") == san_francisco


def test_no_emergency_number_is_longer_than_those_that_are_looked_up() -> None:
    known = [PhoneMetadata.short_metadata_for_region(code, None) for code in SUPPORTED_SHORT_REGIONS]
    digits = {n for one in known if one and one.emergency for n in one.emergency.possible_length}
    assert 3 <= max(digits) <= whereabouts.EMERGENCY_DIGITS


def test_a_country_of_many_zones_tells_none_if_the_number_tells_more() -> None:
    assert zones(phone="+14155550142", country="US") == {"America/Los_Angeles": "area_code"}
    assert len(zones(phone="+442079460102", country="US")) > 20
    assert set(zones(phone="+61412345678")) >= {"Australia/Perth", "Australia/Sydney"}


def test_a_lead_is_called_only_if_every_candidate_is_within_hours() -> None:
    both = replace(FINE, phone="+14155550142")
    assert refusal(both, NOON - timedelta(hours=1)).until == datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
    assert decide(both, NOON) == Allow()
    evening = datetime(2026, 11, 24, 0, 56, tzinfo=UTC)  # 19:56 in New York, 16:56 in San Francisco
    assert refusal(both, evening).until == datetime(2026, 11, 24, 17, 0, tzinfo=UTC)


def test_an_address_tells_the_zone_that_a_number_does_not() -> None:
    nowhere = replace(FINE, phone="+80012345678", stated_zone="", countries=frozenset({""}))
    assert refusal(nowhere).code == "unknown_time_zone"
    assert decide(replace(nowhere, country="US", region="NY"), NOON) == Allow()
    assert refusal(replace(nowhere, country="XX")).code == "unknown_time_zone"
    assert zones(phone="+15215550142", country="XX") != {}, "an area code of nowhere: every zone there is"


# --- hours ----------------------------------------------------------------------------------------


def test_nobody_is_dialed_in_the_last_minutes_of_the_window() -> None:
    end = datetime(2026, 11, 23, 20, 0, tzinfo=NY)
    assert decide(FINE, end - timedelta(minutes=5, seconds=1)) == Allow()
    assert refusal(FINE, end - timedelta(minutes=5)).until == datetime(2026, 11, 24, 9, 0, tzinfo=NY)


def test_hours_that_a_workspace_chose_never_widen_those_of_the_rules() -> None:
    any_time = replace(FINE, window=Window(time(0), time(0)))
    night = datetime(2026, 11, 24, 4, 0, tzinfo=NY)
    assert refusal(any_time, night).until == datetime(2026, 11, 24, 9, 0, tzinfo=NY)
    legal = replace(any_time, strict=False)
    assert refusal(legal, night).until == datetime(2026, 11, 24, 8, 0, tzinfo=NY)
    passes_midnight = replace(legal, window=Window(time(18), time(10)))
    assert decide(passes_midnight, datetime(2026, 11, 24, 8, 30, tzinfo=NY)) == Allow()
    assert refusal(passes_midnight, datetime(2026, 11, 24, 10, 30, tzinfo=NY)).until == datetime(
        2026, 11, 24, 18, 0, tzinfo=NY
    )


def test_sunday_begins_at_noon_by_our_own_rules_and_in_texas_by_law() -> None:
    sunday = datetime(2026, 11, 29, 10, 0, tzinfo=NY)
    assert refusal(FINE, sunday).until == datetime(2026, 11, 29, 12, 0, tzinfo=NY)
    legal = replace(FINE, strict=False)
    assert decide(legal, sunday) == Allow()
    texan = replace(legal, region="TX", country="US")
    assert refusal(texan, sunday).until == datetime(2026, 11, 29, 12, 0, tzinfo=NY)


def test_the_law_of_the_place_by_address_and_by_area_code() -> None:
    evening = datetime(2026, 11, 23, 20, 30, tzinfo=NY)
    late = replace(FINE, window=Window(time(8), time(21)), strict=False)
    assert decide(late, evening) == Allow()
    assert refusal(replace(late, phone="+13055550142"), evening).code == "outside_window"  # Miami
    assert refusal(replace(late, country="US", region="FL"), evening).code == "outside_window"
    somewhere = replace(late, phone="+18005550142")  # of the United States, of no state: our narrow hours
    assert refusal(somewhere, evening).code == "outside_window"


def test_public_holidays_close_where_the_rules_say_so() -> None:
    berlin = replace(
        FINE, phone="+4930123456", stated_zone="Europe/Berlin", window=Window(time(9), time(18)), strict=False
    )
    zone = ZoneInfo("Europe/Berlin")
    christmas = datetime(2026, 12, 25, 12, 0, tzinfo=zone)
    assert refusal(berlin, christmas).until == datetime(2026, 12, 28, 9, 0, tzinfo=zone)  # the 27th: a Sunday
    assert decide(FINE, datetime(2026, 12, 25, 12, 0, tzinfo=NY)) == Allow()
    mardi_gras = datetime(2026, 2, 17, 18, 0, tzinfo=UTC)
    here = replace(FINE, phone="+15045550142", stated_zone="America/Chicago", strict=False)
    assert refusal(here, mardi_gras).until == datetime(2026, 2, 18, 15, 0, tzinfo=UTC)


def test_a_country_without_a_file_has_the_narrow_default_and_its_holidays() -> None:
    tokyo = replace(FINE, phone="+81312345678", stated_zone="Asia/Tokyo", strict=False)
    zone = ZoneInfo("Asia/Tokyo")
    assert decide(tokyo, datetime(2026, 11, 26, 12, 0, tzinfo=zone)) == Allow()
    saturday = datetime(2026, 11, 28, 12, 0, tzinfo=zone)
    assert refusal(tokyo, saturday).until == datetime(2026, 11, 30, 9, 0, tzinfo=zone)
    labor_day = datetime(2026, 11, 23, 12, 0, tzinfo=zone)
    assert refusal(tokyo, labor_day).until == datetime(2026, 11, 24, 9, 0, tzinfo=zone)


def test_the_pause_at_noon_of_france() -> None:
    paris = ZoneInfo("Europe/Paris")
    facts = replace(FINE, phone="+33123456789", stated_zone="Europe/Paris")
    pause = datetime(2026, 11, 26, 12, 57, tzinfo=paris)
    assert refusal(facts, pause).until == datetime(2026, 11, 26, 14, 0, tzinfo=paris)


def test_a_day_that_is_not_a_calling_day_is_waited_out() -> None:
    weekdays = replace(FINE, window=Window(time(9), time(20), (1, 2, 3, 4, 5)))
    friday_night = datetime(2026, 11, 27, 22, 0, tzinfo=NY)
    assert refusal(weekdays, friday_night).until == datetime(2026, 11, 30, 9, 0, tzinfo=NY)


def test_an_opening_in_the_hour_that_a_clock_change_takes_away() -> None:
    """No law is open then, so this asks the hours alone: 02:30 does not exist, it opens at 03:00."""
    window = Window(time(2, 30), time(5))
    before = datetime(2026, 3, 8, 6, 0, tzinfo=UTC)
    assert first_opening(window, (), ("America/New_York",), before) == datetime(2026, 3, 8, 7, 0, tzinfo=UTC)
    back = Window(time(1, 30), time(1, 50))  # comes twice
    after_first = datetime(2026, 11, 1, 5, 55, tzinfo=UTC)
    assert first_opening(back, (), ("America/New_York",), after_first) == datetime(
        2026, 11, 1, 6, 30, tzinfo=UTC
    )


# --- how often ------------------------------------------------------------------------------------


def test_attempts_in_a_day_in_a_week_and_the_gap() -> None:
    loose = replace(FINE, strict=False, limits=Limits(per_day=2, per_week=4, in_all=50, gap_s=600))

    def placed(*hours: float) -> Facts:
        ago = tuple(NOON - timedelta(hours=h) for h in hours)
        return replace(loose, placed=ago, placed_in_all=len(ago))

    assert decide(placed(1, 25), NOON) == Allow()
    assert refusal(placed(0.1)) == Refuse(
        "called_too_recently", "The last call to this number was not long ago.", NOON + timedelta(minutes=4)
    )
    assert refusal(placed(1, 2)).until == NOON + timedelta(hours=22)
    week = refusal(placed(25, 50, 75, 100))
    assert (week.code, week.until) == ("called_too_often", NOON + timedelta(hours=69))


def test_the_rules_of_a_place_allow_less_than_a_workspace_may_say() -> None:
    often = replace(FINE, limits=Limits(per_day=20, per_week=50, in_all=200, gap_s=0), strict=False)
    three = replace(often, placed=(NOON - timedelta(hours=1),) * 3, placed_in_all=3)
    assert decide(three, NOON) == Allow()
    assert refusal(replace(three, strict=True)).code == "called_too_often"
    assert refusal(replace(three, phone="+13055550142")).code == "called_too_often"


def test_what_waits_for_the_limit_is_told_the_opening_after_it() -> None:
    afternoon = datetime(2026, 11, 23, 19, 0, tzinfo=NY)
    facts = replace(FINE, placed=(afternoon - timedelta(minutes=30),), placed_in_all=1)
    assert refusal(facts, afternoon).until == datetime(2026, 11, 24, 9, 0, tzinfo=NY)


# --- evidence and rules ---------------------------------------------------------------------------


def test_the_inputs_of_a_decision_tell_what_it_was_made_of() -> None:
    told = explain.inputs(replace(FINE, placed=(NOON - timedelta(hours=5),), placed_in_all=7), NOON)
    assert json.loads(json.dumps(told)) == told
    assert told["zones"] == [
        {
            "zone": "America/New_York",
            "from": "stated",
            "local": "2026-11-23T12:00:00-05:00",
            "hours": ["09:00-20:00"],
        }
    ]
    assert (told["consent_id"], told["laws"]) == (str(UUID(int=1)), ["US", "US strict"])
    assert told["attempts"] == {
        "in_24_hours": 1,
        "in_7_days": 1,
        "in_all": 7,
        "last_at": "2026-11-23T12:00:00+00:00",
    }
    assert told["rules"] == rulebook.standard().version


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("xx.yaml", "country: XX"),
        ("nz.yaml", "country: AU"),
        ("nz.yaml", "hours: {mon-sun: ['08:00-24:00']}"),
        ("nz.yaml", "hours: {mon-fri: ['09:00-20:00']}"),
        ("nz.yaml", "hours: {mon-sun: ['20:00-09:00']}"),
        ("nz.yaml", "hours: {monday: ['09:00-20:00']}"),
        ("nz.yaml", "sources: []"),
        ("nz.yaml", "surprise: 1"),
        ("nz.yaml", "{"),
    ],
)
def test_a_rules_file_that_makes_no_sense_stops_the_start(tmp_path: Path, name: str, text: str) -> None:
    for path in rulebook.FOLDER.glob("_*.yaml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    good = (rulebook.FOLDER / "au.yaml").read_text(encoding="utf-8").replace("AU", "NZ")
    (tmp_path / "nz.yaml").write_text(good, encoding="utf-8")
    assert "NZ" in rulebook.load(tmp_path).countries
    key = text.partition(":")[0]
    lines = [f"  {text}" if line.startswith(f"  {key}:") else line for line in good.splitlines()]
    lines = [text if line.startswith(f"{key}:") else line for line in lines]
    broken = "\n".join(lines)
    (tmp_path / name).write_text(broken if broken != "\n".join(good.splitlines()) else f"{good}\n{text}")
    with pytest.raises(RulesInvalid, match=name):
        rulebook.load(tmp_path)


def test_every_law_of_the_files_has_a_source_with_a_date() -> None:
    for rules in rulebook.standard().countries.values():
        laws = {rules.law.name, rules.strict.name, *(law.name for law in rules.regions.values())}
        assert set(rules.sources) == laws
        read = [source.read_on for few in rules.sources.values() for source in few]
        assert all(date(2026, 1, 1) <= one <= date.today() for one in read)
