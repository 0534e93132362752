"""A person over the API: what is known, a copy, oblivion with a certificate; legal holds and receipts."""

import hashlib
import io
import uuid
import zipfile
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.db import connection

from crm.models import Document, Lead, LeadImport
from crm.services import knowledge, suppressions
from tenex.workspaces.models import AuditEntry, IdempotentRequest
from tenex.workspaces.services import answers, keys
from tests import rows
from tests.api.world import Api, Tenant, released_hold
from tests.services.test_retention import SECRET, kept
from tests.streamed import whole
from voice.models import Call, Erasure, LegalHold, PurgeReceipt, Recording, Turn
from voice.services import erasure, holds, recording_files, retention

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]
V = "/api/v1/voice"
P = f"{V}/persons"
R = f"{V}/retention"
PHONE = "+14155550661"
MAIL = "xiomara@canary.example"


@pytest.fixture
def lead(alice: Tenant) -> Lead:
    """Somebody with a call of every class, consents, a segment, a batch and a place in a document."""
    space = alice.workspace
    LeadImport.objects.all().delete()  # every tenant has one that waits, and an erasure would wait for it
    made = rows.lead(space, phone=PHONE, first_name="Xiomara", last_name="Quetz", email=MAIL, notes=SECRET)
    rows.agree(made)
    kept(space, days=1, lead=made, from_number=PHONE)
    knowledge.put(space, "Guests", f"Call Xiomara at {PHONE}.")
    return made


def where(answer: Any) -> tuple[list[Any], str]:
    assert answer.status_code == 422, answer.content
    [wrong] = answer.json()["detail"]
    return wrong["loc"], wrong["type"]


def found(needle: str) -> dict[str, int]:
    """Rows of any table in which a text stands."""
    hits = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            stands = f'SELECT count(*) FROM "{table}" r WHERE r::text ILIKE %s'  # noqa: S608 - tables of ours
            cursor.execute(stands, [f"%{needle}%"])
            if count := cursor.fetchone()[0]:
                hits[table] = count
    return hits


# --- what is known ----------------------------------------------------------------------------------


def test_a_person_is_known_by_lead_number_and_call_alike(alice: Tenant, lead: Lead) -> None:
    call = Call.objects.get(lead=lead)
    answers = [
        alice.api.post(f"{P}/known", who)
        for who in (
            {"lead_id": str(lead.pk)},
            {"phone": "(415) 555-0661"},
            {"call_id": str(call.pk)},
        )
    ]
    assert {one.status_code for one in answers} == {200}
    first = answers[0].json()
    assert [one.json() for one in answers] == [first] * 3
    assert (
        first["counts"] | {"leads": 1, "calls": 1, "turns": 2, "recordings": 1, "consents": 1}
        == first["counts"]
    )
    assert [one["title"] for one in first["documents"]] == ["Guests"]
    assert (first["holds"], first["erasures"]) == ([], [])
    nobody = alice.api.post(f"{P}/known", {"phone": "+14155550999"}).json()
    assert set(nobody["counts"].values()) == {0}


@pytest.mark.parametrize("act", ["known", "export", "erase"])
def test_exactly_one_is_named_and_is_here(alice: Tenant, charlie: Tenant, lead: Lead, act: str) -> None:
    more = {"confirm": PHONE} if act == "erase" else {}
    path = f"{P}/{act}"
    assert where(alice.api.post(path, more)) == (["body", "lead_id"], "one_of")
    both = {"lead_id": str(lead.pk), "phone": PHONE, **more}
    assert where(alice.api.post(path, both)) == (["body", "lead_id"], "one_of")
    assert where(alice.api.post(path, {"phone": "12", **more})) == (["body", "phone"], "phone")
    for field, value in (("lead_id", charlie.lead.pk), ("call_id", charlie.call.pk)):
        sent = {field: str(value), **more}
        assert where(alice.api.post(path, sent)) == (["body", field], "missing")
    nameless = rows.call(alice.workspace, from_number="anonymous", agent=alice.agent.current_version)
    sent = {"call_id": str(nameless.pk), **more}
    assert where(alice.api.post(path, sent)) == (["body", "call_id"], "missing")
    assert not Erasure.objects.exclude(asked_by="system:tests").exists()
    assert not AuditEntry.objects.filter(action="person.exported").exists()


