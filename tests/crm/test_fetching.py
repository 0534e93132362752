"""Documents from the web: fetched by the guarded client, each redirect through the guard, and again."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from pytest_django import Settings

from crm.knowledge import fetching
from crm.models import Chunk, Document
from crm.selectors import retrieval
from crm.services import knowledge
from tenex.errors import InvalidInput
from tenex.workspaces.models import Workspace
from tests import rows
from tests.crm.hostile_files import pdf
from tests.crm.knowledge_work import newest, ready, settle

pytestmark = pytest.mark.django_db
PAGE = "<html><title>Our prices</title><body><h1>Prices</h1><p>Plans start at 49 dollars.</p></body></html>"


class Site(BaseHTTPRequestHandler):
    """Answers by path: (status, headers, body)."""

    pages: ClassVar[dict[str, tuple[int, dict[str, str], bytes]]] = {}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status, headers, body = self.pages.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def site(settings: Settings) -> Iterator[str]:
    settings.KNOWLEDGE_ALLOWED_PRIVATE_CIDRS = ["127.0.0.0/8"]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    Site.pages, Site.asked = {}, []
    put("/prices", PAGE)
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def put(
    path: str, body: str | bytes, kind: str = "text/html; charset=utf-8", status: int = 200, **headers: str
) -> None:
    data = body.encode() if isinstance(body, str) else body
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    Site.pages[path] = (status, {"Content-Type": kind, **named}, data)


def add(space: Workspace, url: str) -> Document:
    return ready(knowledge.create_url(space, url=url, actor="user:a"))


@pytest.fixture
def space(db: None) -> Workspace:
    return rows.workspace()


def test_a_page_is_fetched_named_by_itself_and_fetched_again(space: Workspace, site: str) -> None:
    document = add(space, f"{site}/prices")
    assert (document.title, document.status, document.served) == ("Our prices", "indexed", 1)
    first = newest(document)
    assert (first.content_type, first.size_bytes, first.url) == ("text/html", len(PAGE), f"{site}/prices")
    assert first.fetched_at
    knowledge.reingest(space, document.pk, actor="user:a")
    document = ready(document)
    assert (document.latest, Site.asked) == (1, ["/prices", "/prices"])
    assert (newest(document).fetched_at or first.fetched_at) > first.fetched_at
    put("/prices", PAGE.replace("49", "59"))
    knowledge.reingest(space, document.pk, actor="user:a")
    assert "49" in retrieval.search(space.pk, "plans", within_s=0.0).found[0].text
    assert ready(document).served == 2
    assert "59" in Chunk.objects.get().text


def test_redirects_are_followed_each_through_the_guard(space: Workspace, site: str) -> None:
    put("/old", "", status=301, Location="/prices")
    document = add(space, f"{site}/old")
    assert (document.status, newest(document).url) == ("indexed", f"{site}/prices")
    for number, place in enumerate(
        ("http://169.254.169.254/latest/meta-data", "http://[::1]:1/", "ftp://x/y")
    ):
        put(f"/evil{number}", "", status=302, Location=place)
        document = add(space, f"{site}/evil{number}")
        assert (document.status, document.error_code) == ("failed", "fetch_refused"), place
    put("/round", "", status=302, Location="/round")
    assert add(space, f"{site}/round").error_code == "too_many_redirects"
    assert Site.asked.count("/round") == 5


def test_what_is_no_document_is_refused(space: Workspace, site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put("/logo", b"\x89PNG\r\n\x1a\n", "image/png")
    put("/lies", b"MZ\x90\x00", "text/html")
    put("/big", b"a" * 3000, "text/plain")
    put("/packed", b"\x1f\x8b", "text/html", Content_Encoding="gzip")
    monkeypatch.setattr(fetching, "MAX_BYTES", 2000)
    for path, code in (
        ("/logo", "unsupported_document"), ("/lies", "wrong_content"), ("/big", "too_large"),
        ("/packed", "fetch_failed"), ("/nowhere", "fetch_status"),
    ):  # fmt: skip
        document = add(space, f"{site}{path}")
        assert (document.status, document.error_code) == ("failed", code), path


def test_a_pdf_is_told_by_its_content_type(space: Workspace, site: str) -> None:
    put("/prices.pdf", pdf(["# Prices\nPlans start at 49 dollars."]), "application/pdf")
    document = add(space, f"{site}/prices.pdf")
    assert (document.status, newest(document).pages) == ("indexed", 1)


def test_what_breaks_off_or_fails_is_tried_again(space: Workspace, site: str) -> None:
    put("/prices", PAGE, Content_Length="9999")
    document = knowledge.create_url(space, url=f"{site}/prices", actor="user:a")
    settle()
    version = newest(document)
    assert (version.status, version.tries, version.file) == ("pending", 1, "")
    put("/prices", PAGE)
    knowledge.reingest(space, document.pk, actor="user:a")
    assert ready(document).status == "indexed"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://user:x@example.com/",
        "x",
        "https://",
    ],
)
def test_an_address_that_is_not_fetched_is_refused_when_it_is_saved(space: Workspace, url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        knowledge.create_url(space, url=url, actor="user:a")
    assert refused.value.loc == ("body", "url")
    assert not Document.objects.exists()
