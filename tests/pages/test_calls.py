"""The list of calls and the page of one: filters, evidence, corrections, links, the waveform."""

import asyncio
import csv
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm.models import Lead, TimelineEntry
from crm.services import leads
from tenex.events.models import Event
from tenex.workspaces.models import AuditEntry, Membership, Role, User, Workspace
from tests import rows
from tests.pages import desk
from voice.models import (
    Batch,
    Call,
    CallShare,
    Decision,
    PhoneNumber,
    Recipient,
    Recording,
    Verdict,
    VerdictCorrection,
    Waveform,
)
from voice.postcall import peaks, wav, waveform
from voice.services import erasure, recording_files, retention

pytestmark = pytest.mark.django_db
L = "/console/calls"


@pytest.fixture
def space() -> Workspace:
    return rows.workspace(time_zone="America/New_York")


def member(role: Role, space: Workspace, email: str = "ava@example.com") -> Client:
    user = User.objects.create(email=email)
    Membership.objects.create(user=user, workspace=space, role=role)
    made = Client()
    made.force_login(user)
    return made


@pytest.fixture
def client(space: Workspace) -> Client:
    return member(Role.OWNER, space)


def text_of(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, answer.content.decode()[-2000:]
    return str(answer.content.decode())


def found(client: Client, query: str) -> int:
    """How many rows a filtered list has."""
    return text_of(client, f"{L}?{query}").count('class="main-link"')


# --- the list


def test_filters_leave_what_they_say(space: Workspace, client: Client) -> None:
    agent = rows.version(space)
    one = desk.judged(space, agent=agent)
    other = desk.judged(space, agent=agent, outcome="busy", direction="outbound")
    Verdict.objects.filter(call=other).update(needs_review=True)
    Call.objects.filter(pk=other.pk).update(created_at="2026-03-02T04:30:00Z")  # Sunday evening in New York
    assert found(client, "") == 2
    assert found(client, "outcome=qualified&outcome=busy") == 2
    assert found(client, "outcome=qualified,failed") == 1
    assert found(client, "needs_review=true") == 1
    assert found(client, f"agent_id={agent.agent_id}&version=1") == 2
    assert found(client, "version=2") == 0
    assert found(client, f"number_id={one.number_id}") == 2
    assert found(client, "from=2026-03-01&to=2026-03-01") == 1, (
        "a day of the workspace's zone, both ends in it"
    )
    assert found(client, "from=2026-03-02&to=2026-03-02") == 0
    assert found(client, "weekday=7&hour=23") == 1
    assert found(client, "weekday=1&hour=4") == 0
    assert found(client, "direction=outbound&q=0101") == 1


def test_each_filter_is_a_chip_that_takes_it_away(space: Workspace, client: Client) -> None:
    agent = rows.version(space)
    page = text_of(client, f"{L}?outcome=busy&outcome=failed&agent_id={agent.agent_id}&q=&cursor=")
    assert f'href="?agent_id={agent.agent_id}&amp;outcome=failed"' in page or (
        f'href="?outcome=failed&amp;agent_id={agent.agent_id}"' in page
    )
    assert "Remove filter: Agent: Ava" in page
    assert "“”" not in page, "an empty field is no filter"


def test_pages_follow_each_other_with_the_filters(space: Workspace, client: Client) -> None:
    agent = rows.version(space)
    for _ in range(3):
        desk.judged(space, agent=agent)
    first = client.get(f"{L}?limit=2&outcome=qualified")
    cursor = first.context["next_cursor"]
    second = client.get(f"{L}?limit=2&outcome=qualified&cursor={cursor}")
    seen = {call.pk for call in [*first.context["calls"], *second.context["calls"]]}
    assert len(seen) == 3


def queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        text_of(client, path)
    return len(captured)


def test_the_list_costs_the_same_for_one_and_for_many(space: Workspace, client: Client) -> None:
    agent = rows.version(space)
    desk.judged(space, agent=agent)
    batch = Batch.objects.create(
        workspace=space, objective="o", agent=agent.agent, number=PhoneNumber.objects.get()
    )
    one = queries(client, L)
    for n in range(9):
        lead = rows.lead(space, phone=f"+1415555020{n}", company_name=f"Firm {n}")
        desk.judged(space, agent=agent, lead=lead, batch=batch)
    assert queries(client, L) == one


@pytest.mark.django_db(transaction=True)
def test_the_file_has_what_the_filters_leave_and_is_noted(space: Workspace, client: Client) -> None:
    agent = rows.version(space)
    lead = rows.lead(space, first_name="=cmd", last_name="|' /C calc'!A0")
    for _ in range(3):
        desk.judged(space, agent=agent, lead=lead)
    desk.judged(space, agent=agent, outcome="busy")
    answer: Any = client.get("/console/calls.csv?outcome=qualified&limit=1")
    assert answer.status_code == 200

    async def read() -> bytes:
        return b"".join([part async for part in answer.streaming_content])

    table = list(csv.DictReader(io.StringIO(asyncio.run(read()).decode())))
    assert [row["outcome"] for row in table] == ["qualified"] * 3
    assert table[0]["lead_name"].startswith("'="), "a spreadsheet reads it as text"
    assert (table[0]["agent"], table[0]["first_audio_ms"], table[0]["answer_p50_ms"]) == ("Ava", "120", "640")
    assert AuditEntry.objects.filter(action="calls.exported").count() == 1
    assert client.get("/console/calls.csv?outcome=nonsense").status_code == 422


# --- the page


def test_the_page_strikes_what_was_not_heard_and_shows_tools_and_quotes(
    space: Workspace, client: Client
) -> None:
    call = desk.judged(space, lead=rows.lead(space))
    page = text_of(client, f"{L}/{call.pk}")
    assert '<span class="heard">Great.</span> <del class="unheard"' in page
    assert "Shall I book a meeting?</del>" in page
    assert "check_availability" in page
    assert "&quot;slots&quot;" in page
    assert 'href="#line-2" data-quote' in page
    assert "$0.0640" in page or "Model: speaking" in page
    assert "not recorded" in page


def test_foreign_calls_are_not_there_by_any_door(space: Workspace, client: Client) -> None:
    other = rows.workspace("other")
    foreign = desk.judged(other, number=None)
    for tail in ("", "/state", "/peaks", "/recording", "/transcript.txt", "/transcript.vtt", "/journal"):
        assert client.get(f"{L}/{foreign.pk}{tail}").status_code == 404, tail
    assert client.post(f"{L}/{foreign.pk}/verdict", {"qualification": "qualified"}).status_code == 404
    assert client.post(f"{L}/{foreign.pk}/shares", {"hours": "1"}).status_code == 404
    assert client.post(f"{L}/{foreign.pk}/recording/delete").status_code == 404
    mine = desk.judged(space)
    share = CallShare.objects.create(
        workspace=other, call=foreign, digest=b"1" * 32, created_by="t", issuer="t", expires_at=timezone.now()
    )
    assert client.post(f"{L}/{mine.pk}/shares/{share.pk}/revoke").status_code == 404


def test_a_call_under_way_points_to_its_live_page(space: Workspace, client: Client) -> None:
    call = rows.call(space)
    page = text_of(client, f"{L}/{call.pk}")
    assert f"/console/live/{call.pk}" in page
    assert client.get(f"{L}/{call.pk}/state").json() == {"state": "in_progress:none"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {
                "outcome": "no-answer",
                "end_reason": "no-answer",
                "answered_at": None,
                "duration_ms": None,
                "latency": {},
                "usage": {},
            },
            "Nobody answered, so there is nothing to judge.",
        ),
        ({"outcome": "busy", "end_reason": "busy", "answered_at": None, "duration_ms": None}, "busy"),
        ({"outcome": "voicemail", "end_reason": "machine"}, "This call is not judged (voicemail)."),
    ],
)
def test_calls_without_a_verdict_say_why(
    space: Workspace, client: Client, fields: dict[str, Any], said: str
) -> None:
    call = rows.call(space)
    now = timezone.now()
    Call.objects.filter(pk=call.pk).update(
        status="finalized", ended_at=now, finalized_at=now, direction="outbound", **fields
    )
    assert said in text_of(client, f"{L}/{call.pk}")


