"""What is kept: how recordings lie, consent by place, legal holds, a person's export and erasure."""

import io
import uuid
import zipfile
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.test import Client

from crm.models import Lead
from crm.services import knowledge
from tenex.workspaces.models import AuditEntry, Role, Workspace
from tests import rows
from tests.pages import desk
from tests.pages.people import member
from tests.streamed import whole
from voice.models import Call, Erasure, LegalHold, Recording, Turn
from voice.services import recording_files

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]
WAV = desk.wav([(0, 100, 900)], 1000)


@pytest.fixture
def space() -> Workspace:
    return rows.workspace()


@pytest.fixture
def owner(space: Workspace) -> Client:
    return member(Role.OWNER, space)


def text(answer: Any) -> str:
    return str(answer.content.decode())


# --- recordings -------------------------------------------------------------------------------------


def test_an_empty_page_says_that_nothing_is_wrong(owner: Client) -> None:
    shown = text(owner.get("/console/recordings"))
    assert "Every recording was fetched, stored and read back." in shown
    assert "by a key of this workspace" in shown


def test_what_is_wrong_is_listed_and_can_be_acted_on(space: Workspace, owner: Client) -> None:
    call = desk.judged(space)
    waits = desk.recorded(call, WAV, provider_sid="RE1")
    Recording.objects.filter(pk=waits.pk).update(
        status="pending", file="", problem="storage", problem_detail="NoSuchBucket", store_failures=3
    )
    mono = desk.recorded(call, WAV, provider_sid="RE2", problem="one_channel", problem_detail="1")
    page = text(owner.get("/console/recordings"))
    assert "The file storage does not take it" in page
    assert "NoSuchBucket" in page
    assert "3 tries" in page
    assert "Both people are on one channel" in page
    assert owner.post(f"/console/recordings/{waits.pk}/again").status_code == 302
    assert owner.post(f"/console/recordings/{mono.pk}/accept").status_code == 302
    waits.refresh_from_db()
    mono.refresh_from_db()
    assert (waits.status, waits.attempts, waits.store_failures) == ("pending", 0, 0)
    assert (mono.problem, bool(mono.verified_at)) == ("", True)
    again = owner.post(f"/console/recordings/{mono.pk}/accept", follow=True)
    assert "nothing to accept" in text(again)


def test_old_ones_that_lie_in_plain_are_told_of(space: Workspace, owner: Client) -> None:
    row = desk.recorded(desk.judged(space), WAV)
    assert "1 older recording" in text(owner.get("/console/recordings"))
    recording_files.seal(row)
    assert "older recording" not in text(owner.get("/console/recordings"))


def test_an_operator_sees_and_changes_nothing(space: Workspace) -> None:
    client = member(Role.OPERATOR, space)
    shown = text(client.get("/console/recordings"))
    assert "Save" not in shown
    assert client.post("/console/recordings", {"usual": "off"}).status_code == 403
    row = desk.recorded(desk.judged(space), WAV, problem="one_channel")
    assert client.post(f"/console/recordings/{row.pk}/accept").status_code == 403


def test_a_call_says_why_its_recording_is_not_here(space: Workspace, owner: Client) -> None:
    call = desk.judged(space)
    row = desk.recorded(call, WAV)
    Recording.objects.filter(pk=row.pk).update(
        status="pending", file="", problem="storage", problem_detail="EndpointConnectionError"
    )
    shown = text(owner.get(f"/console/calls/{call.pk}"))
    assert "the file storage does not take it (EndpointConnectionError)" in shown
    Recording.objects.filter(pk=row.pk).update(status="failed", problem="carrier")
    assert "the carrier does not give it" in text(owner.get(f"/console/calls/{call.pk}"))
    answer = owner.post(f"/console/recordings/{row.pk}/again", {"from": "call"})
    assert answer["Location"] == f"/console/calls/{call.pk}"


@pytest.mark.parametrize(
    ("asked", "answer", "said"),
    [
        ("off", "", "Calls are not recorded"),
        ("explicit", "no", "did not agree"),
        ("explicit", "", "before they had answered"),
        ("announce", "objected", "they objected"),
        ("announce", "told", "the carrier made none"),
    ],
)
def test_a_call_says_why_it_was_not_recorded(
    space: Workspace, owner: Client, asked: str, answer: str, said: str
) -> None:
    call = desk.judged(space, recording_asked=asked, recording_answer=answer)
    assert said in text(owner.get(f"/console/calls/{call.pk}"))


