"""Forgetting a person: what is waited for, who is meant, what stays, and what is known of them before."""

import importlib
import io
import json
import zipfile
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage
from django.core.management import CommandError, call_command
from django.db import connection

from crm.models import Consent, Lead, Suppression
from crm.services import suppressions
from tenex.errors import InvalidInput, NotFound
from tenex.events.models import Event
from tenex.lib import failpoint
from tenex.workspaces.models import AuditEntry, Workspace
from tests import rows
from tests.postcall.test_pure import riff
from tests.services.test_retention import SECRET, kept
from voice.models import (
    Agent,
    Batch,
    Call,
    Decision,
    Erasure,
    PhoneNumber,
    PurgeReceipt,
    Recipient,
    Recording,
    Turn,
)
from voice.postcall import recording
from voice.services import erasure, holds, persons, retention
from voice.services.recordings import note_callback

pytestmark = pytest.mark.usefixtures("media")

PHONE = "+14155550177"


@pytest.fixture
def space() -> Workspace:
    return rows.workspace()


def person(space: Workspace, phone: str = PHONE, **fields: str) -> Lead:
    return rows.lead(space, phone=phone, first_name="Xiomara", email="x@example.org", notes=SECRET, **fields)


@pytest.mark.django_db
def test_all_of_them_goes_and_the_figures_stay(space: Workspace) -> None:
    lead = person(space)
    rows.agree(lead)
    call = kept(space, days=1, lead=lead, from_number=PHONE)
    nameless = kept(space, days=1, from_number=PHONE)
    other = kept(space, days=1, from_number="+14155550188", lead=rows.lead(space, phone="+14155550188"))
    made = erasure.ask(space, actor="user:a", phone="(415) 555-0177")
    assert suppressions.is_suppressed(space.pk, PHONE), "nobody dials them from the asking on"
    assert erasure.run(made)
    assert not erasure.run(made), "not twice"
    made.refresh_from_db()
    assert (made.phone, made.lead_ids, made.counts["calls"], made.counts["recordings"]) == ("", [], 2, 2)
    lead.refresh_from_db()
    assert (lead.name, lead.phone, lead.email, lead.notes, lead.search.strip()) == ("", None, None, "", "")
    assert lead.opted_out_at
    assert lead.archived_at
    for one in (call, nameless):
        one.refresh_from_db()
        assert (one.from_number, one.lead_id, one.outcome) == ("", None, "qualified")
        assert not Turn.objects.filter(call=one).exists()
        assert Recording.objects.get(call=one).status == "deleted"
    assert not Consent.objects.filter(lead=lead).exists()
    told = str(list(Event.objects.values())) + str(list(AuditEntry.objects.values()))
    assert PHONE[1:] not in told
    assert str(lead.pk) not in told
    assert suppressions.is_suppressed(space.pk, PHONE), "only the keyed hash is left, and it holds"
    assert Turn.objects.filter(call=other).count() == 2
    assert Recording.objects.get(call=other).status == "stored"
    assert PurgeReceipt.objects.get(kept_class="person").counts["calls"] == 2
    assert retention.first_forged(space) is None


@pytest.mark.django_db
def test_what_cannot_be_forgotten_yet_is_told_and_done_later(space: Workspace) -> None:
    lead = person(space)
    call = kept(space, days=1, lead=lead, from_number=PHONE)
    live = rows.call(space, lead=lead, from_number=PHONE, agent=call.agent_version)
    made = erasure.ask(space, actor="user:a", lead_id=lead.pk)
    assert erasure.run_due() == 0
    made.refresh_from_db()
    assert made.waits_for == "call"
    live.delete()
    hold = holds.hold(space, reason="court", actor="user:a", lead_id=lead.pk)
    assert erasure.run_due() == 0
    made.refresh_from_db()
    assert made.waits_for == "legal_hold"
    assert Call.objects.get(pk=call.pk).lead_id == lead.pk
    holds.release(hold, actor="user:a")
    assert erasure.run_due() == 1


