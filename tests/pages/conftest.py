"""Pages are looked at by many people from one address."""

import pytest

from tenex.lib import limits


@pytest.fixture(autouse=True)
def as_many_sign_ins_as_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """All tests sign in from 127.0.0.1; how many may is tests/rest/test_throttling.py's matter."""
    monkeypatch.setattr(limits, "SIGN_INS_PER_MINUTE", 10_000)
