"""Before anything reads the settings: engines of this run's own, unless the environment names others.

The settings module is named here and not in pyproject.toml, because pytest-django reads it before it reads
this file.
"""

import os
from collections.abc import Iterator

import django
import pytest
from django.conf import settings
from django.db import connection
from pytest_django import DjangoDbBlocker

from tenex.engines.bootstrap import ensure_environment

if ensure_environment(throwaway=True) is not None and settings.configured:
    raise pytest.UsageError(
        "The settings were read before the engines had addresses: unset DJANGO_SETTINGS_MODULE."
    )
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tenex.settings")
django.setup()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Before the test database is dropped: end what threads of a last test may still hold of it."""
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
