"""Backups: every table is somebody's. That they come back, and can be forgotten, is proven by F3."""

import os
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from tenex.backup import tables
from tenex.backup.keys import KeyFolder
from tenex.backup.make import make
from tenex.errors import Conflict
from tenex.workspaces.models import AuditEntry
from tenex.workspaces.services import vault, workspaces


@pytest.mark.django_db
def test_every_table_belongs_to_workspaces_or_is_named() -> None:
    found = {table.name: table for table in tables.all_tables()}
    in_database = {name for name in connection.introspection.table_names() if not name.startswith("test_")}
    assert in_database - set(found) == tables.LEFT_OUT | {"django_migrations"}
    assert {name for name, table in found.items() if not table.owner} == tables.SHARED
    for name in (
        "voice_turn",
        "voice_toolcall",
        "voice_verdict",
        "voice_callevent",
        "crm_lead",
        "events_event",
    ):
        assert found[name].owner, name


@pytest.mark.django_db(transaction=True)
def test_a_backup_is_written_once_with_a_key_that_is_not_in_it(tmp_path: Path, settings: Settings) -> None:
    settings.SECRETS_KEYS = {"k1": os.urandom(32)}
    space = workspaces.create({"name": "Acme", "slug": "acme"}, "system:tests")
    keys, folder = KeyFolder(tmp_path / "keys"), tmp_path / "backup"
    made = make(folder, keys)
    assert made.workspaces == 1
    key_id, key = keys.current(space.pk)
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"Acme" not in everything
    assert key not in everything
    assert str(key_id).encode() in everything, "which key it was"
    [file] = (tmp_path / "keys").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert key not in file.read_bytes()
    with pytest.raises(Conflict):
        make(folder, keys)
    settings.SECRETS_KEYS = {"k2": os.urandom(32)}
    with pytest.raises(vault.Unreadable):
        keys.current(space.pk)


@pytest.mark.django_db(transaction=True)
def test_forgetting_is_noted_and_a_full_database_is_not_restored_into(tmp_path: Path) -> None:
    space = workspaces.create({"name": "Acme", "slug": "acme"}, "system:tests")
    where = f"--keys={tmp_path / 'keys'}"
    call_command("backup", "make", str(tmp_path / "backup"), where)
    with pytest.raises(CommandError, match="workspaces in this database"):
        call_command("backup", "restore", str(tmp_path / "backup"), where)
    with pytest.raises(CommandError, match="no backup"):
        call_command("backup", "restore", str(tmp_path), where)
    call_command("backup", "forget", "--workspace=acme", where)
    assert not list((tmp_path / "keys").iterdir())
    assert AuditEntry.objects.get(action="backup_keys.deleted").workspace_id == space.pk
