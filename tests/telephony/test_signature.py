"""Only what Twilio signed over our public address is genuine (promises.md D12)."""

import pytest
from django.http import QueryDict
from pytest_django import Settings

from voice.services.accounts import tokens
from voice.telephony import signature


@pytest.fixture(autouse=True)
def _address(settings: Settings) -> None:
    settings.PUBLIC_BASE_URL = "https://voice.example"
    settings.MEDIA_BASE_URL = "wss://voice.example"
    settings.TWILIO_AUTH_TOKEN = "12345"
    settings.TWILIO_AUTH_TOKEN_SECONDARY = ""


FORM = QueryDict("CallSid=CA1&From=%2B1415&Digits=")


def test_the_documented_vector() -> None:
    """Twilio's own example of its signature."""
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert signature.sign(url, form, token="12345") == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def test_signed_over_the_public_address_with_its_query() -> None:
    good = signature.sign("https://voice.example/twilio/voice?a=1", FORM, token="12345")
    assert signature.genuine("/twilio/voice?a=1", FORM, good, tokens=tokens(None))
    assert not signature.genuine("/twilio/voice?a=2", FORM, good, tokens=tokens(None))
    assert not signature.genuine("/twilio/voice", FORM, good, tokens=tokens(None))


def test_a_changed_field_a_missing_signature_or_another_key_is_refused() -> None:
    good = signature.sign("https://voice.example/twilio/voice", FORM, token="12345")
    assert not signature.genuine(
        "/twilio/voice", QueryDict("CallSid=CA2&From=%2B1415&Digits="), good, tokens=tokens(None)
    )
    assert not signature.genuine("/twilio/voice", FORM, "", tokens=tokens(None))
    other = signature.sign("https://voice.example/twilio/voice", FORM, token="54321")
    assert not signature.genuine("/twilio/voice", FORM, other, tokens=tokens(None))


def test_both_tokens_count_while_one_is_rotated(settings: Settings) -> None:
    settings.TWILIO_AUTH_TOKEN_SECONDARY = "54321"
    for token in ("12345", "54321"):
        good = signature.sign("https://voice.example/twilio/voice", FORM, token=token)
        assert signature.genuine("/twilio/voice", FORM, good, tokens=tokens(None))


def test_without_a_token_nothing_is_genuine(settings: Settings) -> None:
    settings.TWILIO_AUTH_TOKEN = ""
    forged = signature.sign("https://voice.example/twilio/voice", FORM, token="")
    assert not signature.genuine("/twilio/voice", FORM, forged, tokens=tokens(None))


def test_a_socket_is_signed_over_the_wss_address_with_or_without_a_slash() -> None:
    for url in ("wss://voice.example/twilio/media", "wss://voice.example/twilio/media/"):
        assert signature.genuine_socket(
            "/twilio/media", signature.sign(url, {}, token="12345"), tokens=tokens(None)
        )
    http = signature.sign("https://voice.example/twilio/media", {}, token="12345")
    assert not signature.genuine_socket("/twilio/media", http, tokens=tokens(None))
