from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.conftest import alice, charlie, files, fresh_limits
from tests.api.live_server import serve
from tests.mcp.servers import serve_daphne

__all__ = ["alice", "charlie", "daphne", "files", "fresh_limits", "uvicorn"]


@pytest.fixture(scope="module")
def uvicorn(django_db_setup: None) -> Iterator[str]:
    """Base address of the application under uvicorn, in a thread of this process."""
    with serve() as url:
        yield url


@pytest.fixture(scope="module")
def daphne(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base address of the application under daphne, a process of its own."""
    folder: Path = tmp_path_factory.mktemp("daphne")
    with serve_daphne(folder) as url:
        yield url
