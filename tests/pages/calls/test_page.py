"""The page of one call: evidence, and what is said where there is none."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from crm.models import TimelineEntry
from tenex.events.models import Event
from tenex.workspaces.models import AuditEntry, Workspace
from tests import rows
from tests.pages import desk
from tests.pages.calls.looks import L, correct, queries, shared, text_of
from voice.models import Call, CallShare, Decision, Recording, Verdict, VerdictCorrection, Waveform
from voice.postcall import waveform
from voice.services import erasure, retention

pytestmark = pytest.mark.django_db


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