@pytest.mark.django_db
def test_who_is_not_here_or_not_named_is_refused(space: Workspace) -> None:
    foreign = person(rows.workspace("other"))
    with pytest.raises(NotFound):
        erasure.ask(space, actor="user:a", lead_id=foreign.pk)
    with pytest.raises(InvalidInput):
        erasure.ask(space, actor="user:a")
    made = erasure.ask(space, actor="user:a", phone=PHONE)  # nobody here
    assert erasure.run(made)
    foreign.refresh_from_db()
    assert foreign.phone == PHONE
    assert not Decision.objects.exists()


@pytest.mark.django_db
def test_of_a_number_without_lead_the_list_keeps_only_the_hash(space: Workspace) -> None:
    kept(space, days=1, from_number=PHONE)
    suppressions.add(space.pk, PHONE, source="api", reason=SECRET)
    made = erasure.ask(space, actor="user:a", phone=PHONE)
    assert erasure.run(made)
    row = Suppression.objects.get(workspace=space)
    assert (row.phone_hint, row.reason, row.call_id) == ("", "", None)
    assert suppressions.is_suppressed(space.pk, PHONE)


@pytest.mark.django_db
def test_asked_again_it_is_the_same_one_until_it_is_done(space: Workspace) -> None:
    lead = person(space)
    holds.hold(space, reason="court", actor="user:a", lead_id=lead.pk)
    first = erasure.ask(space, actor="user:a", phone=PHONE)
    assert erasure.ask(space, actor="user:b", lead_id=lead.pk) == first, "the same person, meant by the lead"
    assert AuditEntry.objects.filter(action="person.erasure_asked", object_id=str(first.pk)).count() == 2
    assert erasure.ask(space, actor="user:a", phone="+14155550188") != first


@pytest.mark.django_db
def test_what_is_counted_and_exported_is_what_an_erasure_deletes(space: Workspace) -> None:
    """Of each kind that has words of theirs an export tells, and after an erasure nothing is left to tell."""
    lead = person(space)
    rows.agree(lead)
    call = kept(space, days=1, lead=lead, from_number=PHONE)
    agent = Agent.objects.get(workspace=space)
    number = PhoneNumber.objects.create(workspace=space, e164="+14155550190", agent=agent)
    batch = Batch.objects.create(workspace=space, objective="x", agent=agent, number=number)
    recipient = Recipient.objects.create(
        workspace=space, batch=batch, lead=lead, position=1, variables={"hobby": SECRET}
    )
    Decision.objects.create(
        workspace=space, lead=lead, stage="dial", allowed=False, code="suppressed", inputs={"phone": PHONE},
        at=call.created_at,
    )  # fmt: skip
    before = persons.count(persons.named(space, phone=PHONE))
    told = persons.export(persons.named(space, lead_id=lead.pk))
    assert {kind: len(rows) for kind, rows in told.items()} == before
    assert (before["recipients"], before["decisions"]) == (1, 1)
    assert SECRET in str(told["recipients"])
    assert erasure.run(erasure.ask(space, actor="user:a", phone=PHONE))
    after = persons.export(persons.named(space, lead_id=lead.pk))
    recipient.refresh_from_db()
    assert recipient.variables == {}
    for needle in (SECRET, PHONE, "Xiomara", "x@example.org"):
        assert needle not in str(after)


@pytest.mark.django_db
def test_erasures_of_the_past_find_their_receipts(space: Workspace) -> None:
    made = [erasure.ask(space, actor="user:a", phone=f"+1415555019{n}") for n in range(3)]
    assert erasure.run_due() == 3
    held = holds.hold(space, reason="court", actor="user:a")
    waits = erasure.ask(space, actor="user:a", phone=PHONE)
    assert erasure.run_due() == 0
    holds.release(held, actor="user:a")
    numbers = dict(Erasure.objects.values_list("pk", "receipt__number"))
    assert sorted(numbers[one.pk] for one in made) == [1, 2, 3]
    Erasure.objects.update(receipt=None)
    Erasure.objects.filter(pk=waits.pk).update(waits_for="a legal hold")
    migration = importlib.import_module("voice.migrations.0068_erasure_receipts_of_the_past")
    with connection.cursor() as cursor:
        for statement in migration.Migration.operations[0].sql:
            cursor.execute(statement)
    assert dict(Erasure.objects.values_list("pk", "receipt__number")) == numbers
    waits.refresh_from_db()
    assert waits.waits_for == ""