def test_a_call_that_is_being_finalized_looks_again(space: Workspace, client: Client) -> None:
    call = rows.end(rows.call(space))
    page = text_of(client, f"{L}/{call.pk}")
    assert f'data-watch="{L}/{call.pk}/state" data-known="ended:none"' in page


def test_what_there_is_to_hear_is_said(space: Workspace, client: Client, media: Path) -> None:
    call = desk.judged(space)
    row = desk.recorded(call, desk.wav([], 1000))
    assert "<audio" in text_of(client, f"{L}/{call.pk}")
    Recording.objects.filter(pk=row.pk).update(purge_after=timezone.now() - timedelta(days=1))
    page = text_of(client, f"{L}/{call.pk}")
    assert "<audio" not in page
    assert "The recording was deleted" in page
    Recording.objects.filter(pk=row.pk).update(status="failed", file="", purge_after=None)
    assert "could not be fetched" in text_of(client, f"{L}/{call.pk}")
    row.delete()
    Workspace.objects.update(recording_consent="off")
    assert "Calls are not recorded in this workspace" in text_of(client, f"{L}/{call.pk}")


def test_words_that_were_deleted_are_said_to_be(space: Workspace, client: Client) -> None:
    call = desk.judged(space)
    Call.objects.filter(pk=call.pk).update(ended_at=timezone.now() - timedelta(days=400), answered_at=None)
    retention.purge(space)
    page = text_of(client, f"{L}/{call.pk}")
    assert "The words are deleted" in page
    assert "two thousand" not in page
    assert "Qualified" in page


