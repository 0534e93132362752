"""Whether a request is Twilio's (twilio.md 6, promises.md R19)."""

from collections.abc import Mapping, Sequence

from django.conf import settings
from django.http import QueryDict

HEADER = "X-Twilio-Signature"


def genuine(path: str, form: QueryDict | Mapping[str, str], signature: str, *, tokens: Sequence[str]) -> bool:
    """Whether `signature` is Twilio's over the form POST to `path` (with query) of our public address.

    `tokens`: the auth tokens that it may be signed with, those of the account that the request is about (the
    primary, and the secondary while it is rotated). The address is the configured one, never the request's
    Host. Without a token nothing is genuine.
    """
    return _valid(settings.PUBLIC_BASE_URL + path, form, signature, tokens)


def genuine_socket(path: str, signature: str, *, tokens: Sequence[str]) -> bool:
    """The same for the media socket's upgrade: signed over the wss URL without parameters.

    One report has a trailing slash in the signed URL (twilio.md 6), so both forms are tried.
    """
    base = settings.MEDIA_BASE_URL + path
    return any(_valid(url, {}, signature, tokens) for url in (base, base.rstrip("/") + "/"))


def sign(url: str, form: QueryDict | Mapping[str, str], *, token: str) -> str:
    """The signature that Twilio would send for a POST of `form` to `url`."""
    from twilio.request_validator import RequestValidator

    return str(RequestValidator(token).compute_signature(url, form))


def _valid(url: str, form: QueryDict | Mapping[str, str], signature: str, tokens: Sequence[str]) -> bool:
    from twilio.request_validator import RequestValidator

    if not signature:
        return False
    return any(RequestValidator(token).validate(url, form, signature) for token in tokens)
