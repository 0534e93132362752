"""One server for all; each test has an empty calendar on it."""

from collections.abc import Iterator

import pytest

from crm.models import Calendar
from tenex.workspaces.models import Workspace
from tests import rows
from tests.crm import connected
from tests.rig import radicale
from tests.rig.radicale import Radicale


@pytest.fixture(scope="package")
def the_server() -> Iterator[Radicale]:
    with radicale.running() as server:
        yield server


@pytest.fixture
def server(the_server: Radicale) -> Iterator[Radicale]:
    the_server.calendar()
    yield the_server
    the_server.ask("DELETE", f"/{radicale.USER}/work/")


@pytest.fixture
def space() -> Workspace:
    return rows.workspace()


@pytest.fixture
def calendar(space: Workspace, server: Radicale) -> Calendar:
    return connected.caldav(space, server)
