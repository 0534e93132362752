"""A carrier on this machine that keeps the truth of who was dialed."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.prove.fake_carrier import FakeCarrier
from voice.services import capacity


@pytest.fixture
def carrier(settings: Settings, transactional_db: None) -> Iterator[FakeCarrier]:
    """Its callbacks go nowhere: tests tell the application what they want it to know."""
    settings.PUBLIC_BASE_URL = "http://127.0.0.1:9"
    settings.OPENAI_API_KEY = "sk-test"
    settings.CARRIER_CALLS_PER_SECOND = 100.0
    capacity.announce("media", capacity=200, live_calls=0, draining=False)
    with FakeCarrier(ring_s=3600, latency_s=0) as running:
        for name, value in running.environment().items():
            setattr(settings, name, value)
        settings.TWILIO_API_KEY_SID = ""
        yield running
