"""The offline carrier's shop and its numbers, seen through Twilio's own SDK."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from twilio.base.exceptions import TwilioException
from twilio.rest import Client

from tests.rehearsal.phone_app import PERSON, play, standing
from voice.rehearsal.carrier import inventory

WANTED = "+16285550107"


async def test_numbers_are_found_bought_changed_listed_and_released() -> None:
    async with standing() as stand:
        free = await stand.sdk(lambda c: c.available_phone_numbers("US").local.list(area_code="628", limit=3))
        assert len(free) == 3
        wanted = str(free[0].phone_number)
        assert (free[0].iso_country, free[0].region, str(free[0].latitude)) == ("US", "CA", "37.7749")
        bought = await stand.sdk(
            lambda c: c.incoming_phone_numbers.create(
                phone_number=wanted, voice_url="https://a.example/v", friendly_name="Sales"
            )
        )
        assert (bought.voice_url, bought.friendly_name) == ("https://a.example/v", "Sales")
        left = await stand.sdk(lambda c: c.available_phone_numbers("US").local.list(area_code="628", limit=1))
        assert left[0].phone_number != wanted
        changed = await stand.sdk(
            lambda c: c.incoming_phone_numbers(str(bought.sid)).update(status_callback="https://a.example/s")
        )
        assert (changed.status_callback, changed.voice_url) == ("https://a.example/s", "https://a.example/v")
        for part in (wanted, wanted[3:8], f"{wanted[:6]}*{wanted[7:]}"):
            found = await stand.sdk(partial(_listed, part))
            assert [number.sid for number in found] == [bought.sid]
        assert await stand.sdk(lambda c: c.incoming_phone_numbers(str(bought.sid)).delete())
        assert len(await stand.sdk(lambda c: c.incoming_phone_numbers.list())) == 1


def _listed(part: str, client: Client) -> list[Any]:
    return list(client.incoming_phone_numbers.list(phone_number=part))


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda c: c.incoming_phone_numbers.create(phone_number="12"), 21421),
        (lambda c: c.incoming_phone_numbers.create(phone_number="+14155551234"), 21422),
        (lambda c: c.incoming_phone_numbers.create(phone_number="+14155550100"), 21422),
        (lambda c: c.incoming_phone_numbers.create(phone_number="+442079460000"), 21631),
        (lambda c: c.incoming_phone_numbers.create(phone_number=WANTED, voice_url="ftp://x"), 21402),
        (lambda c: c.incoming_phone_numbers.create(phone_number=WANTED, voice_method="PUT"), 21403),
        (lambda c: c.incoming_phone_numbers.create(), 21404),
        (lambda c: c.incoming_phone_numbers("PN1").update(voice_url="https://x/"), 20404),
        (lambda c: c.available_phone_numbers("US").mobile.list(limit=1), 20404),
        (lambda c: c.available_phone_numbers("ZZ").local.list(limit=1), 20404),
        (lambda c: c.available_phone_numbers("US").local.list(contains="1", limit=1), 21451),
    ],
)
async def test_what_the_service_refuses(ask: Callable[[Client], Any], code: int) -> None:
    async with standing() as stand:
        with pytest.raises(TwilioException) as refused:
            await stand.sdk(ask)
        # Lists raise the base class, with the whole answer as a text.
        assert getattr(refused.value, "code", None) == code or f'"code": {code}' in str(refused.value)
        assert len(stand.exchange.books.numbers) == 1


async def test_a_call_goes_where_the_number_points_and_is_signed() -> None:
    async with standing() as stand:
        app = stand.app
        app.twiml["/sales"] = "<Response><Hangup/></Response>"
        await stand.sdk(
            lambda c: c.incoming_phone_numbers.create(
                phone_number=WANTED,
                voice_url=f"{app.base_url}/sales",
                status_callback=f"{app.base_url}/sales-status",
            )
        )
        record = stand.rehearsal.call_in(play(), from_=PERSON, to=WANTED)
        await stand.ended(record.sid)  # all hooks were signed
        (form,) = app.forms("/sales")
        assert (form["To"], form["Direction"]) == (WANTED, "inbound")
        assert [one["CallStatus"] for one in app.forms("/sales-status")] == ["completed"]
        assert app.forms("/voice") == []


@pytest.mark.parametrize(
    ("contains", "found"),
    [("0107", 1), ("+1628", 100), ("628*550107", 1), ("1628*", 100), ("9999", 0), ("JJJ01", 100)],
)
def test_patterns(contains: str, found: int) -> None:
    assert len(list(inventory.search("US", "Local", area_code="628", contains=contains))) == found
