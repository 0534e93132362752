"""Everything about a person as a file to hand over: JSON by kind, and the recordings as they sound."""

import shutil
import uuid
import zipfile
from typing import BinaryIO, Final

import orjson

from tenex.lib.storage_faults import FileMissing
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit
from voice.models import Recording, RecordingStatus
from voice.services import erasure
from voice.services import recording_store as store

_OURS: Final = (
    "source_url",
    "file",
    "key_id",
    "leftovers",
    "at_rest",
    "next_at",
    "attempts",
    "store_failures",
)
"""Of a recording: where we keep it is nothing about them."""


def write(
    workspace: Workspace,
    file: BinaryIO,
    *,
    actor: str,
    phone: str = "",
    lead_id: uuid.UUID | None = None,
) -> dict[str, int]:
    """Write a ZIP archive; how many rows of each kind are in it, and `sounds`.

    Raises:
        InvalidInput: neither number nor lead, or no number. StorageFault, store.Altered: a recording cannot
            be read; an archive without it would not be everything.
    """
    known = erasure.export(workspace, phone=phone, lead_id=lead_id)
    counts = {kind: len(rows) for kind, rows in known.items()}
    ids = [row["id"] for row in known["recordings"]]
    missing: list[str] = []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        counts["sounds"] = 0
        for row in Recording.objects.filter(pk__in=ids, status=RecordingStatus.STORED).order_by("created_at"):
            try:
                _add(archive, row)
                counts["sounds"] += 1
            except FileMissing:
                missing.append(str(row.pk))
        known["recordings"] = [
            {key: value for key, value in row.items() if key not in _OURS}
            | ({"missing": True} if str(row["id"]) in missing else {})
            for row in known["recordings"]
        ]
        for kind, rows in known.items():
            text = orjson.dumps(rows, default=str, option=orjson.OPT_INDENT_2)
            archive.writestr(f"{kind}.json", text)
    audit.record(
        workspace.pk,
        actor,
        "person.exported",
        object_type="lead" if lead_id else "",
        object_id=str(lead_id or ""),
        data={"counts": {kind: count for kind, count in counts.items() if count}},
    )
    return counts


def _add(archive: zipfile.ZipFile, row: Recording) -> None:
    with store.opened(store.of(row)) as sound:
        sound.read(1)  # a file that is missing is noticed before it has an entry
        sound.seek(0)
        with archive.open(f"recordings/{row.call_id}/{row.provider_sid}.wav", "w") as copy:
            shutil.copyfileobj(sound, copy, store.BLOCK_BYTES)
