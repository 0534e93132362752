"""Scopes: a view says what each of its methods needs, this asks the credential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission

from tenex.workspaces.principal import Principal

if TYPE_CHECKING:  # DRF's settings import this module while its views are being loaded
    from rest_framework.request import Request
    from rest_framework.views import APIView


class HasScope(BasePermission):
    """Reads `scopes: dict[method, scope]` of the view. A method without an entry is refused to all."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        principal: Any = request.auth
        if not isinstance(principal, Principal):
            return False  # DRF answers 401
        method = "GET" if request.method == "HEAD" else str(request.method)
        if method not in view.allowed_methods:
            return True  # DRF answers 405
        needed = getattr(view, "scopes", {}).get(method)
        if needed is None or not principal.allows(needed):
            raise PermissionDenied(f"this credential lacks the scope {needed}")
        return True


class AnyCredential(BasePermission):
    """For what everybody may know or do about themselves: any good credential, whatever its scopes."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, Principal)


class Public(BasePermission):
    """For the few doors that need no credential."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return True