def test_a_correction_goes_with_the_evidence(space: Workspace, client: Client) -> None:
    call = desk.judged(space)
    correct(client, call)
    Call.objects.filter(pk=call.pk).update(ended_at=timezone.now() - timedelta(days=400), answered_at=None)
    retention.purge(space)
    assert "rupees" not in text_of(client, f"{L}/{call.pk}")
    row = VerdictCorrection.objects.get()
    assert (row.reason, row.before, row.after) == ("", {}, {})
    assert "rupees" not in str(list(AuditEntry.objects.values()))


def test_forgetting_a_person_voids_links_and_takes_corrections_along(
    space: Workspace, client: Client, media: Path
) -> None:
    call = desk.judged(space, from_number="+14155550177")
    row = desk.recorded(call, desk.wav([], 1000))
    waveform.make(row.pk)
    path = shared(client, call)
    correct(client, call)
    assert erasure.run(erasure.ask(space, actor="user:a", phone="+14155550177"))
    assert Client().get(path).status_code == 410
    assert not Waveform.objects.exists()
    kept = [VerdictCorrection, Verdict, Event, AuditEntry, TimelineEntry]
    told = " ".join(str(list(model._default_manager.values())) for model in kept)
    assert "rupees" not in told
    assert "0177" not in text_of(client, f"{L}/{call.pk}")


def test_a_long_call_in_a_right_to_left_language_costs_as_many_queries(
    space: Workspace, client: Client
) -> None:
    call = desk.judged(space)
    few = queries(client, f"{L}/{call.pk}")
    for n in range(3, 300):
        desk.turn(call, n, "caller" if n % 2 else "agent", "שלום, מה שלומך היום?", n * 3000, n * 3000 + 2000)
    assert queries(client, f"{L}/{call.pk}") == few
    assert text_of(client, f"{L}/{call.pk}").count('<p dir="auto">') >= 300


def test_why_it_was_allowed_is_shown(space: Workspace, client: Client) -> None:
    call = desk.judged(space, direction="outbound", lead=rows.lead(space))
    Decision.objects.create(
        workspace=space,
        call=call,
        lead=call.lead,
        stage="dial",
        allowed=True,
        inputs={"consent": "form"},
        at=timezone.now(),
    )
    page = text_of(client, f"{L}/{call.pk}")
    assert "Right before the dial" in page
    assert "1 decision" in page


