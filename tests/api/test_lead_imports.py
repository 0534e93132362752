"""CSV in and out, as a client does it: ugly files, options, progress, bad rows, the round trip."""

import csv
import io
import threading
import uuid
from typing import Any

import orjson
import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import AsyncClient
from pytest_django import Settings

from crm.models import Lead, LeadImport, LeadImportKey, LeadImportPart
from crm.services import import_run, imports
from tenex.events.models import Event
from tenex.workspaces.models import AuditEntry
from tests.api.world import Tenant

C = "/api/v1/crm"
IMPORTS = f"{C}/leads/imports"
pytestmark = pytest.mark.django_db


@pytest.fixture
def fresh(alice: Tenant) -> Tenant:
    """Without the import that every tenant has."""
    LeadImport.objects.all().delete()
    return alice


def send(tenant: Tenant, text: str | bytes, query: str = "", **headers: str) -> Any:
    raw = text if isinstance(text, bytes) else text.encode()
    return tenant.api.post(f"{IMPORTS}{query}", raw, content_type="text/csv", **headers)


def run(tenant: Tenant, text: str | bytes, query: str = "") -> dict[str, Any]:
    sent = send(tenant, text, query)
    assert sent.status_code == 202, sent.content
    assert sent.json()["status"] == "queued"
    import_run.run(uuid.UUID(sent.json()["id"]), slice_s=60)
    done: dict[str, Any] = tenant.api.get(f"{IMPORTS}/{sent.json()['id']}").json()
    assert (done["status"], done["percent"]) == ("completed", 100.0)
    return done


def counts(done: dict[str, Any]) -> tuple[int, ...]:
    return tuple(done[name] for name in ("rows_read", "created", "updated", "unchanged", "skipped", "failed"))


def bad_rows(tenant: Tenant, done: dict[str, Any]) -> list[tuple[int, str | None, str]]:
    items = tenant.api.get(f"{IMPORTS}/{done['id']}/errors").json()["items"]
    return [(one["line"], one["column"], one["code"]) for one in items]


