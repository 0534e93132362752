"""Django's page of an error tells developers much, and no secret."""

import sys
from typing import Any

import pytest
from django.test import RequestFactory
from django.views.debug import get_exception_reporter_class

from tenex.lib import redact
from tenex.pages.error_reports import Filter

OPENED = "opened-value-0123456789"
TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _opened() -> None:
    redact.remember(OPENED)


def report() -> tuple[str, str]:
    request = RequestFactory().post(
        "/console/credentials/twilio?token=t1.1.aaaa.bbbbbbbbbb",
        {"auth_token": TOKEN, "account_sid": "AC1", "note": f"it is {OPENED}"},
        headers={"Authorization": f"Bearer {TOKEN}", "Cookie": "sessionid=abcdefghijklmnop"},
    )

    def fail(harmless: str, words: list[str], auth_token: str) -> None:
        raise ValueError(f"refused: {words}")

    try:
        fail(f"say {OPENED}", ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "kept"], TOKEN)
    except ValueError:
        reporter_of: Any = get_exception_reporter_class(request)
        reporter = reporter_of(request, *sys.exc_info())
        return reporter.get_traceback_html(), reporter.get_traceback_text()
    raise AssertionError


def test_variables_parameters_headers_and_settings_are_cleansed(settings: object) -> None:
    import os

    from django.conf import settings as ours

    for said in report():
        assert "kept" in said, "it is a report"
        for secret in (OPENED, TOKEN, "MfKQ9r8GKYqr", ours.SECRET_KEY):
            assert secret not in said, secret
        password = str(ours.DATABASES["default"]["PASSWORD"])
        assert not password or password not in said
        assert os.environ["DATABASE_URL"] not in said


def test_it_is_the_one_that_django_uses() -> None:
    from django.views.debug import get_exception_reporter_filter

    assert isinstance(get_exception_reporter_filter(RequestFactory().get("/")), Filter)
