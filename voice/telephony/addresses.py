"""Our addresses as the carrier knows them. Ids are in the path: it is signed and survives everything."""

import uuid

from django.conf import settings

Id = uuid.UUID | str


def voice() -> str:
    """Voice URL of an incoming number."""
    return _url("voice")


def fallback() -> str:
    return _url("fallback")


def number_status() -> str:
    """Status callback of an incoming number."""
    return _url("status")


def answer(attempt_id: Id) -> str:
    return _url(f"outbound/{attempt_id}")


def attempt_status(attempt_id: Id) -> str:
    return _url(f"status/{attempt_id}")


def answered_by(attempt_id: Id) -> str:
    return _url(f"amd/{attempt_id}")


def resume(call_id: Id) -> str:
    return _url(f"resume/{call_id}")


def recording(call_id: Id) -> str:
    return _url(f"recording/{call_id}")


def stream_status(call_id: Id) -> str:
    return _url(f"stream/{call_id}")


def after_dial(call_id: Id) -> str:
    return _url(f"dial/{call_id}")


def media(token: str = "") -> str:
    """The media socket. With the stream's token where its signature is not that of the settings' account."""
    return f"{settings.MEDIA_BASE_URL}/twilio/media{'/' if token else ''}{token}"


def _url(path: str) -> str:
    return f"{settings.PUBLIC_BASE_URL}/twilio/{path}"
