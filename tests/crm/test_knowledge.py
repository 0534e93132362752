"""Documents, versions and passages as a worker makes them, and finding them; two workspaces never mix."""

import io
import uuid
from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoCaptureOnCommitCallbacks

from crm.knowledge.parsing import kinds
from crm.models import Chunk, ChunkVector, Corpus, Document, DocumentStatus, DocumentVersion
from crm.models.knowledge import LOCAL_MODEL
from crm.selectors import knowledge as read
from crm.selectors import retrieval
from crm.services import corpora, knowledge, knowledge_ingest, passages
from tenex.errors import Conflict, InvalidInput, NotFound
from tenex.events.models import Event
from tenex.workspaces.models import Workspace
from tests import rows
from tests.crm.hostile_files import pdf
from tests.crm.knowledge_work import newest, ready, settle, stored
from tests.crm.test_chunking import PRICING

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]


@pytest.fixture
def space() -> Workspace:
    return rows.workspace()


def search(space: Workspace, query: str, limit: int = 5) -> list[retrieval.Found]:
    return retrieval.search(space.pk, query, limit, within_s=20.0).found


def send(space: Workspace, data: bytes, name: str = "prices.md", **fields: str) -> Document:
    return knowledge.create_file(
        space, file=io.BytesIO(data), name=name, declared="", actor="user:a", **fields
    )


def test_what_is_typed_is_found_by_its_words_at_once_and_by_its_meaning_soon(space: Workspace) -> None:
    document = knowledge.put(space, "Price list", PRICING)
    assert (document.status, document.served) == (DocumentStatus.PENDING, 1)
    [best] = retrieval.search(space.pk, "refund", 1, within_s=0.0).found
    assert (best.document, best.heading, best.meaning_place) == ("Price list", "Pricing > Refunds", None)
    assert ready(document).status == DocumentStatus.INDEXED
    best = search(space, "money back guarantee")[0]
    assert (best.heading, best.words_place) == ("Pricing > Refunds", None)
    assert Chunk.objects.get(pk=best.chunk_id).text == best.text
    told = Event.objects.get(type="knowledge.document.indexed")
    assert (told.data["document_id"], told.data["passages"]) == (str(document.pk), 3)


def test_nothing_of_another_workspace_is_found_by_words_or_by_vectors(space: Workspace) -> None:
    other = rows.workspace("other")
    knowledge.put(space, "Price list", PRICING)
    knowledge.put(other, "Secrets", "# Discounts\nNonprofits get everything free. Refunds are paid twice.")
    settle()
    for query in ("discount for nonprofits", "Nonprofits get everything free", "are refunds paid twice"):
        assert {one.document for one in search(space, query)} == {"Price list"}
        assert {one.document for one in search(other, query)} == {"Secrets"}
    ChunkVector.objects.filter(workspace=space).delete()
    assert all(one.document == "Price list" for one in search(space, "everything free"))


