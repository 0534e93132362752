"""Changing keys while the system runs, and finding out whether every secret can be read.

rewrap        data keys are sealed anew by the first key encryption key; columns are not touched
replace       workspaces get new data keys, and every registered column is sealed anew with them
check         what can be read, and which key encryption keys are still needed for it

All of it may be killed anywhere and run again: each step is a conditional UPDATE of one row, and what is done
is seen by the key ids in the rows. Secrets that are written meanwhile are sealed by the key of that moment;
one whose transaction was open while its key was replaced is found by the last passes.
"""

import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from tenex.lib import failpoint
from tenex.lib import sealed as form
from tenex.workspaces.models import DataKey, KeyKind, KeyRotation
from tenex.workspaces.services import audit, vault

BATCH: Final = 500
"""Rows that are read at a time; each is written in a transaction of its own."""
KEPT_RETIRED: Final = timedelta(hours=24)
"""So long a retired key stays even if nothing refers to it: a slow transaction may still bring something."""
_PASSES: Final = 5
_BETWEEN_PASSES_S: Final = 0.2


@dataclass(slots=True)
class Checked:
    """What `check` found. Names of columns are `table.column`."""

    readable: Counter[str] = field(default_factory=Counter)
    unreadable: dict[str, list[str]] = field(default_factory=dict)
    """Places by reason."""
    keys: Counter[str] = field(default_factory=Counter)
    """Data keys by the key encryption key that opens them."""

    @property
    def missing(self) -> list[str]:
        return sorted(set(self.keys) - set(settings.SECRETS_KEYS))

    @property
    def unneeded(self) -> list[str]:
        """Key encryption keys that open nothing any more and can be taken out, the first one aside."""
        return sorted(set(settings.SECRETS_KEYS) - set(self.keys) - {first_key()})


def first_key() -> str:
    return next(iter(settings.SECRETS_KEYS))


# --- key encryption keys --------------------------------------------------------------------------


def rewrap(actor: str, *, dry_run: bool = False) -> Counter[str]:
    """Seal every data key by the first key encryption key: `rewrapped`, `current`, `unreadable`."""
    counts: Counter[str] = Counter()
    for key in _keys():
        if form.key_id_of(key.wrapped) == first_key():
            counts["current"] += 1
            continue
        try:
            opened = vault.unwrap(key.workspace_id, key.pk, key.wrapped)
        except vault.Unreadable:
            counts["unreadable"] += 1
            continue
        counts["rewrapped"] += 1
        if not dry_run:
            _rewrap(key, opened, actor)
            failpoint.hit("rotation.rewrapped")
    return counts


def _rewrap(key: DataKey, opened: bytes, actor: str) -> None:
    with transaction.atomic():
        changed = DataKey.objects.filter(pk=key.pk, wrapped=key.wrapped).update(
            wrapped=vault.wrap(key.workspace_id, key.pk, opened), wrapped_at=timezone.now()
        )
        if changed:
            audit.record(
                key.workspace_id,
                actor,
                "data_key.rewrapped",
                object_type="data_key",
                object_id=key.pk,
                data={"from": form.key_id_of(key.wrapped), "to": first_key()},
            )


# --- data keys ------------------------------------------------------------------------------------


def replace(actor: str, *, dry_run: bool = False) -> Counter[str]:
    """New data keys for columns, and everything sealed anew: `replaced`, `resealed`, `unreadable`, `deleted`.

    Keys of files stay, for a file is not sealed anew by it, unless nobody can open them any more.
    """
    if dry_run:
        return _would_replace()
    run = _open_run(actor)
    counts: Counter[str] = Counter()
    for workspace_id in _workspaces_with_keys_before(run.created_at):
        counts["replaced"] += _replace(workspace_id, KeyKind.FIELDS, run.created_at, actor)
        failpoint.hit("rotation.replaced")
    for workspace_id in _workspaces_with_lost_file_keys():
        counts["replaced"] += _replace(workspace_id, KeyKind.FILES, run.created_at, actor)
    for attempt in range(_PASSES):
        found = reseal()
        counts["resealed"] += found["resealed"]
        counts["unreadable"] = found["unreadable"]
        if attempt and not found["resealed"]:
            break
        time.sleep(_BETWEEN_PASSES_S)  # what was being written with the old key is committed by then
    counts["deleted"] = _delete_unneeded()
    KeyRotation.objects.filter(pk=run.pk).update(finished_at=timezone.now(), counts=dict(counts))
    return counts


def reseal() -> Counter[str]:
    """Seal anew whatever a retired key has sealed: `resealed`, `unreadable`."""
    counts: Counter[str] = Counter()
    current = _current_ids()
    for column in vault.registered():
        for pk, workspace_id, text in _sealed(column):
            if current.get(workspace_id) == _key_id(text):
                continue
            try:
                counts["resealed"] += _reseal(column, pk, workspace_id, text)
            except vault.Unreadable:
                counts["unreadable"] += 1
            failpoint.hit("rotation.resealed")
    return counts