@pytest.mark.parametrize("scope", ["calls:write", "leads:write", "settings:write"])
def test_only_a_key_for_persons_opens_it(alice: Tenant, lead: Lead, scope: str) -> None:
    _, secret = keys.create(alice.workspace, "few", [scope], "system:tests")
    for act in ("known", "export", "erase"):
        refused = Api(secret).post(f"{P}/{act}", {"phone": PHONE, "confirm": PHONE})
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden_scope")
    assert Api(secret).get(f"{P}/erasures").status_code == 403
    _, secret = keys.create(alice.workspace, "persons", ["persons:admin"], "system:tests")
    assert Api(secret).post(f"{P}/known", {"phone": PHONE}).status_code == 200
    assert Api(secret).get(f"{R}/holds").status_code == 403


# --- a copy -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["lead_id", "phone", "call_id"])
def test_the_archive_has_all_that_is_known_and_can_be_read(alice: Tenant, lead: Lead, by: str) -> None:
    call = Call.objects.get(lead=lead)
    recording_files.seal(Recording.objects.get(call=call))
    who = {by: {"lead_id": str(lead.pk), "phone": PHONE, "call_id": str(call.pk)}[by]}
    known = alice.api.post(f"{P}/known", who).json()["counts"]
    answer = alice.api.post(f"{P}/export", who, Accept="application/zip")
    assert answer.status_code == 200
    raw = whole(answer)
    assert (answer["Content-Type"], answer["Content-Length"]) == ("application/zip", str(len(raw)))
    assert answer["Cache-Control"] == "no-store"
    archive = zipfile.ZipFile(io.BytesIO(raw))
    names = set(archive.namelist())
    told = {kind: orjson.loads(archive.read(f"{kind}.json")) for kind in known}
    assert {kind: len(items) for kind, items in told.items()} == known, "what was counted is what is there"
    assert told["leads"][0]["email"] == MAIL
    assert "search" not in told["leads"][0]
    assert archive.read(f"recordings/{call.pk}/RE{call.pk.hex}.wav") == b"x" * 100
    [conversation] = [name for name in names if name.startswith("conversations/")]
    assert f"caller: {SECRET}" in archive.read(conversation).decode()
    assert "recordings.json  1 - " in archive.read("README.txt").decode()
    assert str(alice.workspace.pk) not in str([archive.read(f"{kind}.json") for kind in known])
    [entry] = AuditEntry.objects.filter(action="person.exported")
    assert entry.actor == f"key:{alice.key_prefix}"
    assert entry.data["counts"]["turns"] == 2
    assert entry.data["subject_hash"] == suppressions.digest(PHONE).hex()
    assert "+1415" not in str(entry.data)


def test_an_archive_that_is_not_everything_is_none(alice: Tenant, lead: Lead, media: Path) -> None:
    row = Recording.objects.get(call__lead=lead)
    recording_files.seal(row)
    row.refresh_from_db()
    (media / row.file).write_bytes(b"x" * 500)
    answer = alice.api.post(f"{P}/export", {"phone": PHONE})
    assert (answer.status_code, answer.json()["code"]) == (410, "recording_altered")


# --- oblivion ---------------------------------------------------------------------------------------


def test_nobody_is_erased_by_a_wrong_id(alice: Tenant, lead: Lead) -> None:
    for confirm in ("", "+14155550662", str(lead.pk)):
        answer = alice.api.post(f"{P}/erase", {"lead_id": str(lead.pk), "confirm": confirm})
        assert where(answer)[0] == ["body", "confirm"]
        assert PHONE not in answer.content.decode()
    assert where(alice.api.post(f"{P}/erase", {"phone": PHONE})) == (["body", "confirm"], "missing")
    by_phone = {"phone": PHONE, "confirm": "Xiomara Quetz"}
    assert where(alice.api.post(f"{P}/erase", by_phone)) == (["body", "confirm"], "confirm")
    assert not Erasure.objects.exclude(asked_by="system:tests").exists()
    assert not suppressions.is_suppressed(alice.workspace.pk, PHONE)


