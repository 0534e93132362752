"""Which column of a file is which field: the choices, a sample, and what was chosen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any, Final

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, QueryDict

from crm.imports import columns
from crm.models import OnDuplicate
from crm.selectors import fields
from crm.services import imports
from tenex.errors import InvalidInput
from tenex.workspaces.models import Workspace

LABELS: Final = {
    "first_name": "First name", "last_name": "Last name", "full_name": "Full name", "title": "Title",
    "phone": "Phone", "email": "E-mail", "organization": "Company", "time_zone": "Time zone",
    "country": "Country", "region": "State or province", "source": "Source", "notes": "Notes",
    "stage": "Stage", "owner": "Owner (e-mail)", "consent.given_at": "Consent: given at",
    "consent.source": "Consent: source", "consent.proof": "Consent: proof",
    "consent.purpose": "Consent: purpose",
}  # fmt: skip
LEAVE_OUT: Final = "-"
SAMPLE: Final = 3
DELIMITERS: Final = {",": "comma", ";": "semicolon", "\t": "tab"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the file: its header, what it is read as, and what stands in the first rows."""

    place: int
    header: str
    target: str
    sample: Sequence[str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A first look at a file, to be put right by who knows it."""

    columns: list[Column]
    choices: list[tuple[str, str]]
    encoding: str
    delimiter: str
    problem: str = ""


def sheet(workspace: Workspace, found: imports.Look, *, variables: bool = False) -> Sheet:
    """What the form of the columns shows. `variables`: what is no field of a lead may go with the row."""
    taken = [target for _, target in found.columns if target]
    customs = [(f"custom.{key}", str(one)) for key, one in fields.by_key(workspace.pk).items()]
    choices = [(LEAVE_OUT, "Leave out"), *LABELS.items(), *customs]
    known = {value for value, _ in choices}
    choices += [(target, _spoken(target)) for target in taken if target not in known]
    if not variables:
        choices = [one for one in choices if not one[0].startswith(columns.VARIABLES)]
    return Sheet(
        [
            Column(
                place,
                header,
                target or LEAVE_OUT,
                [row[place].strip()[:60] for row in found.rows[:SAMPLE] if place < len(row)],
            )
            for place, (header, target) in enumerate(found.columns)
        ],
        choices,
        found.encoding,
        DELIMITERS.get(found.delimiter, found.delimiter),
        found.problem,
    )


def _spoken(target: str) -> str:
    if target.startswith(columns.VARIABLES):
        return f"Variable {{{{variables.{target.removeprefix(columns.VARIABLES)}}}}}"
    return f"Custom field {target.removeprefix('custom.')}"


def file_of(request: HttpRequest) -> "UploadedFile[Any]":
    """The file that was sent.

    Raises:
        InvalidInput: none, or one that is too large.
    """
    file = request.FILES.get("file")
    if not isinstance(file, UploadedFile) or not file.size:
        raise InvalidInput("choose a CSV file", loc=("body", "file"), type_="missing")
    if file.size > imports.MAX_BYTES:
        raise InvalidInput(f"larger than {imports.MAX_BYTES // 2**20} MiB", loc=("body", "file"))
    return file


def options_of(sent: QueryDict, *, standard: OnDuplicate = OnDuplicate.SKIP) -> imports.Options:
    """What was chosen for the file: what to do with known leads, and each column's field."""
    wanted = sent.get("on_duplicate") or standard
    if wanted not in OnDuplicate.values:
        raise InvalidInput("there is no such choice", loc=("body", "on_duplicate"), type_="enum")
    mapping: dict[str, str | None] = {}
    for place in range(200):
        header = sent.get(f"header-{place}")
        if header is None:
            break
        target = sent.get(f"column-{place}", LEAVE_OUT)
        if header not in mapping or mapping[header] is None:  # of two columns of one name the first counts
            mapping[header] = None if target == LEAVE_OUT else target
    return imports.Options(
        on_duplicate=OnDuplicate(wanted), dry_run=bool(sent.get("dry_run")), mapping=mapping
    )


def stream(file: "UploadedFile[Any]") -> IO[bytes]:
    """The bytes of an uploaded file, from the beginning."""
    opened: IO[bytes] = file.file  # type: ignore[assignment]
    opened.seek(0)
    return opened