def _reseal(column: vault.Column, pk: Any, workspace_id: uuid.UUID, text: str) -> int:
    """1 if the row still had this text; whoever changed it meanwhile has sealed the new one."""
    with transaction.atomic():
        fresh = vault.seal(workspace_id, column.place(pk), vault.unseal(workspace_id, column.place(pk), text))
        if _key_id(fresh) == _key_id(text):
            return 0
        rows = column.model._default_manager.filter(**{"pk": pk, column.name: text})
        return rows.update(**{column.name: fresh})


def _open_run(actor: str) -> KeyRotation:
    KeyRotation.objects.bulk_create([KeyRotation(by=actor)], ignore_conflicts=True)
    return KeyRotation.objects.get(finished_at=None)


def _workspaces_with_keys_before(cut: datetime) -> list[uuid.UUID]:
    rows = DataKey.objects.filter(kind=KeyKind.FIELDS, retired_at=None, created_at__lt=cut)
    return list(rows.order_by("workspace_id").values_list("workspace_id", flat=True))


def _workspaces_with_lost_file_keys() -> list[uuid.UUID]:
    lost = []
    for key in DataKey.objects.filter(kind=KeyKind.FILES, retired_at=None):
        try:
            vault.unwrap(key.workspace_id, key.pk, key.wrapped)
        except vault.Unreadable:
            lost.append(key.workspace_id)
    return lost


def _replace(workspace_id: uuid.UUID, kind: KeyKind, cut: datetime, actor: str) -> int:
    with transaction.atomic():
        # Waits for whoever is sealing with it (vault.seal holds it for its transaction).
        old = (
            DataKey.objects.select_for_update()
            .filter(workspace_id=workspace_id, kind=kind, retired_at=None, created_at__lt=cut)
            .first()
        )
        if old is None:
            return 0
        old.retired_at = timezone.now()
        old.save(update_fields=["retired_at"])
        fresh = vault.new_data_key(workspace_id, kind)
        fresh.save(force_insert=True)
        audit.record(
            workspace_id,
            actor,
            "data_key.replaced",
            object_type="data_key",
            object_id=fresh.pk,
            data={"retired": str(old.pk), "kind": kind.value},
        )
    return 1


def _delete_unneeded() -> int:
    """Retired keys of columns that have been so for a while and that nothing refers to."""
    old = DataKey.objects.filter(kind=KeyKind.FIELDS, retired_at__lt=timezone.now() - KEPT_RETIRED)
    ids = set(old.values_list("pk", flat=True))
    if ids:
        ids -= {_key_id(text) for column in vault.registered() for _, _, text in _sealed(column)}
    return DataKey.objects.filter(pk__in=ids).delete()[0]


def _would_replace() -> Counter[str]:
    counts = Counter(replaced=len(_workspaces_with_keys_before(timezone.now())))
    for column in vault.registered():
        counts["resealed"] += sum(1 for _ in _sealed(column))
    return counts


# --- looking --------------------------------------------------------------------------------------


def check() -> Checked:
    """Open every sealed value. Nothing is kept or shown of them."""
    found = Checked()
    for key in _keys():
        found.keys[form.key_id_of(key.wrapped)] += 1
        try:
            vault.unwrap(key.workspace_id, key.pk, key.wrapped)
        except vault.Unreadable as exc:
            found.unreadable.setdefault(exc.detail, []).append(f"data key {key.pk}")
    for column in vault.registered():
        name = f"{column.model._meta.db_table}.{column.name}"
        for pk, workspace_id, text in _sealed(column):
            try:
                vault.unseal(workspace_id, column.place(pk), text)
                found.readable[name] += 1
            except vault.Unreadable as exc:
                found.unreadable.setdefault(exc.detail, []).append(column.place(pk))
    return found


def _keys() -> Iterator[DataKey]:
    return DataKey.objects.order_by("pk").iterator(BATCH)


def _current_ids() -> dict[uuid.UUID, uuid.UUID]:
    rows = DataKey.objects.filter(kind=KeyKind.FIELDS, retired_at=None)
    return dict(rows.values_list("workspace_id", "pk"))


def _sealed(column: vault.Column) -> Iterator[tuple[Any, uuid.UUID, str]]:
    """Primary key, workspace and text of every row that has one, in the order of the key, a few at a time."""
    rows = column.model._default_manager.order_by("pk").exclude(**{column.name: ""})
    rows = rows.exclude(**{f"{column.name}__isnull": True})
    last = None
    while True:
        part = rows if last is None else rows.filter(pk__gt=last)
        batch = list(part.values_list("pk", column.workspace, column.name)[:BATCH])
        yield from batch
        if len(batch) < BATCH:
            return
        last = batch[-1][0]


def _key_id(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(form.key_id_of(text))
    except ValueError:
        return None
