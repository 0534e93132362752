"""Keys of backups: one for a workspace, in a folder apart from database and backups, sealed by SECRETS_KEYS.

    <folder>/<workspace>.<key id>.key

Whoever deletes a workspace's keys has made all of its backups unreadable, wherever copies of them are.
"""

import os
import uuid
from pathlib import Path

from tenex.lib import sealed as form
from tenex.lib.ids import uuid7
from tenex.workspaces.services import vault


class KeyFolder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def current(self, workspace_id: uuid.UUID) -> tuple[uuid.UUID, bytes]:
        """The newest key of the workspace; made if there is none.

        Raises:
            vault.Unreadable: its key encryption key is not there.
        """
        known = self._files(workspace_id)
        if known:
            key_id = max(known)
            return key_id, self._open(workspace_id, key_id)
        key_id, key = uuid7(), form.new_key()
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._file(workspace_id, key_id)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(vault.wrap(workspace_id, key_id, key))
            file.flush()
            os.fsync(file.fileno())
        return key_id, key

    def find(self, workspace_id: uuid.UUID, key_id: uuid.UUID) -> bytes | None:
        """That key, or None: it was deleted.

        Raises:
            vault.Unreadable: its key encryption key is not there.
        """
        if not self._file(workspace_id, key_id).is_file():
            return None
        return self._open(workspace_id, key_id)

    def forget(self, workspace_id: uuid.UUID) -> int:
        """Delete all keys of a workspace; how many."""
        files = self._files(workspace_id)
        for key_id in files:
            path = self._file(workspace_id, key_id)
            path.write_bytes(b"\0" * path.stat().st_size)  # for what it is worth: disks may keep old blocks
            path.unlink()
        return len(files)

    def _open(self, workspace_id: uuid.UUID, key_id: uuid.UUID) -> bytes:
        wrapped = self._file(workspace_id, key_id).read_text(encoding="ascii")
        return vault.unwrap(workspace_id, key_id, wrapped)

    def _files(self, workspace_id: uuid.UUID) -> list[uuid.UUID]:
        return [uuid.UUID(path.name.split(".")[1]) for path in self.path.glob(f"{workspace_id}.*.key")]

    def _file(self, workspace_id: uuid.UUID, key_id: uuid.UUID) -> Path:
        return self.path / f"{workspace_id}.{key_id}.key"