def test_neither_does_the_index_of_vectors_mix_them(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same through the index over all workspaces, which small ones do not use."""
    monkeypatch.setattr(retrieval, "_EXACT_UP_TO", -1)
    other = rows.workspace("other")
    for n in range(40):
        knowledge.put(other, f"Secret {n}", f"# Refunds\nWe refund within {n} days, whoever asks for it.")
    knowledge.put(space, "Price list", PRICING)
    settle()
    found = search(space, "money back guarantee", 10)
    assert found
    assert {one.document for one in found} == {"Price list"}


def test_a_spoken_question_finds_something(space: Workspace) -> None:
    knowledge.put(space, "Price list", PRICING)
    settle()
    found = search(space, "what happens if I am not happy, do you give refunds or so?")
    assert found[0].heading == "Pricing > Refunds"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "  ",
        "\x00",
        "' OR 1=1 --",
        "& | !",
        '"',
        "zebra crossing rules",
        "a" * 5000,
        "\\' | 'x",
        "%s %(a)s",
    ],
)
def test_odd_queries_find_nothing_and_break_nothing(space: Workspace, query: str) -> None:
    knowledge.put(space, "Price list", PRICING)
    settle()
    assert search(space, query) == []


def test_words_are_read_in_the_language_of_the_text(space: Workspace) -> None:
    knowledge.put(
        space, "Preise", "# Rabatte\nGemeinnützige Vereine bekommen die Rechnungen mit 30 Prozent Rabatt."
    )
    settle()
    assert Chunk.objects.get().language == "german"
    assert retrieval.search(space.pk, "Rechnung", within_s=0.0).found


def test_a_new_text_takes_the_place_of_the_old_one_when_it_is_ready(space: Workspace) -> None:
    document = knowledge.put(space, "Price list", PRICING)
    settle()
    assert knowledge.put(space, "Price list", "# New\nEverything is free of charge.").pk == document.pk
    assert search(space, "refunds")[0].heading == "Pricing > Refunds"
    document = ready(document)
    assert (document.served, document.status) == (2, DocumentStatus.INDEXED)
    assert [chunk.heading for chunk in Chunk.objects.all()] == ["New"]
    assert ChunkVector.objects.count() == 1
    again = knowledge.put(space, "Price list", "# New\nEverything is free of charge.")
    assert (again.latest, again.status) == (2, DocumentStatus.INDEXED)


def test_passages_that_stay_keep_their_vectors(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    document = knowledge.put(space, "Price list", PRICING)
    settle()
    embedded: list[int] = []
    embed = corpora.embed

    def counted(workspace_id: uuid.UUID, chunks: Sequence[Chunk]) -> None:
        embedded.append(len(chunks))
        embed(workspace_id, chunks)

    monkeypatch.setattr(corpora, "embed", counted)
    knowledge.put(space, "Price list", PRICING + "\n## Trials\nA trial takes two weeks.")
    ready(document)
    assert embedded == [1]
    assert ChunkVector.objects.count() == 4


def test_reading_again_what_has_not_changed_leaves_no_version(space: Workspace) -> None:
    document = send(space, PRICING.encode())
    settle()
    before = set(Chunk.objects.values_list("pk", flat=True))
    knowledge.reingest(space, document.pk, actor="user:a")
    document = ready(document)
    assert (document.latest, document.served, document.status) == (1, 1, DocumentStatus.INDEXED)
    assert set(Chunk.objects.values_list("pk", flat=True)) == before
    assert len(stored(space.pk)) == 1


def test_a_file_is_kept_read_and_replaced(
    space: Workspace, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    document = send(
        space, pdf(["# Prices\nPlans start at 49 dollars.", "# Refunds\nWithin thirty days."]), "p.pdf"
    )
    assert (document.title, document.source) == ("p", "file")
    settle()
    version = newest(document)
    assert (version.pages, version.content_type, version.file_name) == (2, kinds.PDF, "p.pdf")
    assert default_storage.exists(version.file)
    assert [(one.heading, one.page) for one in Chunk.objects.order_by("position")] == [
        ("Prices", 1),
        ("Refunds", 2),
    ]
    with default_storage.open(version.file) as source:
        same = io.BytesIO(source.read())
    kept = knowledge.replace_file(space, document.pk, file=same, name="p.pdf", declared="", actor="user:a")
    assert kept.latest == 1
    assert len(stored(space.pk)) == 1
    new = io.BytesIO(pdf(["# Prices\nPlans start at 59 dollars."]))
    knowledge.replace_file(space, document.pk, file=new, name="p.pdf", declared="", actor="user:a")
    assert ready(document).served == 2
    assert "59" in Chunk.objects.get().text
    with django_capture_on_commit_callbacks(execute=True):
        knowledge.delete(space, document.pk, actor="user:a")
    assert stored(space.pk) == []
    assert not Chunk.objects.exists()


def test_a_document_that_fails_says_why_and_what_was_found_stays(space: Workspace) -> None:
    document = send(space, pdf(["# Prices\nPlans start at 49 dollars."]), "p.pdf")
    settle()
    scanned = io.BytesIO(pdf([""]))
    knowledge.replace_file(space, document.pk, file=scanned, name="p.pdf", declared="", actor="user:a")
    document = ready(document)
    assert (document.status, document.error_code, document.served) == (DocumentStatus.FAILED, "no_text", 1)
    assert "recognized" in document.error
    assert newest(document).status == DocumentStatus.FAILED
    assert search(space, "plans")[0].document == "p"
    told = Event.objects.get(type="knowledge.document.failed")
    assert (told.data["error_code"], told.data["version"]) == ("no_text", 2)


def test_a_passage_that_is_turned_off_or_deleted_stays_out_of_later_versions(space: Workspace) -> None:
    document = knowledge.put(space, "Price list", PRICING)
    settle()
    off, deleted = Chunk.objects.get(heading__endswith="Discounts"), Chunk.objects.get(heading="Pricing")
    passages.set_chunk(space, document.pk, off.pk, enabled=False, actor="user:a")
    passages.delete_chunk(space, document.pk, deleted.pk, actor="user:a")
    assert not {off.pk, deleted.pk} & {one.chunk_id for one in search(space, "nonprofit discount plans seat")}
    knowledge.put(space, "Price list", PRICING + "\n## Trials\nA trial takes two weeks.")
    ready(document)
    found = {chunk.heading: chunk.enabled for chunk in Chunk.objects.all()}
    assert found == {"Pricing > Discounts": False, "Pricing > Refunds": True, "Pricing > Trials": True}
    assert "Pricing > Discounts" not in {one.heading for one in search(space, "discounts for nonprofits")}
    back = Chunk.objects.get(heading__endswith="Discounts")
    passages.set_chunk(space, document.pk, back.pk, enabled=True, actor="user:a")
    assert search(space, "discounts for nonprofits")[0].heading == "Pricing > Discounts"


def test_another_name_is_another_passage(space: Workspace) -> None:
    """Agents cite the title, and it is a part of what is found."""
    document = send(space, PRICING.encode())
    settle()
    knowledge.update(space, document.pk, actor="user:a", title="Robot tariffs")
    ready(document)
    assert search(space, "robot tariffs")[0].document == "Robot tariffs"
    assert set(Chunk.objects.values_list("title", flat=True)) == {"Robot tariffs"}


def test_a_change_of_the_model_embeds_anew_and_vectors_of_two_models_are_never_compared(
    space: Workspace,
) -> None:
    knowledge.put(space, "Price list", PRICING)
    settle()
    ChunkVector.objects.update(model="another/model")
    Corpus.objects.update(embedded_by="another/model")
    assert all(one.meaning_place is None for one in search(space, "refunds"))
    assert read.health(space.pk).without_vectors == 3
    assert corpora.due() == [space.pk]
    settle()
    assert set(ChunkVector.objects.values_list("model", flat=True)) == {LOCAL_MODEL}
    assert search(space, "refunds")[0].meaning_place
    assert read.health(space.pk).without_vectors == 0


def test_entries_are_found_and_two_kinds_reach_every_agent(space: Workspace) -> None:
    for kind, text in (
        ("positioning", "We build robots for warehouses that ship more than a thousand parcels a day."),
        ("offer", "The pilot package costs 9000 dollars for three months."),
        ("question", "How many parcels do you ship on a usual day?"),
        ("do_not_say", "Never promise a delivery date."),
    ):
        knowledge.create_text(space, title=kind, text=text, entry_kind=kind, actor="user:a")
    settle()
    found = search(space, "what does the pilot cost")[0]
    assert (found.document, found.kind) == ("offer", "offer")
    told = read.guidance(space.pk)
    assert told.positioning == (
        "We build robots for warehouses that ship more than a thousand parcels a day.",
    )
    assert told.do_not_say == ("Never promise a delivery date.",)
    assert read.guidance(rows.workspace("other").pk) == read.Guidance()
    entry = Document.objects.get(entry_kind="do_not_say")
    knowledge.update(space, entry.pk, actor="user:a", text="Never name a customer.")
    assert read.guidance(space.pk).do_not_say == ("Never name a customer.",)


def test_what_a_document_is_decides_what_can_be_changed(space: Workspace) -> None:
    entry = knowledge.create_text(space, title="x", text="Hello there.", entry_kind="offer", actor="user:a")
    file = send(space, PRICING.encode())
    for document, field in ((entry, "url"), (file, "text"), (file, "entry_kind")):
        with pytest.raises(InvalidInput):
            knowledge.update(space, document.pk, actor="user:a", **{field: "https://example.com/"})
    with pytest.raises(InvalidInput):
        knowledge.create_text(space, title="x", text="# Only a heading", actor="user:a")
    with pytest.raises(InvalidInput):
        knowledge.create_text(space, title="x", text="a" * 2001, entry_kind="offer", actor="user:a")
    with pytest.raises(Conflict):
        knowledge.replace_file(space, entry.pk, file=io.BytesIO(b"x"), name="a.txt", declared="", actor="a")


def test_nothing_of_another_workspace_is_changed(space: Workspace) -> None:
    other = rows.workspace("other")
    document = knowledge.put(other, "Secrets", PRICING)
    chunk = Chunk.objects.filter(document=document)[0]
    for act in (
        lambda: knowledge.update(space, document.pk, actor="a", title="x"),
        lambda: knowledge.delete(space, document.pk, actor="a"),
        lambda: knowledge.reingest(space, document.pk, actor="a"),
        lambda: passages.set_chunk(space, document.pk, chunk.pk, enabled=False, actor="a"),
        lambda: passages.delete_chunk(space, document.pk, chunk.pk, actor="a"),
    ):
        with pytest.raises(NotFound):
            act()
    assert read.place_of(space.pk, chunk.pk) is None


def test_words_that_are_everywhere_count_less(space: Workspace) -> None:
    for n in range(30):
        knowledge.put(
            space, f"Plan {n}", f"# Plan\nThe price of plan number {n} is listed for every robot here."
        )
    knowledge.put(space, "Spare", "# Spare parts\nA gripper has a price of its own.")
    settle()
    known = Corpus.objects.get(pk=space.pk)
    assert known.words["price"] == 31
    assert "gripper" not in known.words
    assert retrieval.search(space.pk, "price of the gripper", within_s=0.0).found[0].document == "Spare"


def test_ten_versions_are_kept(space: Workspace) -> None:
    document = knowledge.put(space, "Price list", "# A\nThe first text of all.")
    settle()
    for n in range(12):
        knowledge.put(space, "Price list", f"# A\nThe text number {n} of this document.")
        settle()
    assert document.versions.count() == 10
    assert newest(document).number == 13


@pytest.mark.django_db(transaction=True)
def test_workers_at_one_version_do_it_once() -> None:
    space = rows.workspace()
    document = knowledge.put(space, "Price list", PRICING)
    version_id = newest(document).pk
    results = rows.together(*[lambda: knowledge_ingest.run(version_id, slice_s=60)] * 4)
    assert sorted(results) == ["busy", "busy", "busy", "done"]
    assert Chunk.objects.filter(live=True).count() == ChunkVector.objects.count() == 3
    assert Event.objects.filter(type="knowledge.document.indexed").count() == 1


def test_the_workspace_is_locked_before_its_corpus(space: Workspace) -> None:
    """Making a document does so too: in two orders each could wait for the other."""
    knowledge.create_text(space, title="Pricing", text=PRICING, actor="test")
    with CaptureQueriesContext(connection) as seen:
        settle()
    said = [one["sql"] for one in seen.captured_queries]
    corpus = next(at for at, sql in enumerate(said) if 'UPDATE "crm_corpus" SET "stale" = true' in sql)
    assert any("FOR NO KEY UPDATE" in sql and "workspaces_workspace" in sql for sql in said[:corpus])


def test_no_more_than_two_documents_at_a_time(space: Workspace) -> None:
    documents = [knowledge.put(space, f"Doc {n}", PRICING) for n in range(3)]
    for document in documents[:2]:
        assert knowledge_ingest._claim(newest(document).pk, uuid.uuid4())
    assert knowledge_ingest.run(newest(documents[2]).pk) == "busy"
    DocumentVersion.objects.update(lease_until="2020-01-01T00:00:00Z")
    settle()
    assert set(Document.objects.values_list("status", flat=True)) == {"indexed"}


def test_a_document_that_ends_its_worker_too_often_is_given_up(space: Workspace) -> None:
    document = knowledge.put(space, "Price list", PRICING)
    DocumentVersion.objects.update(tries=knowledge_ingest.MAX_TRIES)
    assert ready(document).error_code == "gave_up"


def test_files_that_nobody_names_are_tidied_up(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    document = send(space, PRICING.encode())
    default_storage.save(f"knowledge/{space.pk}/{uuid.uuid4()}.pdf", io.BytesIO(b"left"))
    assert knowledge_ingest.tidy() == 0, "it may be of somebody who is at it"
    monkeypatch.setattr(knowledge_ingest, "timedelta", lambda **_: timedelta(seconds=-5))
    assert knowledge_ingest.tidy() == 1
    assert stored(space.pk) == [newest(document).file.rsplit("/", 1)[1]]
