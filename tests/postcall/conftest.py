from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tenex.lib import failpoint
from tests.postcall.responses_server import ResponsesServer, opinion, serving


@pytest.fixture
def judge(settings: Settings) -> Iterator[ResponsesServer]:
    """A verdict model that finds everybody qualified; tests give it another `answer`."""
    with serving(lambda case, _: opinion(case)) as server:
        settings.OPENAI_BASE_URL = server.base_url
        settings.OPENAI_API_KEY = "sk-test"
        settings.EMBEDDINGS = "local"  # this server knows none
        settings.VERDICT_TIMEOUT_S = 5.0
        yield server


@pytest.fixture(autouse=True)
def _disarm() -> Iterator[None]:
    yield
    failpoint.arm("")
