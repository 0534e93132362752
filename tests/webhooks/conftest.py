from collections.abc import Iterator

import pytest

from tenex.workspaces.models import Workspace
from tenex.workspaces.services import workspaces
from tests.webhooks.receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def workspace(transactional_db: None) -> Workspace:
    return workspaces.create({"name": "Acme", "slug": "acme"}, "system:test")
