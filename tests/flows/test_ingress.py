"""What reaches the doors without being from the carrier."""

import httpx2
import pytest

from tests.flows.world import World

DOORS = ["voice", "status", "fallback"]


@pytest.mark.parametrize("door", DOORS)
def test_a_request_that_twilio_did_not_sign_is_refused(world: World, door: str) -> None:
    form = {"CallSid": "CA" + "0" * 32, "From": "+14155550101", "To": "+14155550100"}
    before = len(world.calls())
    for signature in ("", "bm90IHNpZ25lZA=="):
        answer = httpx2.post(
            f"{world.system.base_url}/twilio/{door}",
            data=form,
            headers={"x-twilio-signature": signature},
            trust_env=False,
        )
        assert answer.status_code == 403
    assert len(world.calls()) == before
