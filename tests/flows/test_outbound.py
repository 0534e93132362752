"""We call people."""

from tests.flows.world import V, World


def test_a_batch_of_three_ends_as_the_three_people_made_it(world: World) -> None:
    phones = [world.phones[last] for last in ("0102", "0103", "0104")]
    leads = [world.lead(phone)["id"] for phone in phones]
    batch = world.batch(leads)
    done = world.completed(batch["id"])
    assert done["status"] == "completed"
    outcomes = {call["lead_id"]: call["outcome"] for call in world.calls(batch_id=batch["id"])}
    assert [outcomes[lead] for lead in leads] == ["qualified", "no-answer", "opted-out"]
    assert [world.dials_to(phone) for phone in phones] == [1, 1, 1]
    results = world.api.get(f"{V}/batches/{batch['id']}/results")["items"]
    assert {entry["lead_id"] for entry in results} == set(leads)
    refused = world.lead(phones[2])
    assert refused["opted_out_at"]


def test_somebody_who_said_stop_is_not_dialed_again(world: World) -> None:
    phone = world.phones["0104"]
    lead = world.lead(phone)["id"]
    before = world.dials_to(phone)
    batch = world.batch([lead])
    assert [entry["code"] for entry in batch["rejected"]] == ["opted_out"]
    assert world.dials_to(phone) == before


def test_an_answering_machine_is_recognized(world: World) -> None:
    number = world.number("0107")
    world.answers(number, _machine(number))
    batch = world.batch([world.new_lead(number)])
    world.completed(batch["id"])
    call = world.calls(batch_id=batch["id"])[0]
    assert call["outcome"] == "voicemail"


def test_an_answer_that_is_lost_does_not_dial_twice(world: World) -> None:
    number = world.number("0108")
    world.answers(number, _busy(number))
    world.carrier("PUT", "faults", {"next_creates": ["accept_then_500"]})
    try:
        batch = world.batch([world.new_lead(number)])
        world.completed(batch["id"])
    finally:
        world.carrier("PUT", "faults", {})
    assert world.dials_to(number) == 1
    assert world.calls(batch_id=batch["id"])[0]["outcome"] == "busy"


def _machine(number: str) -> dict[str, object]:
    return {
        "name": "machine",
        "call": {"direction": "outbound", "to": number, "answer": "machine", "ring_s": 1},
        "script": [
            {"caller": "You have reached the voicemail of nobody. Please leave a message after the beep."}
        ],
    }


def _busy(number: str) -> dict[str, object]:
    return {
        "name": "busy",
        "call": {"direction": "outbound", "to": number, "answer": "busy", "ring_s": 1},
        "script": [],
    }