UGLY = (
    'Name;"E-Mail ";Phone;Company;Notes;;Budget\r\n'
    '"Lopez, Maria";maria@x.example;(415) 555-0141;"Alta; Ltd";"two\r\nlines, and ""quotes""";x;1\r\n'
    "\r\n"
    ";;;;;;\r\n"
    "Bad Phone;;12;;;;\r\n"
    "Bad Mail;nobody@;;;;;\r\n"
    '"open;;;;;;\r\n'
    "Too many;a@x.example;;;;;;more\r\n"
    ";;;;;only here;\r\n"
    "José Núñez;jose@x.example;'+14155550142;ALTA; LTD\r\n"
    "Zoë;zoe@x.example\r\n"
    "Again;MARIA@x.example;;;;;"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_an_ugly_file(fresh: Tenant, encoding: str) -> None:
    done = run(fresh, UGLY.encode(encoding), "?on_duplicate=error")
    assert done["delimiter"] == "semicolon"
    assert {one["header"]: one["field"] for one in done["columns"]} == {
        "Name": "full_name",
        "E-Mail": "email",
        "Phone": "phone",
        "Company": "organization",
        "Notes": "notes",
        "": None,
        "Budget": None,
    }
    assert counts(done) == (9, 3, 0, 0, 0, 6)
    assert bad_rows(fresh, done) == [
        (6, "Phone", "phone"),
        (7, "E-Mail", "email"),
        (8, None, "malformed"),
        (9, None, "too_many_cells"),
        (10, None, "missing"),
        (13, None, "duplicate_lead"),
    ]
    maria = Lead.objects.get(email="maria@x.example")
    assert (maria.first_name, maria.last_name, maria.phone) == ("Maria", "Lopez", "+14155550141")
    assert maria.company
    assert (maria.company.name, maria.notes) == ("Alta; Ltd", 'two\nlines, and "quotes"')
    jose = Lead.objects.get(email="jose@x.example")
    assert (jose.first_name, jose.last_name, jose.phone) == ("José", "Núñez", "+14155550142")
    events = Event.objects.filter(type="lead.created", data__actor=f"key:{fresh.key_prefix}")
    assert set(events.values_list("data__lead_id", flat=True)) >= {str(maria.id), str(jose.id)}
    assert not LeadImportPart.objects.exists(), "the file is gone"


@pytest.mark.parametrize(
    ("how", "first", "second"),
    [
        ("skip", (3, 2, 0, 0, 1, 0), (3, 0, 0, 0, 3, 0)),
        ("update", (3, 2, 1, 0, 0, 0), (3, 0, 2, 1, 0, 0)),
        ("error", (3, 2, 0, 0, 0, 1), (3, 0, 0, 0, 0, 3)),
    ],
)
@pytest.mark.parametrize("batch", [1, 200])
def test_a_dry_run_tells_what_a_run_then_does(
    fresh: Tenant,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    first: tuple[int, ...],
    second: tuple[int, ...],
    batch: int,
) -> None:
    monkeypatch.setattr(import_run, "BATCH_ROWS", batch)
    text = "phone,first name\n+14155550141,A\n+14155550142,B\n+14155550141,C\n"
    before = Lead.objects.count(), Event.objects.count()
    told = run(fresh, text, f"?on_duplicate={how}&dry_run=true")
    assert (Lead.objects.count(), Event.objects.count()) == before
    assert not LeadImportKey.objects.exists()
    done = run(fresh, text, f"?on_duplicate={how}")
    assert counts(told) == counts(done) == first
    assert bad_rows(fresh, told) == bad_rows(fresh, done)
    assert counts(run(fresh, text, f"?on_duplicate={how}")) == second


def test_options_come_in_a_form_too(fresh: Tenant) -> None:
    fields = {
        "mapping": orjson.dumps({"Nummer": "phone", "Stadt": "custom.city", "Name": None}).decode(),
        "delimiter": "tab",
        "encoding": "utf-16-le",
    }
    text = "Name\tNummer\tStadt\nX\t+14155550143\tBonn\n"
    boundary = "xyz"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="../../etc/a.csv"\r\n\r\n'
    body = b"".join([*parts, head.encode(), text.encode("utf-16-le"), f"\r\n--{boundary}--\r\n".encode()])
    kind = f"multipart/form-data; boundary={boundary}"
    sent = fresh.api.post(IMPORTS, body, content_type=kind)
    assert sent.status_code == 202, sent.content
    assert sent.json()["file_name"] == "a.csv"
    import_run.run(uuid.UUID(sent.json()["id"]))
    lead = Lead.objects.get(phone="+14155550143")
    assert (lead.first_name, lead.custom) == ("", {"city": "Bonn"})
    wrong = fresh.api.post(IMPORTS, body.replace(b'"delimiter"', b'"delimited"'), content_type=kind)
    assert wrong.json()["detail"][0]["loc"] == ["body", "delimited"]
    cut = fresh.api.post(IMPORTS, body[: len(body) // 4], content_type="multipart/form-data")
    assert (cut.status_code, cut.json()["code"]) == (400, "invalid_form")
    nothing = fresh.api.post(IMPORTS, f"--{boundary}--\r\n".encode(), content_type=kind)
    assert nothing.json()["detail"][0]["loc"] == ["body", "file"]


@pytest.mark.parametrize(
    ("text", "query", "loc", "kind"),
    [
        (b"\n\n", "", ["body"], "missing"),
        (b"PK\x03\x04zip", "", ["body"], "encoding"),
        ("é".encode("cp1252"), "?encoding=utf-8", ["body"], "encoding"),
        (b"what,ever\n1,2\n", "", ["body", "header"], "missing"),
        (b'"phone,x\n1,2\n', "", ["body"], "malformed"),
        (b"phone\n", "?mapping={", ["query", "mapping"], "dict_type"),
        (b"phone\n", '?mapping={"fax":"phone"}', ["body", "mapping", "fax"], "missing"),
        (b"phone\n", "?on_duplicate=maybe", ["query", "on_duplicate"], "enum"),
        (b"phone\n", "?dry_run=1", ["query", "dry_run"], "enum"),
        (b"phone\n", "?delimiter=,", ["query", "delimiter"], "enum"),
        (b"phone\n", "?encoding=latin1", ["query", "encoding"], "enum"),
        (b"phone\n", "?colour=red", ["query", "colour"], "extra_forbidden"),
        (b"phone\n" + b"\n" * 500_001, "", ["body"], "too_long"),
    ],
)
def test_a_file_that_cannot_be_is_refused_at_once(
    fresh: Tenant, text: bytes, query: str, loc: list[str], kind: str
) -> None:
    answer = send(fresh, text, query)
    assert answer.status_code == 422, answer.content
    first = answer.json()["detail"][0]
    assert (first["loc"], first["type"]) == (loc, kind)
    assert not LeadImport.objects.exists()


def test_25_mib_and_no_more(fresh: Tenant) -> None:
    line = b"+14155550141,some text that is quite long, as texts are\n"
    fits = b"phone,notes,x\n" + line * ((imports.MAX_BYTES - 20) // len(line))
    assert send(fresh, fits + b"x" * (imports.MAX_BYTES - len(fits) + 1)).status_code == 413
    kind = "multipart/form-data; boundary=xyz"
    form = b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + fits + line * 9
    large = fresh.api.post(IMPORTS, form + b"\r\n--xyz--\r\n", content_type=kind)
    assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
    assert send(fresh, fits).status_code == 202
    other = fresh.api.post(IMPORTS, b"{}", content_type="application/json")
    assert (other.status_code, other.json()["code"]) == (415, "unsupported_media_type")


def test_the_same_upload_twice_is_one(fresh: Tenant) -> None:
    text = "phone\n+14155550141\n"
    first = send(fresh, text, Idempotency_Key="k")
    again = send(fresh, text, Idempotency_Key="k")
    assert again.content == first.content
    assert again["Idempotent-Replayed"] == "true"
    other = send(fresh, text + "+14155550142\n", Idempotency_Key="k")
    assert other.json()["detail"][0]["type"] == "idempotency_key_reused"
    assert LeadImport.objects.count() == 1


def test_too_many_waiting_imports(fresh: Tenant) -> None:
    for _ in range(imports.MAX_OPEN):
        assert send(fresh, "phone\n").status_code == 202
    refused = send(fresh, "phone\n")
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_imports")


def test_a_canceled_import_stops_and_keeps_what_it_has(
    fresh: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_run, "BATCH_ROWS", 1)
    sent = send(fresh, "name\nA\nB\nC\n").json()
    assert import_run.run(uuid.UUID(sent["id"]), slice_s=0), "there is more"
    shown = fresh.api.get(f"{IMPORTS}/{sent['id']}").json()
    assert (shown["status"], shown["created"]) == ("running", 1)
    assert 0 < shown["percent"] < 100
    canceled = fresh.api.post(f"{IMPORTS}/{sent['id']}/cancel")
    assert (canceled.status_code, canceled.json()["status"]) == (200, "canceled")
    assert not import_run.run(uuid.UUID(sent["id"]))
    assert Lead.objects.filter(first_name__in="ABC").count() == 1
    done = run(fresh, "name\nD\n")
    over = fresh.api.post(f"{IMPORTS}/{done['id']}/cancel")
    assert (over.status_code, over.json()["code"]) == (409, "import_over")
    actions = AuditEntry.objects.filter(action__startswith="lead_import").values_list("action", flat=True)
    assert {"lead_import.created", "lead_import.canceled", "lead_import.completed"} <= set(actions)


def test_one_that_never_gets_anywhere_is_given_up(fresh: Tenant) -> None:
    sent = send(fresh, "name\nA\n").json()
    LeadImport.objects.update(tries=import_run.MAX_TRIES)
    assert not import_run.run(uuid.UUID(sent["id"]))
    shown = fresh.api.get(f"{IMPORTS}/{sent['id']}").json()
    assert (shown["status"], shown["created"]) == ("failed", 0)
    assert shown["failure"]


@pytest.mark.django_db(transaction=True)
def test_only_one_worker_is_at_an_import(fresh: Tenant) -> None:
    sent = send(fresh, "name\n" + "".join(f"N{n}\n" for n in range(500))).json()
    answers: list[Any] = []

    def work() -> None:
        answers.append(import_run.run(uuid.UUID(sent["id"]), slice_s=30))
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert answers == [False] * 4
    assert Lead.objects.filter(first_name__startswith="N").count() == 500
    assert fresh.api.get(f"{IMPORTS}/{sent['id']}").json()["created"] == 500


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_comes_back_late_writes_nothing(fresh: Tenant) -> None:
    sent = send(fresh, "name\n" + "".join(f"N{n}\n" for n in range(500))).json()
    row = LeadImport.objects.get(pk=sent["id"])
    lease = uuid.uuid4()
    assert import_run._claim(row.id, lease)
    row.refresh_from_db()
    late = import_run._Worker(row, lease)
    assert late.batch()
    LeadImport.objects.update(lease_until="2020-01-01T00:00:00Z")  # it was paused for long
    assert not import_run.run(row.id, slice_s=30)
    with pytest.raises(import_run._LostLease):
        late.batch()
    assert Lead.objects.filter(first_name__startswith="N").count() == 500


# --- out -------------------------------------------------------------------------------------------


async def fetch(tenant: Tenant, path: str) -> tuple[Any, list[list[str]]]:
    answer: Any = await AsyncClient().get(path, headers={"Authorization": f"Bearer {tenant.api.token}"})
    assert answer.status_code == 200
    raw = b"".join([part async for part in answer.streaming_content])
    await sync_to_async(connections.close_all)()
    return answer, list(csv.reader(io.StringIO(raw.decode())))


@pytest.mark.django_db(transaction=True)
async def test_an_export_is_filtered_whole_and_harmless(
    alice: Tenant, charlie: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm.api.csv_streams.PORTION_ROWS", 2)
    nasty = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "=cmd|' /C calc'!A0"]

    def prepare() -> None:
        for n, text in enumerate(nasty):
            body = {"first_name": f"F{n}", "notes": text, "source": "test", "custom": {"plan": "pro", "x": n}}
            assert alice.api.post(f"{C}/leads", body).status_code == 201
        connections.close_all()

    await sync_to_async(prepare)()
    answer, rows = await fetch(alice, f"{C}/leads/export?source=test")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    header, *lines = rows
    assert [line[1] for line in lines] == [f"F{n}" for n in reversed(range(6))]
    assert [line[header.index("notes")] for line in reversed(lines)] == [
        f"'{text.strip()}" if text.strip()[0] in "=+-@" else text.strip() for text in nasty
    ]
    assert {line[header.index("custom.plan")] for line in lines} == {"pro"}
    assert lines[0][-1] == '{"x":5}'
    _, everything = await fetch(alice, f"{C}/leads/export")
    text = str(everything)
    assert f"'{alice.lead.phone}" in text
    assert str(charlie.lead.phone) not in text
    assert str(charlie.lead.id) not in text
    query = await sync_to_async(
        lambda: AuditEntry.objects.filter(action="leads.exported").first().data["query"]  # type: ignore[union-attr]
    )()
    assert query == ""


@pytest.mark.django_db(transaction=True)
async def test_what_is_exported_can_be_imported(fresh: Tenant) -> None:
    def prepare() -> None:
        body = {
            "first_name": "=Ana",
            "last_name": "O'Neil",
            "phone": "+14155550144",
            "email": "ana@x.example",
            "organization": "-Minus, Ltd",
            "notes": 'a "b"\nc',
            "stage": "contacted",
            "owner_id": str(fresh.owner.id),
            "time_zone": "Europe/Berlin",
            "country": "Canada",
            "region": "Quebec",
            "custom": {"plan": "free"},
        }
        assert fresh.api.post(f"{C}/leads", body).status_code == 201
        connections.close_all()

    await sync_to_async(prepare)()
    _, rows = await fetch(fresh, f"{C}/leads/export")
    text = io.StringIO()
    csv.writer(text).writerows(rows)

    def back() -> dict[str, Any]:
        try:
            return run(fresh, text.getvalue(), "?on_duplicate=update")
        finally:
            connections.close_all()

    assert counts(await sync_to_async(back)()) == (2, 0, 0, 2, 0, 0)


@pytest.mark.django_db(transaction=True)
async def test_bad_rows_as_csv(fresh: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crm.api.csv_streams.PORTION_ROWS", 2)
    done = await sync_to_async(run)(fresh, "phone\n" + "12\n" * 5)
    _, rows = await fetch(fresh, f"{IMPORTS}/{done['id']}/errors?format=csv")
    assert rows[0] == ["line", "column", "code", "reason", "lead_id"]
    assert [row[:3] for row in rows[1:]] == [[str(n), "phone", "phone"] for n in range(2, 7)]


def test_an_export_has_no_pages(alice: Tenant) -> None:
    answer = alice.api.get(f"{C}/leads/export?limit=5")
    assert answer.json()["detail"][0]["loc"] == ["query", "limit"]


def test_old_imports_are_forgotten(fresh: Tenant, settings: Settings) -> None:
    done = run(fresh, "phone\n12\n")
    imports.forget()
    assert fresh.api.get(f"{IMPORTS}/{done['id']}").status_code == 200
    LeadImport.objects.update(finished_at="2020-01-01T00:00:00Z")
    imports.forget()
    assert fresh.api.get(f"{IMPORTS}/{done['id']}").status_code == 404
