"""Everything about a person as a file to hand over: JSON by kind, the conversations to read, the recordings
as they sound."""

import shutil
import tempfile
import uuid
import zipfile
from collections import defaultdict
from typing import Any, BinaryIO, Final

import orjson
from django.utils import timezone

from crm.services import suppressions
from tenex.lib.storage_faults import FileMissing
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit
from voice.models import Recording, RecordingStatus
from voice.services import persons
from voice.services import recording_store as store

type Row = dict[str, Any]

_OURS: Final = {
    "calls": {"lease_until"},
    "do_not_call": {"phone_hash"},
    "leads": {"search"},
    "recordings": {
        "source_url", "file", "key_id", "leftovers", "at_rest", "next_at", "attempts", "store_failures",
    },
}  # fmt: skip
"""Columns by kind that are nothing about them: where and how we keep it."""
_EVERYWHERE: Final = {"workspace_id"}
_KINDS: Final = {
    "leads": "who they are to this company",
    "timeline": "what happened, as the company's people see it",
    "consents": "what they agreed to, and took back",
    "follow_ups": "what was promised to them",
    "meetings": "meetings with them",
    "segments": "lists of people that they are on",
    "import_rows": "rows of files that are being taken over",
    "do_not_call": "why they are not called any more",
    "recipients": "batches of calls that they were chosen for, with what was written down for it",
    "decisions": "whether they might be called, and why",
    "calls": "calls with them",
    "turns": "what was said, line by line",
    "tool_calls": "what the agent did meanwhile",
    "journal": "the course of the calls, event by event",
    "verdicts": "what was concluded of the calls",
    "corrections": "what people changed about that",
    "recordings": "recordings of the calls; the sound is recordings/<call_id>/<provider_sid>.wav",
    "knowledge": "places in the company's documents in which their number or e-mail stands",
}


def made(workspace: Workspace, *, actor: str, phone: str = "", lead_id: uuid.UUID | None = None) -> BinaryIO:
    """The archive as a file without a name, which is gone when it is closed.

    Raises:
        As :func:`write`.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115 - whoever takes it closes it
    try:
        write(workspace, file, actor=actor, phone=phone, lead_id=lead_id)
    except BaseException:
        file.close()
        raise
    return file


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
        InvalidInput, NotFound: as :func:`voice.services.persons.named`. StorageFault, store.Altered: a
            recording cannot be read; an archive without it would not be everything.
    """
    person = persons.named(workspace, phone=phone, lead_id=lead_id)
    known = persons.export(person)
    counts = {kind: len(rows) for kind, rows in known.items()}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        counts["sounds"], missing = _sounds(archive, known["recordings"])
        known["recordings"] = [
            row | ({"missing": True} if row["id"] in missing else {}) for row in known["recordings"]
        ]
        for kind, rows in known.items():
            hidden = _EVERYWHERE | _OURS.get(kind, set())
            told = [{key: value for key, value in row.items() if key not in hidden} for row in rows]
            archive.writestr(f"{kind}.json", orjson.dumps(told, default=str, option=orjson.OPT_INDENT_2))
        for name, text in _conversations(known).items():
            archive.writestr(name, text)
        archive.writestr("README.txt", _contents(workspace, counts))
    audit.record(
        workspace.pk,
        actor,
        "person.exported",
        object_type="lead" if lead_id else "",
        object_id=str(lead_id or ""),
        data={
            "counts": {kind: count for kind, count in counts.items() if count},
            "subject_hash": suppressions.digest(person.number).hex() if person.number else None,
        },
    )
    return counts


def _sounds(archive: zipfile.ZipFile, rows: list[Row]) -> tuple[int, set[uuid.UUID]]:
    """Copy the recordings; how many there are, and ids of those whose file is gone."""
    copied, missing = 0, set()
    stored = Recording.objects.filter(pk__in=[row["id"] for row in rows], status=RecordingStatus.STORED)
    for row in stored.order_by("created_at"):
        try:
            _add(archive, row)
            copied += 1
        except FileMissing:
            missing.add(row.pk)
    return copied, missing


def _add(archive: zipfile.ZipFile, row: Recording) -> None:
    with store.opened(store.of(row)) as sound:
        sound.read(1)  # a file that is missing is noticed before it has an entry
        sound.seek(0)
        place = f"recordings/{row.call_id}/{row.provider_sid}.wav"
        entry = zipfile.ZipInfo(place, row.created_at.timetuple()[:6])
        entry.compress_type = archive.compression
        with archive.open(entry, "w") as copy:
            shutil.copyfileobj(sound, copy, store.BLOCK_BYTES)


def _conversations(known: dict[str, list[Row]]) -> dict[str, str]:
    """Name of a file -> a call as people read it. What was not heard to its end is told as it was heard."""
    said: dict[uuid.UUID, list[str]] = defaultdict(list)
    for turn in sorted(known["turns"], key=lambda row: row["position"]):
        text = turn["heard_text"] or turn["text"]
        said[turn["call_id"]].append(f"{_clock(turn['start_ms'])}  {turn['speaker']}: {text}")
    return {
        f"conversations/{call['created_at']:%Y-%m-%d_%H-%M}_{call['id']}.txt": "\n".join(
            [_headline(call), "", *said[call["id"]], ""]
        )
        for call in known["calls"]
        if call["id"] in said
    }


def _headline(call: Row) -> str:
    at = call["created_at"]
    return f"{call['direction']} call, {at:%Y-%m-%d %H:%M} UTC, {call['from_number']} to {call['to_number']}"


def _clock(at_ms: int) -> str:
    return f"{at_ms // 60_000:02}:{at_ms // 1000 % 60:02}"


def _contents(workspace: Workspace, counts: dict[str, int]) -> str:
    lines = [f"What {workspace.name} knows about one person, {timezone.now():%Y-%m-%d %H:%M} UTC.", ""]
    lines += [f"{kind}.json  {counts.get(kind, 0)} - {what}" for kind, what in _KINDS.items()]
    return "\n".join([*lines, "", "conversations/  the calls, to read", ""])
