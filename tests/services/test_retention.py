"""What is kept how long: what goes, what stays, what is held, and what the receipts say."""

import io
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from crm.models import TimelineEntry
from tenex.errors import Conflict, InvalidInput, NotFound
from tenex.events import services as events
from tenex.events.models import Event
from tenex.workspaces.models import AuditEntry, Workspace
from tests import rows
from voice.models import (
    Call,
    CallEvent,
    KeptClass,
    Outcome,
    PurgeReceipt,
    Recording,
    RecordingStatus,
    ToolCall,
    Turn,
    Verdict,
)
from voice.selectors import calls as read
from voice.selectors import retention as looked
from voice.services import holds, journal, retention

SECRET = "my sister lives in Reykjavik"


pytestmark = pytest.mark.usefixtures("media")


def kept(space: Workspace, *, days: float, **fields: Any) -> Call:
    """A finalized call that ended so many days ago, with something of every class."""
    agent = Call.objects.filter(workspace=space).select_related("agent_version").first()
    fields.setdefault("agent", agent.agent_version if agent else None)
    call = rows.call(space, variables={"note": SECRET}, objective=SECRET, **fields)
    rows.say(call, ("caller", SECRET), ("agent", f"So {SECRET}."))
    ToolCall.objects.create(
        workspace=space, call=call, tool_call_id="t", name="update_lead", arguments={"note": SECRET}
    )
    journal.append(
        call.pk,
        [
            journal.Line("transcript.delta", {"text": SECRET}),
            journal.Line("call.status", {"status": "ended"}),
        ],
    )
    rows.end(call)
    ended = timezone.now() - timedelta(days=days)
    Call.objects.filter(pk=call.pk).update(
        status="finalized", outcome=Outcome.QUALIFIED, finalized_at=ended, ended_at=ended,
        answered_at=ended - timedelta(minutes=1), placed_at=ended - timedelta(minutes=2),
    )  # fmt: skip
    Verdict.objects.create(
        workspace=space, call=call, qualification="qualified", confidence=0.9, summary=SECRET,
        reasons=[SECRET], criteria=[{"name": "home", "quote": SECRET}],
    )  # fmt: skip
    if call.lead_id:
        TimelineEntry.objects.create(
            workspace=space, lead_id=call.lead_id, type="call.verdict", call_id=call.pk, summary=SECRET
        )
    events.record(workspace_id=space.pk, type="call.ended", data={"said": SECRET}, call_id=call.pk)
    name = default_storage.save(f"recordings/{call.pk}.wav", ContentFile(b"x" * 100))
    Recording.objects.create(
        workspace=space, call=call, provider_sid=f"RE{call.pk.hex}", source_url="u", size_bytes=100,
        status=RecordingStatus.STORED, file=name, purge_after=ended + timedelta(days=30),
    )  # fmt: skip
    call.refresh_from_db()
    return call


def everything(call: Call) -> dict[str, Any]:
    recording = Recording.objects.get(call=call)
    return {
        "audio": recording.status == RecordingStatus.STORED and default_storage.exists(recording.file),
        "turns": Turn.objects.filter(call=call).count(),
        "arguments": ToolCall.objects.get(call=call).arguments,
        "lines": sorted(CallEvent.objects.filter(call=call).values_list("type", flat=True)),
        "summary": Verdict.objects.get(call=call).summary,
        "events": Event.objects.filter(call_id=call.pk).count(),
    }


@pytest.fixture
def space() -> Workspace:
    return rows.workspace(
        recording_retention_days=30, transcript_retention_days=60, journal_retention_days=90,
        evidence_retention_days=365,
    )  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("days", "gone"),
    [
        (29.9, set()),
        (30.1, {"audio"}),
        (61, {"audio", "transcript"}),
        (91, {"audio", "transcript", "journal"}),
        (366, {"audio", "transcript", "journal", "evidence"}),
    ],
)
def test_each_class_goes_in_its_time_and_no_other(space: Workspace, days: float, gone: set[str]) -> None:
    call = kept(space, days=days, lead=rows.lead(space))
    retention.purge(space)
    left = everything(call)
    assert left["audio"] is ("audio" not in gone)
    assert bool(left["turns"]) is bool(left["arguments"]) is ("transcript" not in gone)
    assert ("transcript.delta" in left["lines"]) is ("transcript" not in gone)
    assert ("call.status" in left["lines"]) is ("journal" not in gone)
    assert bool(left["summary"]) is bool(left["events"]) is ("evidence" not in gone)
    if "evidence" in gone:  # what is left of the call is figures
        verdict = Verdict.objects.get(call=call)
        call.refresh_from_db()
        assert (verdict.qualification, verdict.confidence, call.outcome) == ("qualified", 0.9, "qualified")
        tables = [Turn, ToolCall, CallEvent, Verdict, TimelineEntry, Event, Call]
        told = " ".join(str(list(table.objects.values())) for table in tables)  # type: ignore[attr-defined]
        assert SECRET not in told


