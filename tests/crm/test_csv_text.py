"""Ugly files: encodings, line ends, delimiters, quotes. No database."""

import io
import random

import pytest

from crm.imports import columns, encoding, records
from crm.models import CustomField
from tenex.errors import InvalidInput

TEXT = "name;city\nJosé;Zürich\n€;naïve\n"


def utf8(raw: bytes, name: str | None = None) -> bytes:
    file = io.BytesIO(raw)
    return b"".join(encoding.as_utf8(file, name or encoding.detect(file)))


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (TEXT.encode(), "utf-8"),
        (b"\xef\xbb\xbf" + TEXT.encode(), "utf-8"),
        (TEXT.encode("utf-16"), "utf-16-le"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "utf-16-be"),
        (TEXT.encode("utf-16-le"), "utf-16-le"),
        (TEXT.encode("utf-16-be"), "utf-16-be"),
        (TEXT.encode("cp1252"), "cp1252"),
        (TEXT.replace("\n", "\r\n").encode(), "utf-8"),
        (TEXT.replace("\n", "\r").encode(), "utf-8"),
    ],
)
def test_every_encoding_becomes_the_same_text(raw: bytes, name: str) -> None:
    assert encoding.detect(io.BytesIO(raw)) == name
    assert utf8(raw) == TEXT.encode()


def test_what_is_beyond_the_first_block_counts_too() -> None:
    late = b"a\n" * 200_000 + "é\n".encode("cp1252")
    assert encoding.detect(io.BytesIO(late)) == "cp1252"
    split = ("é" * 100_001 + "\r\n").encode()  # characters and line ends across blocks
    assert utf8(b"x" + split).decode() == "x" + "é" * 100_001 + "\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"PK\x03\x04 a workbook",
        b"%PDF-1.7",
        b"a,b\n\x00\x01\x02",
        b"\x81\x8d\xff\xfe!",
        b"\xff\xfe\x00\x00a\x00\x00\x00",
    ],
)
def test_what_is_no_text_is_refused(raw: bytes) -> None:
    with pytest.raises(encoding.NotText):
        encoding.detect(io.BytesIO(raw))


def test_a_named_encoding_that_is_wrong_is_refused() -> None:
    with pytest.raises(encoding.NotText):
        utf8("é".encode("cp1252"), "utf-8")


def cells(text: str, delimiter: str = ",") -> list[tuple[int, list[str], str]]:
    return [(one.line, one.cells, one.problem) for one in records.read([text.encode()], delimiter=delimiter)]


def test_quotes_line_breaks_and_empty_lines() -> None:
    text = 'a,b\n"x, ""y""","two\nlines"\n\n5" nail,z\n"last",'
    assert cells(text) == [
        (1, ["a", "b"], ""),
        (2, ['x, "y"', "two\nlines"], ""),
        (4, [], ""),
        (5, ['5" nail', "z"], ""),
        (6, ["last", ""], ""),
    ]


def test_a_quote_that_is_never_closed_costs_one_line() -> None:
    assert cells('a,b\n"open,1\nc,2\n"d",3\n') == [
        (1, ["a", "b"], ""),
        (2, [], "malformed"),
        (3, ["c", "2"], ""),
        (4, ["d", "3"], ""),
    ]
    far = "a\n" + '"open\n' + "line\n" * 50_000
    found = cells(far)
    assert (len(found), found[1][2]) == (50_002, "malformed")
    assert {problem for _, _, problem in found[2:]} == {""}


def test_a_line_without_an_end_is_bounded() -> None:
    blocks = [b"a\n", *[b"x" * 60_000] * 50, b"\nb\n"]
    found = list(records.read(blocks, delimiter=","))
    assert [(one.line, one.problem) for one in found] == [(1, ""), (2, "too_long"), (3, "")]
    assert found[-1].next_byte == sum(map(len, blocks))


def test_reading_can_go_on_at_any_record() -> None:
    draw = random.Random(7)
    pieces = ["plain", "", '"quo""ted"', '"a\nb"', "ü€", '"open', '5" nail']
    lines = [",".join(draw.choices(pieces, k=3)) for _ in range(400)]
    raw = ("\n".join(lines)).encode()
    whole = list(records.read([raw], delimiter=","))
    assert whole[-1].next_byte == len(raw)
    for start in draw.sample(range(len(whole) - 1), 40):
        at = whole[start]
        size = draw.randrange(1, 50)
        rest = [raw[at.next_byte :][i : i + size] for i in range(0, len(raw) - at.next_byte, size)]
        again = records.read(rest, delimiter=",", start_byte=at.next_byte, start_line=at.next_line)
        assert list(again) == whole[start + 1 :]


