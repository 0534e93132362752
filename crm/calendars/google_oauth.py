"""Google's consent: the address to send somebody to, and tokens for the code they bring (RFC 6749, 7636)."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.utils import timezone

from crm.calendars.port import Budget, CalendarRefused, CalendarUnavailable
from tenex.lib import guarded_http

SCOPES: Final = (
    "https://www.googleapis.com/auth/calendar.events",
    "https://www.googleapis.com/auth/calendar.freebusy",
    "https://www.googleapis.com/auth/calendar.calendarlist.readonly",
)
"""The least that books: events, when somebody is busy, and the names of the calendars to choose from."""
_EARLY: Final = timedelta(seconds=60)
"""A token is not used up to its last second."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """`access` until `expires_at`; `refresh` for the next ones."""

    access: str
    refresh: str
    expires_at: datetime

    @property
    def is_fresh(self) -> bool:
        return timezone.now() < self.expires_at - _EARLY


def configured() -> bool:
    return bool(settings.GOOGLE_CLIENT_ID and settings.GOOGLE_CLIENT_SECRET)


def redirect_url() -> str:
    """Where Google sends people back to; it has to be entered in its console, exactly so."""
    return f"{settings.PUBLIC_BASE_URL}/console/connectors/google/callback"


def consent_url(state: str) -> str:
    query = {
        "client_id": settings.GOOGLE_CLIENT_ID,
        "redirect_uri": redirect_url(),
        "response_type": "code",
        "scope": " ".join(SCOPES),
        "access_type": "offline",
        "prompt": "consent",  # else a second consent brings no refresh token
        "state": state,
        "code_challenge": _challenge(_verifier(state)),
        "code_challenge_method": "S256",
    }
    base = settings.GOOGLE_BASE_URL or "https://accounts.google.com"
    return f"{base}/o/oauth2/v2/auth?{urlencode(query)}"


def exchange(code: str, state: str, budget: Budget) -> Tokens:
    """Tokens for the code of a consent that :func:`consent_url` began.

    Raises:
        CalendarUnavailable, CalendarRefused: the code is no good, or not everything was allowed.
    """
    answer = _ask_token(
        {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_url(),
            "code_verifier": _verifier(state),
        },
        budget,
    )
    if not answer.get("refresh_token"):
        raise CalendarRefused("Google gave no lasting access: begin again")
    missing = set(SCOPES) - set(str(answer.get("scope", "")).split())
    if missing:
        raise CalendarRefused("not everything that is needed was allowed: tick all boxes at Google")
    return _tokens(answer, str(answer["refresh_token"]))


def refresh(refresh_token: str, budget: Budget) -> Tokens:
    """
    Raises:
        CalendarUnavailable, CalendarRefused: the consent was taken back.
    """
    answer = _ask_token({"grant_type": "refresh_token", "refresh_token": refresh_token}, budget)
    return _tokens(answer, str(answer.get("refresh_token") or refresh_token))


def revoke(refresh_token: str, budget: Budget) -> None:
    """Give the access back, as far as Google can be told now."""
    _post("/revoke", {"token": refresh_token}, budget)


def _tokens(answer: dict[str, Any], refresh_token: str) -> Tokens:
    try:
        lasts = timedelta(seconds=int(answer.get("expires_in", 0)))
        return Tokens(str(answer["access_token"]), refresh_token, timezone.now() + lasts)
    except (KeyError, TypeError, ValueError, OverflowError) as exc:
        raise CalendarUnavailable("Google's answer makes no sense") from exc


def _ask_token(fields: dict[str, str], budget: Budget) -> dict[str, Any]:
    secret = {"client_id": settings.GOOGLE_CLIENT_ID, "client_secret": settings.GOOGLE_CLIENT_SECRET}
    answer = _post("/token", {**secret, **fields}, budget)
    try:
        told = json.loads(answer.body)
    except ValueError:
        told = None
    if answer.status == 200 and isinstance(told, dict):
        return told
    if answer.status in (400, 401, 403):
        code = str(told.get("error", "")) if isinstance(told, dict) else ""
        raise CalendarRefused(
            "the consent was taken back or has run out: connect again"
            if code == "invalid_grant"
            else f"Google refuses ({code[:60] or answer.status})"
        )
    raise CalendarUnavailable(f"Google answered {answer.status}")


def _post(path: str, fields: dict[str, str], budget: Budget) -> guarded_http.Answer:
    own = bool(settings.GOOGLE_BASE_URL)
    try:
        return guarded_http.request(
            "POST",
            (settings.GOOGLE_BASE_URL or "https://oauth2.googleapis.com") + path,
            policy=guarded_http.Policy.of(["127.0.0.0/8", "::1/128"] if own else [], require_tls=not own),
            headers={"content-type": "application/x-www-form-urlencoded", "accept": "application/json"},
            body=urlencode(fields).encode(),
            timeout_s=budget.left_s(),
        )
    except (guarded_http.ExchangeFailed, guarded_http.AddressRefused) as exc:
        raise CalendarUnavailable(f"Google: {exc}") from exc


def _verifier(state: str) -> str:
    """Of PKCE: only we can work it out of a state, so it need not be kept."""
    mac = hmac.new(settings.SIGNED_URL_KEY, f"google-pkce:{state}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode("ascii")


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode("ascii")
