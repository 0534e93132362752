"""`Authorization: Bearer …` takes an API key or a user's JWT, everywhere (contract.md 1)."""

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from tenex.rest import throttling
from tenex.rest.errors import CHALLENGE
from tenex.workspaces.principal import Principal
from tenex.workspaces.services import keys, tokens

_REFUSED = "the credential is not valid: unknown, expired or revoked"


def principal_of(request: HttpRequest | Request) -> Principal | None:
    """Who sent this request; None if it carries no credential.

    Raises:
        AuthenticationFailed: there is a credential and it is not good.
        RateLimited: this address has tried too many of them.
        Forbidden, InvalidInput: see :func:`tenex.workspaces.services.tokens.verify`.
    """
    header = request.META.get("HTTP_AUTHORIZATION", "")
    if not header:
        return None
    scheme, _, credential = header.partition(" ")
    credential = credential.strip()
    principal = None
    if scheme.lower() == "bearer" and credential:
        if credential.startswith("tnx_"):
            principal = keys.verify(credential)
        else:
            principal = tokens.verify(credential, workspace=request.META.get("HTTP_X_WORKSPACE"))
    if principal is None:
        throttling.admit(throttling.address_key(request))
        raise AuthenticationFailed(_REFUSED)
    return principal


class BearerAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[Principal, Principal] | None:
        principal = principal_of(request)
        return None if principal is None else (principal, principal)

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE
