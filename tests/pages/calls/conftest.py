"""Who looks: an owner, from New York."""

import pytest
from django.test import Client

from tenex.workspaces.models import Role, Workspace
from tests import rows
from tests.pages.calls.looks import member


@pytest.fixture
def space() -> Workspace:
    return rows.workspace(time_zone="America/New_York")


@pytest.fixture
def client(space: Workspace) -> Client:
    return member(Role.OWNER, space)