@pytest.mark.parametrize("confirm", [" +1 415 555 0661", MAIL.upper(), "xiomara  quetz"])
def test_an_erasure_is_asked_for_done_and_certified(alice: Tenant, lead: Lead, confirm: str) -> None:
    call = Call.objects.get(lead=lead)
    asked = alice.api.post(f"{P}/erase", {"lead_id": str(lead.pk), "confirm": confirm})
    assert asked.status_code == 202
    made = asked.json()
    assert (made["status"], made["counts"], made["receipt_number"]) == ("waiting", {}, None)
    assert suppressions.is_suppressed(alice.workspace.pk, PHONE), "nobody dials them from the asking on"
    assert Turn.objects.filter(call=call).exists(), "deleted by the worker, not by the request"
    [listed] = alice.api.get(f"{P}/erasures?done=false").json()["items"]
    assert listed == made
    assert erasure.run_due() == 1
    done = alice.api.get(f"{P}/erasures/{made['id']}").json()
    assert (done["status"], done["waits_for"], done["counts"]["turns"]) == ("done", None, 2)
    assert done["subject_hash"] == suppressions.digest(PHONE).hex()
    assert done["asked_by"] == f"key:{alice.key_prefix}"
    receipts = alice.api.get(f"{R}/receipts?kept_class=person").json()["items"]
    assert receipts[0]["number"] == done["receipt_number"]
    assert receipts[0]["digest"] == done["receipt_digest"]
    assert receipts[0]["counts"] == {"erasures": 1, **done["counts"]}
    known = alice.api.post(f"{P}/known", {"phone": PHONE}).json()
    assert {kind: count for kind, count in known["counts"].items() if count} == {
        "do_not_call": 1,
        "knowledge": 1,
    }
    assert [one["id"] for one in known["erasures"]] == [made["id"]], "found again by the number's hash"


def test_nothing_of_them_is_left_in_any_table_or_file(alice: Tenant, lead: Lead, media: Path) -> None:
    Document.objects.all().delete()  # their texts are the workspace's own
    sound = Recording.objects.get(call__lead=lead).file
    assert (media / sound).exists()
    needles = (PHONE[1:], MAIL, "Xiomara", SECRET)
    assert all(found(needle) for needle in needles)
    sent = {"phone": PHONE, "confirm": PHONE}
    whole(alice.api.post(f"{P}/export", {"phone": PHONE}))
    alice.api.post(f"{P}/erase", sent, Idempotency_Key=f"erase {PHONE}")
    assert erasure.run_due() == 1
    assert {needle: found(needle) for needle in needles} == {needle: {} for needle in needles}
    assert not (media / sound).exists()
    other = Lead.objects.get(pk=alice.lead.pk)
    assert other.phone == alice.lead.phone
    assert Turn.objects.filter(call=alice.call).count() == 2


def test_the_same_key_asks_once(alice: Tenant, lead: Lead) -> None:
    sent = {"phone": PHONE, "confirm": PHONE}
    first = alice.api.post(f"{P}/erase", sent, Idempotency_Key="dsr-1")
    again = alice.api.post(f"{P}/erase", sent, Idempotency_Key="dsr-1")
    assert (again.status_code, again.json()) == (202, first.json())
    assert again["Idempotent-Replayed"] == "true"
    other = {"phone": "+14155550662", "confirm": "+14155550662"}
    refused = alice.api.post(f"{P}/erase", other, Idempotency_Key="dsr-1")
    assert where(refused) == (["header", "Idempotency-Key"], "idempotency_key_reused")
    unkeyed = alice.api.post(f"{P}/erase", sent)
    assert unkeyed.json()["id"] == first.json()["id"], "it waits, so it is the same one"
    assert Erasure.objects.filter(workspace=alice.workspace, finished_at=None).count() == 1
    erasure.run_due()
    assert alice.api.post(f"{P}/erase", sent).json()["id"] != first.json()["id"], "done: what came since goes"


@pytest.mark.parametrize(
    ("on", "calls"), [("lead", True), ("lead", False), ("call", True), ("everything", False)]
)
def test_a_hold_stops_it_until_it_is_released(alice: Tenant, lead: Lead, on: str, calls: bool) -> None:
    call = Call.objects.get(lead=lead)
    body = {"lead": {"lead_id": str(lead.pk)}, "call": {"call_id": str(call.pk)}}.get(
        on, {"everything": True}
    )
    if not calls:
        Call.objects.filter(pk=call.pk).update(lead=None, from_number="+14155550888")
    hold = alice.api.post(f"{R}/holds", {"reason": "Case 7 of the district court", **body})
    assert hold.status_code == 201, hold.content
    made = alice.api.post(f"{P}/erase", {"lead_id": str(lead.pk), "confirm": PHONE}).json()
    assert erasure.run_due() == 0
    waits = alice.api.get(f"{P}/erasures/{made['id']}").json()
    assert (waits["status"], waits["waits_for"]) == ("waiting", "legal_hold")
    assert Lead.objects.get(pk=lead.pk).phone == PHONE
    known = alice.api.post(f"{P}/known", {"lead_id": str(lead.pk)}).json()
    assert [one["id"] for one in known["holds"]] == [hold.json()["id"]]
    assert alice.api.post(f"{R}/holds/{hold.json()['id']}/release").status_code == 200
    assert erasure.run_due() == 1
    assert alice.api.get(f"{P}/erasures/{made['id']}").json()["status"] == "done"