def test_the_journal_has_pages(space: Workspace, client: Client) -> None:
    call = desk.judged(space)
    assert "call.stream_started" in text_of(client, f"{L}/{call.pk}/journal")
    part = client.get(f"{L}/{call.pk}/journal", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part


# --- correcting a verdict


def correct(client: Client, call: Call, **fields: str) -> Any:
    sent = {
        "qualification": "unqualified",
        "criterion": ["budget", "need"],
        "met-1": "no",
        "met-2": "unknown",
        "reason": "Two thousand rupees.",
        **fields,
    }
    return client.post(f"{L}/{call.pk}/verdict", sent)


def test_a_correction_reaches_call_lead_recipient_and_webhooks_and_keeps_the_original(
    space: Workspace, client: Client
) -> None:
    lead = rows.lead(space)
    agent = rows.version(space)
    call = desk.judged(space, lead=lead, agent=agent, direction="outbound")
    batch = Batch.objects.create(
        workspace=space, objective="o", agent=agent.agent, number=PhoneNumber.objects.get()
    )
    recipient = Recipient.objects.create(
        workspace=space, batch=batch, lead=lead, position=1, status="done", outcome="qualified"
    )
    Call.objects.filter(pk=call.pk).update(batch=batch, recipient=recipient)
    Verdict.objects.filter(call=call).update(needs_review=True)
    assert call.answered_at
    leads.write_back(
        lead.pk,
        call_id=call.pk,
        called_at=call.answered_at,
        outcome="qualified",
        qualification="qualified",
        talked=True,
        summary="Has a budget.",
        data={},
    )
    assert Lead.objects.get().stage == "qualified"

    assert correct(client, call).status_code == 302

    call.refresh_from_db()
    lead.refresh_from_db()
    recipient.refresh_from_db()
    verdict = Verdict.objects.get()
    assert (call.outcome, recipient.outcome) == ("unqualified", "unqualified")
    assert (lead.qualification, lead.stage, lead.last_outcome) == ("unqualified", "contacted", "unqualified")
    assert (verdict.qualification, verdict.needs_review, verdict.confidence) == ("unqualified", False, 1.0)
    assert verdict.corrected_by == "user:ava@example.com"
    assert verdict.criteria[0] == {"name": "budget", "met": False, "evidence": None}
    row = VerdictCorrection.objects.get()
    assert (row.before["qualification"], row.before["outcome"]) == ("qualified", "qualified")
    assert row.before["criteria"][0]["evidence"]["quote"] == "two thousand dollars"
    event = Event.objects.get(type="verdict.corrected")
    assert event.data["verdict"]["qualification"] == "unqualified"
    assert event.data["previous"]["qualification"] == "qualified"
    assert event.data["reason"] == "Two thousand rupees."
    assert Event.objects.filter(type="lead.updated", call_id=call.pk).count() == 2
    assert TimelineEntry.objects.filter(type="call.verdict_corrected", lead=lead).count() == 1
    entry = AuditEntry.objects.get(action="verdict.corrected")
    assert (entry.actor, entry.data["criteria"]) == ("user:ava@example.com", {"budget": [True, False]})
    page = text_of(client, f"{L}/{call.pk}")
    assert "By hand; the model said: met." in page
    assert "Two thousand rupees." in page


def test_a_later_call_has_the_last_word_about_the_lead(space: Workspace, client: Client) -> None:
    lead = rows.lead(space)
    call = desk.judged(space, lead=lead)
    Lead.objects.update(last_call_at=timezone.now(), qualification="qualified", last_outcome="callback")
    assert correct(client, call).status_code == 302
    lead.refresh_from_db()
    assert (lead.qualification, lead.last_outcome) == ("qualified", "callback")
    assert TimelineEntry.objects.filter(type="call.verdict_corrected").count() == 1


def test_a_second_correction_still_shows_what_the_model_said(space: Workspace, client: Client) -> None:
    call = desk.judged(space)
    correct(client, call)
    answer = correct(client, call, qualification="undetermined", reason="Nobody knows.")
    assert answer.status_code == 302
    assert [row.number for row in VerdictCorrection.objects.all()] == [1, 2]
    assert "Qualified, 80 % sure" in text_of(client, f"{L}/{call.pk}")
    assert Event.objects.filter(type="verdict.corrected").count() == 2


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"reason": "  "}, "reason"),
        ({"qualification": "maybe"}, "qualification"),
        ({"criterion": "x"}, "criteria"),
    ],
)
def test_a_correction_that_does_not_fit_changes_nothing_and_keeps_what_was_typed(
    space: Workspace, client: Client, fields: dict[str, str], field: str
) -> None:
    call = desk.judged(space)
    answer = correct(client, call, **fields)
    assert answer.status_code == 422
    assert answer.context["correction"]["errors"].keys() == {field}
    assert not VerdictCorrection.objects.exists()
    assert Verdict.objects.get().qualification == "qualified"
    if field != "reason":
        assert "Two thousand rupees." in answer.content.decode()