# --- consent ----------------------------------------------------------------------------------------


def save(
    client: Client, usual: str, *places: tuple[str, str], new: tuple[str, str] = ("", "explicit")
) -> Any:
    sent = {
        "usual": usual,
        "place": [code for code, _ in places],
        "mode": [mode for _, mode in places],
        "new_place": new[0],
        "new_mode": new[1],
    }
    return client.post("/console/recordings", sent)


def test_modes_of_places_are_added_changed_and_taken_away(space: Workspace, owner: Client) -> None:
    assert save(owner, "announce", new=("Germany", "explicit")).status_code == 302
    assert save(owner, "announce", ("DE", "off"), new=("us-California", "explicit")).status_code == 302
    space.refresh_from_db()
    assert space.recording_consent_places == {"DE": "off", "US-CA": "explicit"}
    shown = text(owner.get("/console/recordings"))
    assert "California, US" in shown
    assert save(owner, "explicit", ("DE", "usual"), ("US-CA", "explicit")).status_code == 302
    space.refresh_from_db()
    assert (space.recording_consent, space.recording_consent_places) == ("explicit", {"US-CA": "explicit"})
    assert AuditEntry.objects.filter(action="workspace.updated").count() == 3


@pytest.mark.parametrize("place", ["Atlantis", "US-ZZ", "DE-BY"])
def test_a_place_that_is_none_is_said_and_nothing_is_saved(
    space: Workspace, owner: Client, place: str
) -> None:
    answer = save(owner, "off", ("DE", "off"), new=(place, "explicit"))
    assert answer.status_code == 422
    assert "is no country" in text(answer)
    assert f'value="{place}"' in text(answer), "what was typed is kept"
    space.refresh_from_db()
    assert (space.recording_consent, space.recording_consent_places) == ("announce", {})


# --- holds ------------------------------------------------------------------------------------------


def test_a_call_and_a_lead_are_held_and_released_from_their_pages(space: Workspace, owner: Client) -> None:
    lead = rows.lead(space)
    call = desk.judged(space, lead=lead)
    owner.post(f"/console/calls/{call.pk}/hold", {"reason": "Court order 7"})
    owner.post(f"/console/leads/{lead.pk}/hold", {"reason": "Dispute"})
    assert LegalHold.objects.filter(released_at=None).count() == 2
    page = text(owner.get(f"/console/calls/{call.pk}"))
    assert "Court order 7" in page
    assert "Dispute" in page, "a hold of the lead keeps the call, too"
    assert "Dispute" in text(owner.get(f"/console/leads/{lead.pk}"))
    assert "Court order 7" in text(owner.get("/console/recordings"))
    for one in LegalHold.objects.all():
        owner.post(f"/console/holds/{one.pk}/release", {"from": "call"})
    assert not LegalHold.objects.filter(released_at=None).exists()
    assert AuditEntry.objects.filter(action="retention.released").count() == 2


def test_a_hold_wants_a_reason_and_a_right(space: Workspace, owner: Client) -> None:
    call = desk.judged(space)
    owner.post(f"/console/calls/{call.pk}/hold", {"reason": "  "})
    operator = member(Role.OPERATOR, space, "olga@example.com")
    assert operator.post(f"/console/calls/{call.pk}/hold", {"reason": "Court order"}).status_code == 403
    assert "hold-reason" not in text(operator.get(f"/console/calls/{call.pk}"))
    assert not LegalHold.objects.exists()


# --- a person ---------------------------------------------------------------------------------------


def known(space: Workspace) -> tuple[Lead, Call]:
    lead = rows.lead(space, email="maria@example.com")
    call = desk.judged(space, lead=lead)
    desk.recorded(call, WAV)
    return lead, call


@pytest.mark.parametrize("by", ["lead", "call"])
@pytest.mark.parametrize("sealed", [False, True])
def test_everything_is_in_the_archive(space: Workspace, owner: Client, by: str, sealed: bool) -> None:
    lead, call = known(space)
    if sealed:
        recording_files.seal(Recording.objects.get())
    place = f"leads/{lead.pk}" if by == "lead" else f"calls/{call.pk}"
    assert "recordings" in text(owner.get(f"/console/{place}/person")).lower()
    answer = owner.post(f"/console/{place}/person/export")
    archive = zipfile.ZipFile(io.BytesIO(whole(answer)))
    [sound] = [name for name in archive.namelist() if name.startswith("recordings/")]
    assert archive.read(sound) == WAV
    assert orjson.loads(archive.read("leads.json"))[0]["email"] == "maria@example.com"
    assert len(orjson.loads(archive.read("turns.json"))) == 3
    [told] = orjson.loads(archive.read("recordings.json"))
    assert "file" not in told
    [entry] = AuditEntry.objects.filter(action="person.exported")
    assert entry.actor == "user:ava@example.com"
    assert "+1415" not in str(entry.data)