# --- holds ------------------------------------------------------------------------------------------


def test_holds_are_made_listed_and_released_once(alice: Tenant, lead: Lead) -> None:
    body = {"lead_id": str(lead.pk), "reason": "  Court   order "}
    first = alice.api.post(f"{R}/holds", body, Idempotency_Key="h")
    assert alice.api.post(f"{R}/holds", body, Idempotency_Key="h").json() == first.json()
    hold = first.json()
    assert (hold["reason"], hold["lead_id"], hold["call_id"], hold["everything"]) == (
        "Court order", str(lead.pk), None, False,
    )  # fmt: skip
    assert hold["held_by"] == f"key:{alice.key_prefix}"
    assert alice.api.get(f"{R}/holds/{hold['id']}").json() == hold
    assert [one["id"] for one in alice.api.get(f"{R}/holds?released=false").json()["items"]] == [hold["id"]]
    assert [one["id"] for one in alice.api.get(f"{R}/holds?lead_id={lead.pk}").json()["items"]] == [
        hold["id"]
    ]
    released = alice.api.post(f"{R}/holds/{hold['id']}/release")
    assert released.json() == {**hold, "released_at": released.json()["released_at"]}
    assert released.json()["released_at"]
    again = alice.api.post(f"{R}/holds/{hold['id']}/release")
    assert (again.status_code, again.json()["code"]) == (409, "hold_released")
    told = AuditEntry.objects.filter(object_id=hold["id"]).values_list("action", "actor")
    assert set(told) == {(f"retention.{act}", f"key:{alice.key_prefix}") for act in ("held", "released")}


def test_a_hold_is_on_one_thing_with_a_reason(alice: Tenant, lead: Lead) -> None:
    def refused(**body: Any) -> tuple[list[Any], str]:
        return where(alice.api.post(f"{R}/holds", body))

    assert refused(reason="court") == (["body", "call_id"], "one_of")
    both = {"lead_id": str(lead.pk), "call_id": str(alice.call.pk)}
    assert refused(reason="court", **both) == (["body", "call_id"], "one_of")
    assert refused(reason="court", everything=False)[0] == ["body", "everything"]
    assert refused(everything=True, reason="x")[0] == ["body", "reason"]
    assert refused(everything=True, reason="x     ")[0] == ["body", "reason"]
    assert refused(everything=True)[0] == ["body", "reason"]
    assert refused(lead_id=str(uuid.uuid4()), reason="court") == (["body", "lead_id"], "missing")
    assert not LegalHold.objects.filter(released_at=None).exists()


def test_who_may_only_read_settings_holds_nothing(alice: Tenant, lead: Lead) -> None:
    _, secret = keys.create(alice.workspace, "reader", ["settings:read"], "system:tests")
    reader = Api(secret)
    assert reader.get(f"{R}/holds").status_code == 200
    assert reader.post(f"{R}/holds", {"everything": True, "reason": "court"}).status_code == 403
    hold = holds.hold(alice.workspace, reason="court", actor="system:tests", lead_id=lead.pk)
    assert reader.post(f"{R}/holds/{hold.pk}/release").status_code == 403


def test_pages_of_holds_and_erasures_neither_repeat_nor_lose(alice: Tenant) -> None:
    for number in range(5):
        released_hold(alice.workspace, alice.call)
        erasure.ask(alice.workspace, actor="user:a", phone=f"+1415555070{number}")
    for path in (f"{R}/holds", f"{P}/erasures", f"{R}/receipts"):
        walked, cursor = [], ""
        while True:
            answer = alice.api.get(f"{path}?limit=2{cursor}").json()
            walked += [one["id"] for one in answer["items"]]
            if answer["next_cursor"] is None:
                break
            cursor = f"&cursor={answer['next_cursor']}"
        whole_list = [one["id"] for one in alice.api.get(path).json()["items"]]
        assert walked == whole_list
        assert len(set(walked)) == len(walked)
        assert alice.api.get(f"{path}?limit=2&cursor={'A' * 40}").status_code == 422


# --- a purge ----------------------------------------------------------------------------------------