@pytest.mark.parametrize(
    ("line", "delimiter"),
    [("a,b;c,d", ","), ("a;b;c", ";"), ("a\tb", "\t"), ('"a,b,c";d', ";"), ("email", ",")],
)
def test_the_delimiter_is_found(line: str, delimiter: str) -> None:
    assert records.delimiter_of(line) == delimiter


def test_a_declared_delimiter() -> None:
    assert records.declared_delimiter("sep=;\n") == ";"
    assert records.declared_delimiter("separator") is None


CUSTOMS = {
    "budget": CustomField(key="budget", label="Annual Budget", type="number"),
    "vip": CustomField(key="vip", type="boolean"),
    "plan": CustomField(key="plan", type="choice", choices=["Free", "Pro"]),
    "renewal": CustomField(key="renewal", type="date"),
}


def test_headers_are_known_by_many_names() -> None:
    headers = [
        "First Name",
        "E-Mail",
        "Phone  Number",
        "Company",
        "Annual budget",
        "custom.City",
        "Other",
        "",
    ]
    assert [target for _, target in columns.plan(headers, {}, CUSTOMS)] == [
        "first_name",
        "email",
        "phone",
        "organization",
        "custom.budget",
        "custom.city",
        None,
        None,
    ]


def test_the_client_says_otherwise() -> None:
    explicit = {"Mobile": "phone", "Company": None}
    found = columns.plan(["Phone", "Mobile", "Company", "Email"], explicit, {})
    assert found == [("Phone", None), ("Mobile", "phone"), ("Company", None), ("Email", "email")]


@pytest.mark.parametrize(
    ("explicit", "kind"),
    [
        ({"Nothing": "phone"}, "missing"),
        ({"A": "password"}, "extra_forbidden"),
        ({"A": "custom.Bad Key"}, "extra_forbidden"),
        ({"A": "phone", "B": "phone"}, "duplicate"),
        ({}, "missing"),
    ],
)
def test_a_mapping_that_makes_no_sense(explicit: dict[str, str | None], kind: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        columns.plan(["A", "B"], explicit, {})
    assert caught.value.type_ == kind


def row(headers: list[str], values: list[str]) -> object:
    return columns.row(columns.plan(headers, {}, CUSTOMS), values, CUSTOMS, {})


def test_cells_become_typed_fields() -> None:
    headers = ["name", "phone", "budget", "vip", "plan", "renewal", "stage"]
    values = ["Lopez, Maria", "'+14155550101", "1200.50", "Yes", "pro", "2030-01-31", "Contacted"]
    assert row(headers, values) == {
        "first_name": "Maria",
        "last_name": "Lopez",
        "phone": "+14155550101",
        "stage": "contacted",
        "custom": {"budget": 1200.5, "vip": True, "plan": "Pro", "renewal": "2030-01-31"},
    }
    assert row(headers, ["", " ", "\t"]) is None
    assert row(["name", "notes"], ["Ada", "'tis true"]) == {
        "first_name": "Ada",
        "last_name": "",
        "notes": "'tis true",
    }


@pytest.mark.parametrize(
    ("header", "cell", "kind"),
    [
        ("budget", "1.200,50", "wrong_type"),
        ("budget", "١٢", "wrong_type"),
        ("vip", "perhaps", "wrong_type"),
        ("plan", "gold", "enum"),
        ("renewal", "31.01.2030", "date"),
        ("owner", "nobody@x.example", "missing"),
    ],
)
def test_a_cell_of_the_wrong_type_names_its_column(header: str, cell: str, kind: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        row(["name", header], ["Ada", cell])
    assert caught.value.type_ == kind
    assert columns.header_of(columns.plan(["name", header], {}, CUSTOMS), caught.value.loc) == header


def test_more_cells_than_columns() -> None:
    assert row(["name", "city"], ["Ada", "x", "", " "]) == {"first_name": "Ada", "last_name": ""}
    with pytest.raises(InvalidInput, match="3 cells"):
        row(["name", "city"], ["Ada", "x", "y"])
