"""People call us."""

import httpx2

from tests.flows.world import V, World


def test_a_known_lead_calls_qualifies_and_books_a_meeting(world: World) -> None:
    call_id = world.call_in("inbound-qualified")
    call = world.finished(call_id)
    assert (call["outcome"], call["direction"]) == ("qualified", "inbound")
    assert {"search_knowledge", "list_free_slots", "book_meeting", "end_call"} <= set(world.tools_of(call_id))
    verdict = call["verdict"]
    assert verdict["meeting"]["event_id"]
    said = {item["item_id"]: item["text"] for item in world.transcript(call_id)}
    quotes = [criterion["evidence"] for criterion in verdict["criteria"] if criterion["evidence"]]
    assert quotes
    assert all(quote["quote"] in said[quote["item_id"]] for quote in quotes)
    lead = world.lead("+14155550101")
    assert (lead["stage"], lead["qualification"], lead["last_outcome"]) == (
        "qualified",
        "qualified",
        "qualified",
    )
    done = world.delivered(call_id, "agent.run.completed")
    assert done.verified
    assert done.data["outcome"] == "qualified"
    assert world.delivered(call_id, "meeting.booked").verified
    assert world.delivered(call_id, "recording.available").verified


def test_the_recording_has_two_channels_and_the_length_of_the_call(world: World) -> None:
    call = next(call for call in world.calls(outcome="qualified", direction="inbound"))
    recording = world.api.get(f"{V}/calls/{call['id']}/recording")
    audio = world.api.bytes_of(recording["url"])
    assert audio[:4] == b"RIFF"
    assert int.from_bytes(audio[22:24], "little") == 2
    assert recording["duration_ms"] > 10_000


def test_an_unknown_caller_becomes_a_lead_and_is_not_a_fit(world: World) -> None:
    call_id = world.call_in("inbound-not-a-fit")
    assert world.finished(call_id)["outcome"] == "unqualified"
    assert world.lead("+14155550199")["qualification"] == "unqualified"


def test_talking_over_the_agent_cuts_it_at_what_was_heard(world: World) -> None:
    call_id = world.call_in("barge-in")
    world.finished(call_id)
    cut = [item for item in world.transcript(call_id) if item["speaker"] == "agent" and item["interrupted"]]
    assert cut
    assert all(len(item["heard_text"]) < len(item["text"]) for item in cut)


def test_a_caller_who_hangs_up_while_a_tool_runs_ends_the_call_once(world: World) -> None:
    call_id = world.call_in("caller-hangs-up-mid-tool")
    call = world.finished(call_id)
    assert call["end_reason"] == "caller-hangup"
    world.delivered(call_id, "agent.run.completed")
    kinds = [entry.type for entry in world.receiver.of_call(call_id)]
    assert kinds.count("agent.run.completed") == 1


def test_the_model_dropping_out_does_not_end_the_call(world: World) -> None:
    call_id = world.call_in("model-drop")
    world.finished(call_id)
    sessions = world.api.get(f"{V}/calls/{call_id}")["sessions"]
    assert len(sessions) >= 2


def test_silence_is_asked_about_and_then_ends_the_call(world: World) -> None:
    call = world.finished(world.call_in("silence"))
    assert call["end_reason"] == "silence"


def test_a_transfer_goes_to_the_workspaces_person(world: World) -> None:
    call = world.finished(world.call_in("transfer"))
    assert call["outcome"] == "transferred"


def test_when_the_person_does_not_pick_up_the_agent_is_back(world: World) -> None:
    call = world.finished(world.call_in("transfer-no-answer"))
    assert call["end_reason"] == "agent-hangup", "nobody was transferred"
    assert call["outcome"] != "transferred"
    said = [item["text"] for item in world.transcript(call["id"])]
    assert any("none of my colleagues" in text for text in said), said


def test_the_carrier_keeps_no_recording_that_we_have_and_a_deleted_one_is_gone(world: World) -> None:
    call = next(call for call in world.calls(direction="inbound") if call["end_reason"] == "silence")
    recording = world.api.get(f"{V}/calls/{call['id']}/recording")
    mine = (world.system.env["TWILIO_ACCOUNT_SID"], world.system.env["TWILIO_AUTH_TOKEN"])
    base = f"{world.system.carrier_url}/2010-04-01/Accounts/{mine[0]}"

    def kept() -> set[str]:
        listed = httpx2.get(f"{base}/Recordings.json", auth=mine, trust_env=False).json()["recordings"]
        return {entry["sid"] for entry in listed}

    world.until(lambda: not kept() or None, "the carrier still has its copies")
    assert httpx2.get(recording["url"], trust_env=False, follow_redirects=True).status_code == 200
    url = f"{world.system.base_url}{V}/calls/{call['id']}/recording"
    ours = {"Authorization": f"Bearer {world.key}"}
    assert httpx2.delete(url, headers=ours, trust_env=False).status_code == 204
    gone = httpx2.get(recording["url"], trust_env=False)
    assert gone.status_code in {403, 404, 410}, gone.text
    again = httpx2.get(url, headers=ours, trust_env=False)
    assert again.status_code in {404, 410}, again.text


def test_the_live_stream_resumes_without_gap_or_repeat(world: World) -> None:
    call_id = world.call_in("inbound-not-a-fit")
    seen: list[int] = []
    headers = {"authorization": f"Bearer {world.key}"}
    url = f"{world.system.base_url}{V}/calls/{call_id}/stream"
    for _ in range(1000):
        resume = {"last-event-id": str(seen[-1])} if seen else {}
        with httpx2.stream("GET", url, headers=headers | resume, timeout=60, trust_env=False) as answer:
            took = 0
            ended = True
            for line in answer.iter_lines():
                if line.startswith("id:"):
                    seen.append(int(line[3:]))
                    took += 1
                    if took == 7:  # the reader drops out after each seven lines
                        ended = False
                        break
        if ended:
            break
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) > 20
    assert world.finished(call_id)["status"] == "finalized"
