"""Who is asking, and on behalf of which workspace."""

import uuid
from dataclasses import dataclass

from tenex.workspaces import scopes
from tenex.workspaces.models import Workspace


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated credential: what every door hands to permissions, throttling and audit.

    `actor` is `key:<prefix>` or `user:<email>`; `rate_key` names the bucket of the rate limit; `role` is that
    of a person, a key has none.
    """

    workspace: Workspace
    scopes: frozenset[str]
    actor: str
    rate_key: str
    user_id: uuid.UUID | None = None
    role: str | None = None

    @property
    def is_authenticated(self) -> bool:
        """DRF asks its users this."""
        return True

    def allows(self, scope: str) -> bool:
        return scopes.holds(self.scopes, scope)
