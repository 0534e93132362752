"""Before anything reads the settings: engines of this run's own, unless the environment names others.

The settings module is named here and not in pyproject.toml, because pytest-django reads it before it reads
this file.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import pytest
from django.conf import settings
from django.db import connection
from pytest_django import DjangoDbBlocker, Settings

from tenex.engines.bootstrap import DATA_DIR_VARIABLE, ENGINES_VARIABLE, ensure_environment
from tenex.engines.postgres import SEED_VARIABLE

if ensure_environment(throwaway=True) is not None and settings.configured:
    raise pytest.UsageError(
        "The settings were read before the engines had addresses: unset DJANGO_SETTINGS_MODULE."
    )
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tenex.settings")
django.setup()
# Each test client loads the middleware anew, which would look at every static file each time.
settings.WHITENOISE_AUTOREFRESH = True
if os.environ.get(SEED_VARIABLE):  # its database is migrated
    connection.settings_dict["TEST"]["TEMPLATE"] = str(connection.settings_dict["NAME"])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Each test process starts as this one did, with engines of its own.

    Valkey's channels know no databases: on one server two processes would hear each other.
    """
    inherited = [ENGINES_VARIABLE, "DJANGO_SETTINGS_MODULE"]
    if ENGINES_VARIABLE in os.environ:
        inherited += ["DATABASE_URL", "REDIS_URL", DATA_DIR_VARIABLE]
    for name in inherited:
        os.environ.pop(name, None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With several test processes (`-n 2`): a file stays in one, and all flows share the system of one."""
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return "tests/flows" if nodeid.startswith("tests/flows/") else nodeid.split("::", maxsplit=1)[0]

    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts systems takes longest, so it goes first: no process is left alone with it at the end."""
    slow = ("tests/flows/", "tests/engines/", "tests/supervisor/")
    items.sort(key=lambda item: not item.nodeid.startswith(slow))


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Before the test database is dropped: end what threads of a last test may still hold of it."""
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture
def media(settings: Settings, tmp_path: Path) -> Path:
    """An empty storage of files; where it is."""
    place = tmp_path / "media"
    place.mkdir()
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(place)},
        },
    }
    return place
