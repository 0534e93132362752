"""`Authorization: Bearer …` takes an API key or a user's JWT, everywhere (contract.md 1)."""

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from tenex.rest import guesses, throttling
from tenex.rest.errors import CHALLENGE
from tenex.workspaces.principal import Principal
from tenex.workspaces.services import keys, tokens

_REFUSED = "the credential is not valid: unknown, expired or revoked"


def principal_of(request: HttpRequest | Request) -> Principal | None:
    """Who sent this request; None if it carries no credential.

    Raises:
        AuthenticationFailed: there is a credential and it is not good.
        RateLimited: this address, or anybody for this key, has tried too many of them.
        Forbidden, InvalidInput: see :func:`tenex.workspaces.services.people.membership`.
    """
    header = request.META.get("HTTP_AUTHORIZATION", "")
    if not header:
        return None
    scheme, _, credential = header.partition(" ")
    credential = credential.strip()
    if scheme.lower() == "bearer" and credential.startswith("tnx_"):
        principal = _key_holder(credential, throttling.address(request))
    elif scheme.lower() == "bearer" and credential:
        principal = tokens.verify(credential, workspace=request.META.get("HTTP_X_WORKSPACE"))
    else:
        principal = None
    if principal is None:
        throttling.admit(throttling.address_key(request))
        raise AuthenticationFailed(_REFUSED)
    return principal


def _key_holder(text: str, address: str) -> Principal | None:
    """The holder of a key. No key: refused by the checksum. Guesses: refused before the database is asked."""
    parts = keys.parse(text)
    if parts is None:
        return None
    prefix, digest = parts[0], keys.digest(parts[1])
    guesses.admit(prefix, digest, address)
    principal = keys.holder(prefix, digest)
    if principal is None:
        guesses.wrong(prefix, digest, address)
        raise AuthenticationFailed(_REFUSED)
    guesses.right(prefix, digest)
    return principal


class BearerAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[Principal, Principal] | None:
        principal = principal_of(request)
        return None if principal is None else (principal, principal)

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE
