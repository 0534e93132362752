"""Hostile files (promises.md D10, the half of documents): refused soon, and nothing of them is left."""

import io
import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from pytest_django import Settings

from crm.knowledge.parsing import kinds, sandbox
from crm.knowledge.parsing.refusals import Refused
from crm.models import Document
from tenex.workspaces.services import keys
from tests import rows
from tests.api.world import Api
from tests.crm import hostile_files as made
from tests.crm.knowledge_work import settle

DOCUMENTS = "/api/v1/knowledge/documents"
DOCX = kinds.DOCX


@pytest.fixture
def folders(settings: Settings, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where anything could be left: uploads on their way, and the storage."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    settings.FILE_UPLOAD_TEMP_DIR = str(temporary)
    return [temporary, media]


@pytest.fixture
def api(db: None) -> Api:
    _, secret = keys.create(rows.workspace(), "k", ["knowledge:write"], "system:tests")
    return Api(secret)


def form(data: bytes, name: str, declared: str = "") -> tuple[bytes, str]:
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
    head += f"Content-Type: {declared}\r\n\r\n" if declared else "\r\n"
    return head.encode() + data + b"\r\n--b--\r\n", "multipart/form-data; boundary=b"


def send(api: Api, data: bytes, name: str, declared: str = "") -> Any:
    body, kind = form(data, name, declared)
    return api.post(DOCUMENTS, body, content_type=kind)


def left(folders: list[Path]) -> list[Path]:
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def laughs() -> bytes:
    """Ten to the ninth times a word, in nine lines."""
    nested = "".join(f'<!ENTITY a{n} "{(f"&a{n - 1};" if n else "aaaaaaaaaa") * 10}">' for n in range(9))
    body = "<w:body><w:p><w:r><w:t>&a8;</w:t></w:r></w:p></w:body>"
    return made.docx(f"<!DOCTYPE d [{nested}]><w:document {made.WORD}>{body}</w:document>")


@pytest.mark.parametrize(
    ("data", "name", "declared", "status", "code"),
    [
        (b"MZ\x90\x00 program", "prices.pdf", "application/pdf", 415, "wrong_content"),
        (b"\x7fELF\x02\x01\x01", "notes.txt", "text/plain", 415, "wrong_content"),
        (b"<html>no</html>", "prices.pdf", "application/pdf", 415, "wrong_content"),
        (made.pdf(["Hello"]), "page.html", "text/html", 415, "wrong_content"),
        (made.pdf(["Hello"]), "prices.docx", "", 415, "wrong_content"),
        (made.pdf(["Hello"]), "prices.docx", "application/pdf", 415, "wrong_content"),
        (b"\x89PNG\r\n\x1a\n", "logo.png", "image/png", 415, "unsupported_document"),
        (b"anything", "archive", "", 415, "unsupported_document"),
        (b"a\x00b", "notes.md", "", 415, "wrong_content"),
        (b"PK\x03\x04 nothing more", "prices.docx", "", 422, "unreadable"),
        (b"%PDF-1.7 and nothing more", "prices.pdf", "", 422, "unreadable"),
        (made.encrypted_pdf(), "prices.pdf", "", 422, "encrypted"),
        (made.many_pages(100_000), "prices.pdf", "", 422, "too_many_pages"),
        (made.docx(extra={"../../etc/passwd": b"x"}), "prices.docx", "", 422, "unsafe_names"),
        (made.docx(extra={"/etc/passwd": b"x"}), "prices.docx", DOCX, 422, "unsafe_names"),
        (made.docx(extra={"..\\..\\x": b"x"}), "prices.docx", DOCX, 422, "unsafe_names"),
        (
            made.docx(extra={f"word/media/{n}": b"" for n in range(2500)}),
            "p.docx",
            "",
            422,
            "expands_too_much",
        ),
        (made.docx(extra={"word/media/a": bytes(120 << 20)}), "p.docx", "", 422, "expands_too_much"),
        (b"", "empty.txt", "text/plain", 422, "empty"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str | int) else f"{len(value)}B",
)
def test_what_cannot_be_taken_is_refused_within_a_second_and_leaves_nothing(
    api: Api, folders: list[Path], data: bytes, name: str, declared: str, status: int, code: str
) -> None:
    started = time.monotonic()
    answer = send(api, data, name, declared)
    assert time.monotonic() - started < 5  # a second, on a machine that does nothing else
    assert answer.status_code == status, answer.content
    told = answer.json()
    if status == 422:
        assert told["detail"][0]["type"] == code
        assert told["detail"][0]["loc"] == ["body", "file"]
    else:
        assert told["code"] == code
    assert not Document.objects.exists()
    assert left(folders) == []


def test_a_bomb_of_ten_gigabytes_costs_this_process_nothing(api: Api, folders: list[Path]) -> None:
    bomb = made.zip_bomb()
    assert len(bomb) < 12 << 20
    body, kind = form(bomb, "prices.docx", DOCX)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    answer = api.post(DOCUMENTS, body, content_type=kind)
    taken_s = time.monotonic() - started
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert answer.json()["detail"][0]["type"] == "expands_too_much"
    assert taken_s < 5
    assert grown_mib < 50, grown_mib
    assert left(folders) == []


def test_a_file_above_the_limit_is_cut_off(api: Api, folders: list[Path]) -> None:
    answer = send(api, b"a" * (25 * 1024 * 1024 + 1), "long.txt", "text/plain")
    assert answer.status_code == 413
    assert left(folders) == []


def test_a_name_leads_nowhere(api: Api, folders: list[Path]) -> None:
    answer = send(api, b"# Prices\nPlans start at 49.", "../../../../etc/cron.d/prices.md")
    assert answer.status_code == 202, answer.content
    [kept] = left(folders)
    assert kept.parent.parent == folders[1] / "knowledge"
    assert answer.json()["title"] == "prices"
    settle()


def test_what_only_parsing_shows_is_found_by_the_worker(api: Api, folders: list[Path]) -> None:
    for name, data, code in (
        ("a.docx", laughs(), "unreadable"),
        ("b.pdf", made.pdf(["", ""]), "no_text"),
        ("c.html", b"<div>" * 100_000 + b"deep", "no_text"),
    ):
        document_id = send(api, data, name).json()["id"]
        settle()
        told = api.get(f"{DOCUMENTS}/{document_id}").json()
        assert (told["status"], told["error_code"]) == ("failed", code), name
        assert api.delete(f"{DOCUMENTS}/{document_id}").status_code == 204


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("import time; time.sleep(60)", "took_too_long"),
        ("while True: pass", "took_too_long"),
        ("a = [bytes(1 << 28) for _ in range(64)]", "too_much_memory"),
        ("import os; os.abort()", "unreadable"),
        ("import os\nwhile True: os.write(1, bytes(1 << 16))", "too_much_text"),
        ("open('/tmp/left-by-a-parser', 'wb', 0).write(b'x')", "unreadable"),
    ],
)
def test_a_parser_that_runs_wild_is_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str, code: str
) -> None:
    """A real process with the real limits, in which the parser is this program."""
    child = tmp_path / "wild.py"
    child.write_text(
        "import sys\n"
        "from crm.knowledge.parsing import child\n"
        "child.CPU_S = 1\n"
        f"def parse(kind, file):\n    exec({program!r}, {{}})\n    return {{}}\n"
        "child.parse = parse\n"
        "child.main()\n"
    )
    popen = subprocess.Popen

    def start(command: list[str], **options: Any) -> Any:
        options["env"] |= {"PYTHONPATH": sandbox._ROOT}
        return popen([command[0], str(child), *command[3:]], **options)

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(sandbox, "WALL_S", 3.0)
    monkeypatch.setattr(sandbox, "ANSWER_BYTES", 1 << 20)
    with pytest.raises(Refused) as refused:
        sandbox.parse(kinds.TEXT, io.BytesIO(b"x"))
    assert refused.value.code == code
    assert not Path("/tmp/left-by-a-parser").exists() or Path("/tmp/left-by-a-parser").read_bytes() == b""
    Path("/tmp/left-by-a-parser").unlink(missing_ok=True)


