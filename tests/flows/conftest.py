"""Whole calls through a system of real processes, in the shape that TENEX_FLOWS names, sped up."""

from collections.abc import Iterator

import pytest

from tests.flows.world import World
from tests.rig import shape_under_test, start_system

SPEED = 6.0


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    settings = {"TENEX_TIME_SCALE": str(SPEED), "CALL_LEASE_S": "15", "DIAL_GRACE_S": "20"}
    with start_system(shape_under_test(), settings=settings) as system:
        made = World(system)
        yield made
        made.close()
