"""Answers that are kept for an Idempotency-Key lie encrypted: they may hold a secret that is shown once."""

import base64
from functools import cache

from cryptography.fernet import Fernet
from django.conf import settings


def seal(raw: bytes) -> str:
    return _cipher().encrypt(raw).decode("ascii")


def opened(body: str) -> bytes:
    """
    Raises:
        cryptography.fernet.InvalidToken: it was sealed under another key.
    """
    return _cipher().decrypt(body.encode("ascii"))


@cache
def _cipher() -> Fernet:
    return Fernet(base64.urlsafe_b64encode(settings.ANSWER_KEY))