def test_what_has_no_verdict_cannot_be_corrected(space: Workspace, client: Client) -> None:
    call = desk.judged(space)
    Verdict.objects.all().delete()
    assert correct(client, call).status_code == 409
    assert correct(client, rows.call(space, agent=call.agent_version)).status_code == 409


def test_viewers_neither_correct_nor_share_nor_delete(space: Workspace, media: Path) -> None:
    call = desk.judged(space)
    desk.recorded(call, desk.wav([], 100))
    viewer = member(Role.VIEWER, space, "v@example.com")
    assert correct(viewer, call).status_code == 403
    assert viewer.post(f"{L}/{call.pk}/shares", {"hours": "1"}).status_code == 403
    assert viewer.post(f"{L}/{call.pk}/recording/delete").status_code == 403
    page = text_of(viewer, f"{L}/{call.pk}")
    assert "Correct this verdict" not in page
    assert "Make a link" not in page
    assert "Delete the recording" not in page


# --- sharing


def shared(client: Client, call: Call, **fields: str) -> str:
    """The path of a new link."""
    answer = client.post(f"{L}/{call.pk}/shares", {"hours": "24", **fields})
    assert answer.status_code == 201, answer.content.decode()[-1500:]
    return str(answer.context["sharing"]["url"]).removeprefix(settings.PUBLIC_BASE_URL)


def test_a_link_shows_words_and_verdict_without_a_session_and_nothing_else(
    space: Workspace, client: Client, media: Path
) -> None:
    call = desk.judged(space, lead=rows.lead(space, last_name="Lopez"))
    desk.recorded(call, desk.wav([], 1000))
    path = shared(client, call)
    answer = Client().get(path)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "two thousand dollars" in page
    assert "Maria Lopez" in page
    for hidden in ("415", "slots", "$0.", "<audio", "ava@example.com", "Raw events"):
        assert hidden not in page, hidden
    assert answer["X-Robots-Tag"].startswith("noindex")
    assert answer["Cache-Control"] == "no-store"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert Client().get(f"{path}/peaks").status_code == 404
    assert Client().get(f"{path}/recording").status_code == 404
    row = CallShare.objects.get()
    assert row.opened == 1
    assert path.rsplit("/", 1)[1] not in str(bytes(row.digest)), "the token is not kept"
    assert AuditEntry.objects.filter(action="call.shared").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_link_with_sound_plays_until_the_recording_is_deleted(
    space: Workspace, client: Client, media: Path
) -> None:
    call = desk.judged(space)
    row = desk.recorded(call, desk.wav([], 1000))
    path = shared(client, call, audio="on")
    url = Client().get(f"{path}/recording").json()["url"]
    assert url.startswith(f"/api/v1/voice/recordings/{row.pk}/media?token=")
    assert url in Client().get(path).context["audio"] or "<audio" in Client().get(path).content.decode()
    recording_files.delete(row, "user:x")
    page = Client().get(path)
    assert "The recording was deleted" in page.content.decode()
    assert Client().get(f"{path}/recording").status_code == 410
    assert Client().get(url).status_code == 410