@pytest.mark.django_db
def test_the_command_exports_and_erases(space: Workspace, tmp_path: Path) -> None:
    kept(space, days=1, lead=person(space), from_number=PHONE)

    def run(*words: str) -> str:
        out = io.StringIO()
        call_command("person", *words, f"--workspace={space.slug}", stdout=out)
        return out.getvalue()

    file = tmp_path / "known.zip"
    assert "1 leads" in run("export", f"--phone={PHONE}", f"--to={file}")
    with zipfile.ZipFile(file) as archive:
        assert json.loads(archive.read("leads.json"))[0]["first_name"] == "Xiomara"
        assert SECRET in archive.read("turns.json").decode()
        assert [name for name in archive.namelist() if name.endswith(".wav")]
    assert "1 leads" in run("erase", f"--phone={PHONE}")
    assert "done" in run("erasures")
    assert run("export", f"--phone={PHONE}", f"--to={file}").endswith(": 1 do_not_call\n")
    with pytest.raises(CommandError):
        run("erase")
    assert Erasure.objects.get().asked_by.startswith("system:")


@pytest.mark.django_db
def test_who_dies_in_the_middle_is_followed(space: Workspace) -> None:
    call = kept(space, days=1, lead=person(space), from_number=PHONE)
    made = erasure.ask(space, actor="user:a", phone=PHONE)
    for point in ("erasure.file", "erasure.done"):
        failpoint.arm(f"{point}:raise")
        with pytest.raises(failpoint.FailpointReached):
            erasure.run(made)
        failpoint.arm("")
        assert Turn.objects.filter(call=call).exists(), "all rows or none"
    assert erasure.run(made)
    assert not Turn.objects.filter(call=call).exists()
    assert PurgeReceipt.objects.filter(kept_class="person").count() == 1


@pytest.mark.django_db
def test_a_recording_that_is_stored_meanwhile_is_not_forgotten_with_its_file_left(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = kept(space, days=1, lead=person(space), from_number=PHONE)
    made = erasure.ask(space, actor="user:a", phone=PHONE)
    late = default_storage.save("recordings/late.wav", ContentFile(b"x"))
    really = FileSystemStorage.delete

    def delete(self: FileSystemStorage, name: str) -> None:
        really(self, name)
        Recording.objects.get_or_create(
            provider_sid="RElate",
            defaults={
                "workspace": space, "call": call, "source_url": "u", "status": "stored", "file": late,
            },
        )  # fmt: skip

    monkeypatch.setattr(FileSystemStorage, "delete", delete)
    assert not erasure.run(made), "in the next minute, with the new one"
    assert erasure.run(made)
    assert not default_storage.exists(late)


@pytest.mark.django_db
def test_a_callback_that_comes_late_brings_no_sound_back(space: Workspace) -> None:
    call = kept(space, days=1, lead=person(space), from_number=PHONE)
    erasure.run(erasure.ask(space, actor="user:a", phone=PHONE))
    form = {
        "RecordingSid": "RElate",
        "RecordingUrl": "https://api.twilio.com/x",
        "RecordingStatus": "completed",
    }
    row = note_callback(call.pk, form)
    assert row
    recording.fetch(row.pk, get=lambda url, file: file.write(riff()))
    row.refresh_from_db()
    assert (row.status, row.file) == ("deleted", "")


@pytest.mark.django_db
def test_a_storage_that_refuses_holds_up_nobody_else(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = kept(space, days=40, lead=person(space), from_number=PHONE)
    good = kept(space, days=40)
    really, file = FileSystemStorage.delete, Recording.objects.get(call=bad).file

    def delete(self: FileSystemStorage, name: str) -> None:
        if name == file:
            raise PermissionError(name)
        really(self, name)

    monkeypatch.setattr(FileSystemStorage, "delete", delete)
    retention.purge(space)
    states = [Recording.objects.get(call=one).status for one in (bad, good)]
    assert states == ["stored", "deleted"]
    made = erasure.ask(space, actor="user:a", phone=PHONE)
    assert erasure.run_due() == 0
    made.refresh_from_db()
    assert made.waits_for == "file_storage"
