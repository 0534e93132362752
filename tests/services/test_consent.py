"""What holds before a call is recorded: by place, the strictest of several, fixed when it begins."""

from typing import Any

import pytest

from tenex.workspaces.models import RecordingConsent
from tests import rows
from voice.models import Call, Direction
from voice.services import consent

ANNOUNCE, EXPLICIT, OFF = RecordingConsent.ANNOUNCE, RecordingConsent.EXPLICIT, RecordingConsent.OFF


@pytest.mark.parametrize(
    ("usual", "of_places", "places", "found"),
    [
        (ANNOUNCE, {}, (("US", "CA"),), ANNOUNCE),
        (ANNOUNCE, {"US-CA": "explicit"}, (("US", "CA"),), EXPLICIT),
        (ANNOUNCE, {"US-CA": "explicit"}, (("US", "TX"),), ANNOUNCE),
        (ANNOUNCE, {"US": "off", "US-TX": "announce"}, (("US", "TX"),), ANNOUNCE),
        (ANNOUNCE, {"US": "off", "US-TX": "announce"}, (("US", "CA"),), OFF),
        (ANNOUNCE, {"US-CA": "explicit"}, (("US", ""),), EXPLICIT),
        (OFF, {"DE": "announce"}, (("DE", ""),), ANNOUNCE),
        (ANNOUNCE, {"DE": "explicit"}, (("US", "NY"), ("DE", "")), EXPLICIT),
        (EXPLICIT, {"DE": "announce"}, (("US", "NY"), ("DE", "")), EXPLICIT),
        (OFF, {"DE": "explicit"}, (), OFF),
    ],
)
def test_the_strictest_of_the_places(
    usual: Any, of_places: Any, places: Any, found: RecordingConsent
) -> None:
    assert consent.strictest(usual, of_places, places) == found


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("phone", "address", "found"),
    [
        ("+14155550101", {}, EXPLICIT),  # California by its area code
        ("+12125550101", {}, ANNOUNCE),
        ("+12125550101", {"country": "US", "region": "CA"}, EXPLICIT),
        ("+12125550101", {"time_zone": "Europe/Berlin"}, OFF),
        ("+4930123456", {}, OFF),
    ],
)
def test_of_a_call_that_we_place(phone: str, address: dict[str, str], found: RecordingConsent) -> None:
    space = rows.workspace(recording_consent_places={"US-CA": "explicit", "DE": "off"})
    call = rows.call(
        space, direction=Direction.OUTBOUND, to_number=phone, lead=rows.lead(space, phone=phone, **address)
    )
    assert consent.of_call(call) == found


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("caller", "found"), [("+4930123456", OFF), ("+12125550101", ANNOUNCE), ("anonymous", EXPLICIT)]
)
def test_of_a_call_that_comes_in(caller: str, found: RecordingConsent) -> None:
    """Who withholds their number is taken to be where the number is that they call."""
    space = rows.workspace(recording_consent_places={"US-CA": "explicit", "DE": "off"})
    call = rows.call(space, from_number=caller, to_number="+14155550100")
    assert consent.of_call(call) == found


@pytest.mark.django_db
def test_it_is_fixed_when_the_call_begins() -> None:
    space = rows.workspace()
    call = rows.call(space)
    assert consent.settle(call) == ANNOUNCE
    space.recording_consent = OFF
    space.save()
    again = Call.objects.select_related("workspace").get(pk=call.pk)
    assert consent.settle(again) == consent.of_call(again) == ANNOUNCE


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("asked", "answer", "expected"),
    [
        ("off", "", False),
        ("announce", "told", True),
        ("explicit", "yes", True),
        ("explicit", "no", False),
        ("explicit", "", False),
        ("announce", "objected", True),
        ("", "", True),
    ],
)
def test_whether_a_recording_should_come(asked: str, answer: str, expected: bool) -> None:
    call = rows.call(rows.workspace(), recording_asked=asked, recording_answer=answer)
    assert consent.expected(call) is expected
