"""REST and callbacks of the offline carrier, seen through Twilio's own SDK."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import requests
from multidict import MultiDict
from twilio.rest import Client

from tests.rehearsal.phone_app import PERSON, play, standing
from voice.rehearsal.carrier import params
from voice.rehearsal.carrier.faults import Faults
from voice.rehearsal.carrier.options import ACCOUNT_SID, AUTH_TOKEN
from voice.rehearsal.scenario import OUR_NUMBER

ALL = ["initiated", "ringing", "answered", "completed"]


async def test_an_answered_call_is_reported_step_by_step() -> None:
    async with standing() as stand:
        stand.rehearsal.plan(PERSON, play({"caller": {"silence_s": 30}}))
        app = stand.app
        app.twiml["/answer"] = "<Response><Pause length='1'/><Hangup/></Response>"
        made = await stand.sdk(
            lambda c: c.calls.create(
                to=PERSON,
                from_=OUR_NUMBER,
                url=f"{app.base_url}/answer?x=1",
                status_callback=f"{app.base_url}/status?attempt=7",
                status_callback_event=ALL,
            )
        )
        assert (made.status, made.direction, made.start_time) == ("queued", "outbound-api", None)
        await stand.ended(str(made.sid))
        forms = app.forms("/status")
        by_number = sorted(forms, key=lambda form: int(form["SequenceNumber"]))
        assert [f["CallStatus"] for f in by_number] == ["initiated", "ringing", "in-progress", "completed"]
        assert [f["SequenceNumber"] for f in by_number] == ["0", "1", "2", "3"]
        seconds = by_number[-1]["CallDuration"]
        assert 1 <= int(seconds) < 10
        assert by_number[-1]["CallbackSource"] == "call-progress-events"
        now = await stand.sdk(lambda c: c.calls(str(made.sid)).fetch())
        assert (now.status, now.duration) == ("completed", seconds)
        assert now.date_created is not None


@pytest.mark.parametrize(
    ("answer", "status", "sip"),
    [("busy", "busy", "486"), ("failed", "failed", "404"), ("no-answer", "no-answer", "480")],
)
async def test_people_who_do_not_pick_up(answer: str, status: str, sip: str) -> None:
    async with standing() as stand:
        stand.rehearsal.plan(PERSON, play(answer=answer))
        url = f"{stand.app.base_url}/status"
        made = await stand.sdk(
            lambda c: c.calls.create(
                to=PERSON, from_=OUR_NUMBER, twiml="<Response><Hangup/></Response>", status_callback=url
            )
        )
        await stand.ended(str(made.sid))
        (form,) = stand.app.forms("/status")
        assert (form["CallStatus"], form["SipResponseCode"], form["CallDuration"]) == (status, sip, "0")
        assert "Duration" not in form


async def test_ringing_ends_with_the_timeout() -> None:
    async with standing(speed=20) as stand:
        stand.rehearsal.plan(PERSON, play(answer="person", ring_s=30))
        made = await stand.sdk(
            lambda c: c.calls.create(
                to=PERSON, from_=OUR_NUMBER, twiml="<Response><Hangup/></Response>", timeout=5
            )
        )
        record = await stand.ended(str(made.sid))
        assert (record.status, record.sip_code) == ("no-answer", 487)


@pytest.mark.parametrize(
    ("change", "code", "status"),
    [
        ({"to": "12"}, 21211, 400),
        ({"from_": "+14155559999", "twiml": "<Response/>"}, 21210, 400),
        ({"from_": "nobody"}, 21212, 400),
        ({"url": "ftp://x"}, 21205, 400),
        ({"twiml": "<Response>" + "x" * 4000}, 20001, 400),
        ({"url": "http://127.0.0.1/x", "machine_detection": "Maybe"}, 20001, 400),
        ({}, 21205, 400),
    ],
)
async def test_what_it_refuses(change: dict[str, str], code: int, status: int) -> None:
    async with standing() as stand:
        wish = {"to": PERSON, "from_": OUR_NUMBER} | change
        error = await stand.refused(lambda c: c.calls.create(**wish))
        assert (error.code, error.status) == (code, status)
        assert not stand.exchange.books.calls


async def test_credentials_and_unknown_things() -> None:
    async with standing() as stand:
        base = stand.rehearsal.carrier_url

        def get(path: str, token: str = AUTH_TOKEN) -> tuple[int, int]:
            answer = requests.get(f"{base}/2010-04-01{path}", auth=(ACCOUNT_SID, token), timeout=5)
            return answer.status_code, answer.json()["code"]

        assert await asyncio.to_thread(get, f"/Accounts/{ACCOUNT_SID}/Calls.json", "wrong") == (401, 20003)
        assert await asyncio.to_thread(get, f"/Accounts/{ACCOUNT_SID}/Nothing.json") == (404, 20404)
        assert await asyncio.to_thread(get, f"/Accounts/AC{'1' * 32}/Calls.json") == (404, 20404)
        error = await stand.refused(lambda c: c.calls("CA" + "0" * 32).fetch())
        assert error.code == 20404


async def test_events_in_one_string_mean_no_callbacks_at_all() -> None:
    async with standing() as stand:
        stand.rehearsal.plan(PERSON, play(answer="busy"))
        made = await stand.sdk(
            lambda c: c.calls.create(
                to=PERSON,
                from_=OUR_NUMBER,
                twiml="<Response/>",
                status_callback=f"{stand.app.base_url}/status",
                status_callback_event=["initiated ringing completed"],
            )
        )
        await stand.ended(str(made.sid))
        assert stand.app.hooks == []
        assert stand.codes(str(made.sid)) == [21626]


async def test_calls_wait_for_their_second() -> None:
    async with standing(speed=10, calls_per_second=1.0) as stand:
        stand.rehearsal.plan(PERSON, play(answer="busy"))
        form = MultiDict({"To": PERSON, "From": OUR_NUMBER, "Twiml": "<Response/>"})
        made = [stand.exchange.create(params.create_call(form)) for _ in range(3)]
        assert [record.queue_ms for record in made[:1]] == [0]
        assert 1900 <= made[2].queue_ms <= 2000
        records = [await stand.ended(record.sid) for record in made]
        starts = [record.history[1].clock_s for record in records]
        assert all(later - earlier > 0.9 for earlier, later in pairwise(starts))


async def test_hang_up_cancel_and_too_late() -> None:
    async with standing() as stand:
        stand.rehearsal.plan(PERSON, play({"caller": {"silence_s": 500}}))
        pause = "<Response><Pause length='600'/></Response>"
        made = await stand.sdk(lambda c: c.calls.create(to=PERSON, from_=OUR_NUMBER, twiml=pause))
        sid = str(made.sid)
        await stand.in_progress(sid)
        assert (await stand.refused(lambda c: c.calls(sid).update(status="canceled"))).code == 21220
        done = await stand.sdk(lambda c: c.calls(sid).update(status="completed"))
        assert done.status == "completed"
        assert (await stand.refused(lambda c: c.calls(sid).update(twiml=pause))).code == 21220
        stand.rehearsal.plan(PERSON, play(ring_s=300))
        made = await stand.sdk(lambda c: c.calls.create(to=PERSON, from_=OUR_NUMBER, twiml=pause))
        gone = await stand.sdk(lambda c: c.calls(str(made.sid)).update(status="canceled"))
        assert gone.status == "canceled"


async def test_the_list_filters_and_pages() -> None:
    async with standing() as stand:
        stand.rehearsal.plan(PERSON, play(answer="busy"))
        other = "+14155550143"
        stand.rehearsal.plan(other, play(answer="busy"))

        def four(client: Client) -> list[str]:
            wish = {"from_": OUR_NUMBER, "twiml": "<Response/>"}
            return [str(client.calls.create(to=to, **wish).sid) for to in (PERSON, PERSON, PERSON, other)]

        for sid in await stand.sdk(four):
            await stand.ended(sid)
        mine = await stand.sdk(lambda c: c.calls.list(to=PERSON, page_size=2))
        assert len(mine) == 3
        assert len({call.sid for call in mine}) == 3
        later = datetime.now(UTC) + timedelta(hours=1)
        assert await stand.sdk(lambda c: c.calls.list(start_time_after=later)) == []
        earlier = datetime.now(UTC) - timedelta(hours=1)
        assert len(await stand.sdk(lambda c: c.calls.list(start_time_after=earlier, status="busy"))) == 4


async def test_detection_in_the_background_and_before_the_call() -> None:
    async with standing() as stand:
        app = stand.app
        app.twiml["/answer"] = "<Response><Pause length='4'/></Response>"
        machine = play({"caller": {"silence_s": 60}}, answer="machine", amd_after_s=1)
        stand.rehearsal.plan(PERSON, machine)
        wish = {"to": PERSON, "from_": OUR_NUMBER, "url": f"{app.base_url}/answer"}
        made = await stand.sdk(
            lambda c: c.calls.create(
                **wish,
                machine_detection="DetectMessageEnd",
                async_amd="true",
                async_amd_status_callback=f"{app.base_url}/amd",
            )
        )
        await stand.ended(str(made.sid))
        (form,) = app.forms("/amd")
        assert (form["AnsweredBy"], form["MachineDetectionDuration"]) == ("machine_end_beep", "1000")
        assert "AnsweredBy" not in app.forms("/answer")[0]
        made = await stand.sdk(lambda c: c.calls.create(**wish, machine_detection="Enable"))
        await stand.ended(str(made.sid))
        assert app.forms("/answer")[1]["AnsweredBy"] == "machine_start"


@pytest.mark.parametrize(
    ("fault", "dialled", "status"),
    [("accept_then_500", 1, 500), ("fail_500", 0, 500), ("reject_429", 0, 429)],
)
async def test_creation_can_go_wrong(fault: str, dialled: int, status: int) -> None:
    async with standing() as stand:
        stand.rehearsal.plan(PERSON, play(answer="busy"))
        stand.exchange.dice.faults = Faults.model_validate({"next_creates": [fault]})
        error = await stand.refused(
            lambda c: c.calls.create(to=PERSON, from_=OUR_NUMBER, twiml="<Response/>")
        )
        assert error.status == status
        assert len(stand.exchange.books.calls) == dialled
        await stand.sdk(lambda c: c.calls.create(to=PERSON, from_=OUR_NUMBER, twiml="<Response/>"))


async def test_an_answer_can_be_lost_after_dialling() -> None:
    async with standing() as stand:
        stand.rehearsal.plan(PERSON, play(answer="busy"))
        stand.exchange.dice.faults = Faults(next_creates=["accept_then_reset"])
        with pytest.raises(requests.ConnectionError):
            await stand.sdk(lambda c: c.calls.create(to=PERSON, from_=OUR_NUMBER, twiml="<Response/>"))
        (sid,) = stand.exchange.books.calls
        await stand.ended(sid)
        assert stand.exchange.dials[PERSON] == 1


async def test_callbacks_can_be_doubled_and_lost() -> None:
    async with standing() as stand:
        stand.rehearsal.plan(PERSON, play(answer="busy"))
        url = f"{stand.app.base_url}/status"
        for faults, seen in (
            (Faults(callback_duplicate=1), range(2, 5)),
            (Faults(callback_drop=1), range(1)),
        ):
            stand.app.hooks.clear()
            stand.exchange.dice.faults = faults
            made = await stand.sdk(
                lambda c: c.calls.create(
                    to=PERSON, from_=OUR_NUMBER, twiml="<Response/>", status_callback=url
                )
            )
            await stand.ended(str(made.sid))
            assert len(stand.app.forms("/status")) in seen
