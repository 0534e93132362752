from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings
from pytest_django import Settings

from tenex.rest import guesses
from tests.api.shop import Shop, open_shop, use
from tests.api.world import Tenant, make


@pytest.fixture(autouse=True)
def files(media: Path) -> None:
    """Every test of the API has a storage of its own."""


@pytest.fixture(autouse=True)
def fresh_limits() -> Iterator[None]:
    """Each test begins with its whole minute of requests."""
    guesses.forget()
    client = redis.Redis.from_url(settings.REDIS_URL)
    for key in client.scan_iter("tenex:rate:*"):
        client.delete(key)
    yield
    client.close()


@pytest.fixture(scope="session")
def shop_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with open_shop(tmp_path_factory.mktemp("speech")) as shop:
        yield shop


@pytest.fixture(autouse=True)
def shop(settings: Settings, shop_server: Shop) -> Shop:
    """The carrier, offline: it owns one number, and sells some."""
    use(settings, shop_server)
    shop_server.reset()
    return shop_server


@pytest.fixture
def alice(db: None) -> Tenant:
    """She owns a workspace and asks."""
    return make("alice", 0)


@pytest.fixture
def charlie(db: None) -> Tenant:
    """Another tenant. Alice must see nothing of this."""
    return make("charlie", 1)
