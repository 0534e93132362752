from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings
from pytest_django import Settings

from tenex.rest import guesses
from tests.api.world import Tenant, make


@pytest.fixture(autouse=True)
def files(settings: Settings, tmp_path: Path) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path},
        },
    }


@pytest.fixture(autouse=True)
def fresh_limits() -> Iterator[None]:
    """Each test begins with its whole minute of requests."""
    guesses.forget()
    client = redis.Redis.from_url(settings.REDIS_URL)
    for key in client.scan_iter("tenex:rate:*"):
        client.delete(key)
    yield
    client.close()


@pytest.fixture
def alice(db: None) -> Tenant:
    """She owns a workspace and asks."""
    return make("alice", 0)


@pytest.fixture
def charlie(db: None) -> Tenant:
    """Another tenant. Alice must see nothing of this."""
    return make("charlie", 1)
