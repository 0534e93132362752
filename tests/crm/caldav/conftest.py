"""What each test begins with: a calendar on the server, and nothing in it."""

import pytest

from crm.models import Calendar
from tenex.workspaces.models import Workspace
from tests import rows
from tests.crm import connected
from tests.rig.radicale import Radicale


@pytest.fixture
def server(caldav_server: Radicale) -> Radicale:
    return caldav_server


@pytest.fixture
def space() -> Workspace:
    return rows.workspace()


@pytest.fixture
def calendar(space: Workspace, server: Radicale) -> Calendar:
    return connected.caldav(space, server)