def test_links_end(space: Workspace, client: Client) -> None:
    call = desk.judged(space)
    path = shared(client, call)
    row = CallShare.objects.get()
    assert client.post(f"{L}/{call.pk}/shares/{row.pk}/revoke").status_code == 302
    gone = Client().get(path)
    assert (gone.status_code, "This link was revoked." in gone.content.decode()) == (410, True)
    assert gone["X-Robots-Tag"].startswith("noindex")
    assert AuditEntry.objects.filter(action="call.share_revoked").count() == 1

    path = shared(client, call)
    CallShare.objects.filter(revoked_at=None).update(expires_at=timezone.now())
    gone = Client().get(path)
    assert (gone.status_code, "This link has expired." in gone.content.decode()) == (410, True)

    path = shared(member(Role.OPERATOR, space, "op@example.com"), call)
    Membership.objects.filter(role=Role.OPERATOR).delete()
    assert Client().get(path).status_code == 410, "it lends the rights of who made it"
    assert Client().get("/console/shared/nonsense").status_code == 404


@pytest.mark.parametrize("hours", ["0", "721", "", "-1", "1.5", "9999999"])
def test_a_link_is_for_an_hour_to_thirty_days(space: Workspace, client: Client, hours: str) -> None:
    call = desk.judged(space)
    assert client.post(f"{L}/{call.pk}/shares", {"hours": hours}).status_code == 422
    assert not CallShare.objects.exists()


# --- the waveform


def test_levels_and_the_place_of_the_turns_are_made_once(
    space: Workspace, client: Client, media: Path
) -> None:
    call = desk.judged(space)
    # The agent's turns are at 0.5 s and 6 s of the stream; the recording really began 0.64 s after the whole
    # second that the carrier told, so everything stands earlier in it.
    late = 640
    spans = [(1, 0, 1900 - late), (0, 2500 - late, 5000 - late), (1, 6000 - late, 7000 - late)]
    row = desk.recorded(call, desk.wav(spans, 12_000))
    assert client.get(f"{L}/{call.pk}/peaks").status_code == 202
    assert waveform.make(row.pk)
    assert not waveform.make(row.pk), "once"
    answer = client.get(f"{L}/{call.pk}/peaks")
    levels = answer.content
    assert (len(levels), answer["X-Peaks-Per-Second"]) == (2 * 12 * 50, "50")
    assert [levels[2 * step] > 0 for step in (50, 120, 300)] == [False, True, False]
    assert [levels[2 * step + 1] > 0 for step in (20, 120, 290)] == [True, False, True]
    assert abs(int(answer["X-Offset-Ms"]) + late) <= 40
    recording_files.delete(row, "user:x")
    assert not Waveform.objects.exists()
    assert client.get(f"{L}/{call.pk}/peaks").status_code == 410


def test_a_file_that_is_no_sound_has_no_waveform_but_says_so(
    space: Workspace, client: Client, media: Path
) -> None:
    call = desk.judged(space)
    row = desk.recorded(call, b"not a wav at all")
    assert waveform.make(row.pk)
    assert client.get(f"{L}/{call.pk}/peaks").json()["state"] == "failed"


def test_levels_of_one_channel_and_of_a_law(tmp_path: Path) -> None:
    mulaw = bytes([0x80]) * 8000  # the loudest code
    header = (
        b"RIFF" + (36 + len(mulaw)).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
        + (7).to_bytes(2, "little") + (1).to_bytes(2, "little") + (8000).to_bytes(4, "little") * 2
        + (1).to_bytes(2, "little") + (8).to_bytes(2, "little") + b"data" + len(mulaw).to_bytes(4, "little")
    )  # fmt: skip
    found = peaks.levels(io.BytesIO(header + mulaw), len(header) + len(mulaw))
    assert found.shape == (50, 2)
    assert found[:, 0].min() > 240
    assert not found[:, 1].any()
    with pytest.raises(wav.NotWav):
        peaks.levels(io.BytesIO(b"RIFFxxxxWAVE"), 12)


def test_without_clear_beginnings_the_guess_stays() -> None:
    noise = peaks.levels(io.BytesIO(desk.wav([(1, 0, 20_000)], 20_000)), 10**6)
    assert peaks.offset_ms(noise, [500, 6000], 137) == 137
    assert peaks.offset_ms(noise, [], 5) == 5
