"""Browser sessions in the database, under a hash: whoever reads the table has nobody's session."""

import hashlib
from typing import Any

from django.contrib.sessions.backends import db
from django.contrib.sessions.base_session import AbstractBaseSession
from django.utils import timezone


class SessionStore(db.SessionStore):
    """Django's own, with the key of the row in place of the cookie's. 160 random bits need no slow hash."""

    def _get_session_from_db(self) -> AbstractBaseSession | None:
        return self._known(self._valid().first())

    async def _aget_session_from_db(self) -> AbstractBaseSession | None:
        return self._known(await self._valid().afirst())

    def _valid(self) -> Any:
        return self.model.objects.filter(
            session_key=stored(self.session_key or ""), expire_date__gt=timezone.now()
        ).order_by()

    def _known(self, found: AbstractBaseSession | None) -> AbstractBaseSession | None:
        if found is None:
            self._session_key = None
        return found

    def exists(self, session_key: str) -> bool:
        return super().exists(stored(session_key))

    async def aexists(self, session_key: str) -> bool:
        return await super().aexists(stored(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        return self._hidden(super().create_model_instance(data))

    async def acreate_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        return self._hidden(await super().acreate_model_instance(data))

    def _hidden(self, row: AbstractBaseSession) -> AbstractBaseSession:
        row.session_key = stored(row.session_key)
        return row

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key:
            super().delete(stored(key))

    async def adelete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key:
            await super().adelete(stored(key))


def stored(session_key: str) -> str:
    """The key of the row: 40 characters, as long as Django's column."""
    return hashlib.sha256(session_key.encode()).hexdigest()[:40]