def test_they_are_erased_after_their_number_was_typed(space: Workspace, owner: Client, media: Path) -> None:
    lead, call = known(space)
    page = f"/console/leads/{lead.pk}/person"
    wrong = owner.post(f"{page}/erase", {"confirm": "+14155550102"})
    assert (wrong.status_code, Erasure.objects.count()) == (422, 0)
    assert "nothing was erased" in text(wrong)
    done = owner.post(f"{page}/erase", {"confirm": "+1 415 555 0101"})
    assert (done.status_code, done["Location"]) == (302, "/console/leads")
    assert Erasure.objects.get().finished_at
    assert not Turn.objects.filter(call=call).exists()
    assert not [path for path in media.rglob("*") if path.is_file()]
    lead.refresh_from_db()
    assert (lead.phone, lead.first_name) == (None, "")


def test_a_number_that_was_erased_says_so_with_its_receipt(space: Workspace, owner: Client) -> None:
    lead, call = known(space)
    done = owner.post(f"/console/leads/{lead.pk}/person/erase", {"confirm": "MARIA@example.com"})
    assert done.status_code == 302
    again = desk.judged(space, from_number="+14155550101", agent=call.agent_version)
    shown = text(owner.get(f"/console/calls/{again.pk}/person"))
    assert "receipt 1" in shown
    assert "Lines of conversations" in shown, "they have called again"


def test_documents_that_mention_them_are_named(space: Workspace, owner: Client) -> None:
    lead, _ = known(space)
    document = knowledge.put(space, "Guests", f"Call Maria at {lead.phone}.")
    shown = text(owner.get(f"/console/leads/{lead.pk}/person"))
    assert f'href="/console/knowledge/{document.pk}"' in shown


def test_an_erasure_that_has_to_wait_says_for_what(space: Workspace, owner: Client) -> None:
    lead, _ = known(space)
    owner.post(f"/console/leads/{lead.pk}/hold", {"reason": "Court order"})
    page = f"/console/leads/{lead.pk}/person"
    assert "Court order" in text(owner.get(page)), "said before anybody asks"
    answer = owner.post(f"{page}/erase", {"confirm": lead.phone}, follow=True)
    assert "it waits for a legal hold" in text(answer)
    assert "waits for a legal hold" in text(owner.get(page))


def test_only_who_may_exports_and_erases(space: Workspace) -> None:
    lead, call = known(space)
    operator = member(Role.OPERATOR, space)
    for place in (f"leads/{lead.pk}", f"calls/{call.pk}"):
        assert operator.get(f"/console/{place}/person").status_code == 403
        for act in ("export", "erase"):
            answer = operator.post(f"/console/{place}/person/{act}", {"confirm": lead.phone})
            assert answer.status_code == 403
    assert "/person" not in text(operator.get(f"/console/leads/{lead.pk}"))
    assert not Erasure.objects.exists()


def test_a_call_without_a_number_is_nobody(space: Workspace, owner: Client) -> None:
    call = desk.judged(space, from_number="anonymous")
    assert owner.get(f"/console/calls/{call.pk}/person").status_code == 404
    assert owner.get(f"/console/calls/{uuid.uuid4()}/person").status_code == 404


def test_a_recording_that_cannot_be_read_stops_an_archive(
    space: Workspace, owner: Client, media: Path
) -> None:
    lead, _ = known(space)
    row = Recording.objects.get()
    recording_files.seal(row)
    row.refresh_from_db()
    (media / row.file).write_bytes(b"x" * 500)
    assert owner.post(f"/console/leads/{lead.pk}/person/export").status_code == 410
    (media / row.file).unlink()
    answer = owner.post(f"/console/leads/{lead.pk}/person/export")
    archive = zipfile.ZipFile(io.BytesIO(whole(answer)))
    [told] = orjson.loads(archive.read("recordings.json"))
    assert told["missing"] is True