def test_a_dry_run_tells_what_a_purge_then_deletes(alice: Tenant) -> None:
    held = kept(alice.workspace, days=400)
    holds.hold(alice.workspace, reason="court", actor="system:tests", call_id=held.pk)
    for days in (20, 100, 100):
        kept(alice.workspace, days=days)
    plain = alice.api.get(f"{R}/outlook").json()
    by_class = {one["kept_class"]: one for one in plain["classes"]}
    assert by_class["audio"]["now"] == {"calls": 2, "recordings": 2, "bytes": 200}
    assert by_class["transcript"]["now"] == {"calls": 2, "recordings": 0, "bytes": 0}
    assert not any(one["changed"] for one in plain["classes"])
    asked = alice.api.get(f"{R}/outlook?recording_retention_days=7&evidence_retention_days=50").json()
    by_class = {one["kept_class"]: one for one in asked["classes"]}
    assert (by_class["audio"]["days"], by_class["audio"]["then"]["recordings"]) == (7, 3)
    assert (by_class["evidence"]["now"]["calls"], by_class["evidence"]["then"]["calls"]) == (0, 2)
    assert by_class["journal"]["changed"] is False
    assert PurgeReceipt.objects.exclude(kept_class="person").count() == 0, "nothing was deleted"
    retention.purge(alice.workspace)
    [audio] = alice.api.get(f"{R}/receipts?kept_class=audio").json()["items"]
    assert audio["counts"] == {"recordings": 2, "files": 2, "bytes": 200}
    for bad in ("0", "x", "36501"):
        answer = alice.api.get(f"{R}/outlook?recording_retention_days={bad}")
        assert where(answer)[0] == ["query", "recording_retention_days"]


def test_the_chain_of_receipts_can_be_checked_by_who_reads_it(alice: Tenant, lead: Lead) -> None:
    kept(alice.workspace, days=400)
    retention.purge(alice.workspace)
    erasure.run(erasure.ask(alice.workspace, actor="user:a", phone=PHONE))
    chain = alice.api.get(f"{R}/receipts?limit=200").json()["items"][::-1]
    assert [one["number"] for one in chain] == list(range(1, len(chain) + 1))
    before = ""
    for one in chain:
        told = orjson.dumps(
            [before, one["kept_class"], one["call_ids"], one["counts"]], option=orjson.OPT_SORT_KEYS
        )
        assert one["digest"] == hashlib.sha256(told).hexdigest()
        before = one["digest"]
    assert len({one["kept_class"] for one in chain}) == 5


def test_an_answer_that_is_kept_names_nobody(alice: Tenant, lead: Lead) -> None:
    """The answer that an Idempotency-Key keeps for days is no trace of who was erased."""
    sent = {"lead_id": str(lead.pk), "confirm": PHONE}
    made = alice.api.post(f"{P}/erase", sent, Idempotency_Key="dsr-2")
    for needle in (PHONE, MAIL, str(lead.pk), "Xiomara"):
        assert needle not in made.content.decode()
    erasure.run_due()
    assert IdempotentRequest.objects.filter(key="dsr-2").exists()
    assert retention.first_forged(alice.workspace) is None
    replayed = alice.api.post(f"{P}/erase", sent, Idempotency_Key="dsr-2")
    assert replayed.json()["id"] == made.json()["id"]


def test_kept_answers_about_them_are_emptied_and_make_nobody_anew(alice: Tenant) -> None:
    LeadImport.objects.all().delete()
    space, sent = alice.workspace, {"first_name": "Xiomara", "phone": PHONE, "email": MAIL}
    path = "/api/v1/crm/leads"
    assert alice.api.post(path, sent, Idempotency_Key="lead-1").status_code == 201
    other = alice.api.post(path, {"first_name": "Otto"}, Idempotency_Key="lead-2").json()
    assert MAIL in str([answers.opened(row.body) for row in IdempotentRequest.objects.all()])
    made = erasure.ask(space, actor="user:a", phone=PHONE)
    assert erasure.run(made)
    plain = str([answers.opened(row.body) for row in IdempotentRequest.objects.all()])
    for needle in (PHONE, MAIL, "Xiomara"):
        assert needle not in plain
    again = alice.api.post(path, sent, Idempotency_Key="lead-1")
    assert (again.status_code, again.json()["code"]) == (410, "answer_erased")
    assert not Lead.objects.filter(phone=PHONE).exists()
    assert alice.api.post(path, {"first_name": "Otto"}, Idempotency_Key="lead-2").json() == other
    made.refresh_from_db()
    assert made.counts["answers"] == 1