def test_the_parser_has_none_of_our_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    popen = subprocess.Popen

    def start(command: list[str], **options: Any) -> Any:
        seen.update(options["env"])
        return popen(command, **options)

    monkeypatch.setattr(subprocess, "Popen", start)
    sandbox.parse(kinds.TEXT, io.BytesIO(b"Hello."))
    assert set(seen) == {"PATH", "LC_ALL", "OMP_NUM_THREADS", "MALLOC_ARENA_MAX"}
    assert not any(name in seen for name in os.environ if "KEY" in name or "URL" in name)


def test_every_form_is_read_with_its_headings_and_pages() -> None:
    import docx

    document = docx.Document()
    document.add_heading("Pricing", 1)
    document.add_paragraph("Plans start at 49 dollars.")
    document.add_heading("Discounts", 2)
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "Nonprofits", "30 percent"
    word = io.BytesIO()
    document.save(word)
    page = (
        "<html lang='en'><head><title>Prices</title></head><body><nav><a href='/'>Home</a></nav><main>"
        "<h1>Pricing</h1><p>"
        + "Plans start at 49 dollars a seat, and more can be had for less. "
        * 12
        + "</p>"
        "<h2>Discounts</h2><p>" + "Nonprofits get 30 percent off whatever they order from us. " * 6 + "</p>"
        "</main><footer>Imprint and cookies</footer></body></html>"
    )
    bookmarks = made.pdf(
        ["Pricing\nPlans start.", "Discounts\nThirty percent."], outline=[("Pricing", 0), ("Discounts", 1)]
    )
    for kind, data in (
        (kinds.DOCX, word.getvalue()),
        (kinds.HTML, page.encode()),
        (kinds.PDF, made.pdf(["# Pricing\nPlans start at 49.", "# Discounts\nThirty percent."])),
        (kinds.PDF, bookmarks),
        (kinds.MARKDOWN, b"# Pricing\nPlans.\n## Discounts\nThirty."),
    ):
        blocks, said = sandbox.parse(kind, io.BytesIO(data))
        assert [one.text for one in blocks if one.level] == ["Pricing", "Discounts"], kind
        text = " ".join(one.text for one in blocks)
        assert "Imprint" not in text
        if kind == kinds.PDF:
            assert [one.page for one in blocks if one.level] == [1, 2]
            assert said["pages"] == 2
    assert default_storage is not None


def test_an_old_encoding_is_read() -> None:
    blocks, _ = sandbox.parse(kinds.TEXT, io.BytesIO("Größe und Preis".encode("cp1252")))
    assert blocks[0].text == "Größe und Preis"
    blocks, _ = sandbox.parse(kinds.TEXT, io.BytesIO("Größe und Preis".encode("utf-16")))
    assert blocks[0].text == "Größe und Preis"
