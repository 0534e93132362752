from collections.abc import Iterator

import pytest

from tenex.webhooks import signing
from tenex.workspaces.models import Workspace
from tests.webhooks.receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def workspace(transactional_db: None) -> Workspace:
    return Workspace.objects.create(name="Acme", slug="acme", webhook_secret=signing.new_secret())