@pytest.mark.django_db
def test_receipts_count_what_went_and_tell_who_changes_them(space: Workspace) -> None:
    kept(space, days=400, lead=rows.lead(space))
    kept(space, days=40)
    retention.purge(space)
    assert retention.purge(space) == {}, "nothing is due twice"
    receipts = {row.kept_class: row for row in PurgeReceipt.objects.filter(workspace=space)}
    assert receipts["audio"].counts == {"recordings": 2, "files": 2, "bytes": 200}
    assert receipts["transcript"].counts == {"calls": 1, "turns": 2, "tool_calls": 1, "lines": 1}
    assert receipts["evidence"].counts == {
        "calls": 1,
        "verdicts": 1,
        "corrections": 0,
        "timeline": 1,
        "event": 2,
    }
    assert SECRET not in str(list(PurgeReceipt.objects.values()))
    assert retention.first_forged(space) is None
    row = PurgeReceipt.objects.get(workspace=space, number=2)
    PurgeReceipt.objects.filter(pk=row.pk).update(counts={**row.counts, "calls": 0})
    assert retention.first_forged(space) == 2
    PurgeReceipt.objects.filter(pk=row.pk).delete()
    assert retention.first_forged(space) == 2


@pytest.mark.django_db
def test_a_changed_setting_holds_for_what_exists(space: Workspace) -> None:
    call = kept(space, days=10)
    retention.purge(space)
    assert everything(call)["audio"]
    audio, *_ = looked.outlook(space, timezone.now(), days={KeptClass.AUDIO: 7})
    assert (audio.days, audio.changed, audio.more) == (7, True, True)
    assert audio.then == {"calls": 1, "recordings": 1, "bytes": 100}
    Workspace.objects.filter(pk=space.pk).update(recording_retention_days=7, transcript_retention_days=9)
    space.refresh_from_db()
    due = {one.kept_class: one.now for one in looked.outlook(space, timezone.now())}
    assert due[KeptClass.TRANSCRIPT] == {"calls": 1}
    retention.purge(space)
    left = everything(call)
    assert (left["audio"], left["turns"], left["summary"]) == (False, 0, SECRET)
    with pytest.raises(Exception, match="deleted"):
        read.recording(space, call.pk)


@pytest.mark.django_db
@pytest.mark.parametrize("of", ["call", "lead", "workspace"])
def test_what_is_held_stays_until_it_is_released(space: Workspace, of: str) -> None:
    call = kept(space, days=400, lead=rows.lead(space))
    other = kept(space, days=400)
    which = {"call": {"call_id": call.pk}, "lead": {"lead_id": call.lead_id}, "workspace": {}}[of]
    made = holds.hold(space, reason="court", actor="user:a", **which)  # type: ignore[arg-type]
    before = everything(call)
    retention.purge(space)
    assert everything(call) == before
    assert everything(other)["audio"] is (of == "workspace")
    holds.release(made, actor="user:a")
    with pytest.raises(Conflict):
        holds.release(made, actor="user:a")
    retention.purge(space)
    assert not everything(call)["audio"]
    told = AuditEntry.objects.filter(action__startswith="retention.").values_list("action", flat=True)
    assert sorted(told) == ["retention.held", "retention.released"]


@pytest.mark.django_db
def test_a_hold_is_of_what_is_in_the_workspace(space: Workspace) -> None:
    with pytest.raises(NotFound):
        holds.hold(space, reason="court", actor="user:a", call_id=uuid.uuid4())
    foreign = rows.lead(rows.workspace("other"))
    with pytest.raises(NotFound):
        holds.hold(space, reason="court", actor="user:a", lead_id=foreign.pk)
    with pytest.raises(InvalidInput):
        holds.hold(space, reason=" x ", actor="user:a")


@pytest.mark.django_db
def test_other_workspaces_and_calls_that_are_not_over_are_not_touched(space: Workspace) -> None:
    live = rows.call(space)
    rows.say(live, ("caller", SECRET))
    Call.objects.filter(pk=live.pk).update(created_at=timezone.now() - timedelta(days=400))
    retention.purge(space)
    assert Turn.objects.filter(call=live).count() == 1


@pytest.mark.django_db
def test_the_command_shows_does_and_verifies(space: Workspace) -> None:
    call = kept(space, days=400)

    def run(*words: str) -> str:
        out = io.StringIO()
        call_command("retention", *words, stdout=out)
        return out.getvalue()

    assert "audio       1 calls, 1 recordings, 100 bytes" in run("preview", "--workspace", space.slug)
    held = run("hold", "--workspace", space.slug, "--call", str(call.pk), "--reason", "court").strip()
    assert held in run("holds")
    assert "0 recordings" in run("preview")
    assert "nothing was due" in run("run")
    run("release", "--hold", held)
    assert "1 recordings" in run("run")
    assert "4 receipts hold" in run("verify")
    PurgeReceipt.objects.filter(number=3).update(digest="0" * 64)
    with pytest.raises(CommandError, match="receipt 3"):
        run("verify")


@pytest.mark.django_db
def test_holds_are_made_and_released_in_the_admin(space: Workspace, admin_client: Client) -> None:
    call = kept(space, days=400)
    foreign = rows.workspace("other")
    path = "/admin/voice/legalhold/add/"
    sent = {"workspace": str(foreign.pk), "call": str(call.pk), "lead": "", "reason": "court"}
    assert "no such call" in admin_client.post(path, sent).content.decode()
    sent["workspace"] = str(space.pk)
    assert "say why" in admin_client.post(path, {**sent, "reason": "x"}).content.decode()
    assert admin_client.post(path, sent).status_code == 302
    [made] = looked.holds(space)
    assert (made.call_id, made.reason) == (call.pk, "court")
    sent = {"action": "release", "_selected_action": str(made.pk)}
    assert admin_client.post("/admin/voice/legalhold/", sent).status_code == 302
    assert not looked.holds(space).exists()
    assert admin_client.get("/admin/voice/purgereceipt/").status_code == 200
