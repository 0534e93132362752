"""Signing in and out, choosing a workspace, light and dark."""

from typing import Any

from django.contrib.auth import login, logout
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views import View
from django.views.decorators.http import require_POST

from tenex.lib import limits
from tenex.pages.views import WORKSPACE_KEY
from tenex.rest import throttling
from tenex.rest.errors import RateLimited
from tenex.workspaces.models import Membership, User
from tenex.workspaces.services import first_owner, tokens

HOME = "/console/"


def _next(request: HttpRequest) -> str:
    """Where to go afterwards: an address of this host, else the first page."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if safe else HOME


class Login(View):
    """E-mail address and password for a browser session."""

    def get(self, request: HttpRequest) -> HttpResponseBase:
        if request.user.is_authenticated:
            return HttpResponseRedirect(_next(request))
        return self._form(request)

    def post(self, request: HttpRequest) -> HttpResponseBase:
        email, password = request.POST.get("email", "").strip(), request.POST.get("password", "")
        try:
            throttling.admit(f"login:{throttling.address_key(request)}", limit=limits.SIGN_INS_PER_MINUTE)
            throttling.admit(f"login:{email.lower()}", limit=limits.SIGN_INS_PER_MINUTE)
        except RateLimited:
            return self._form(request, "Too many tries. Wait a minute.", email=email, status=429)
        user = tokens.authenticate(email, password) if email and password else None
        if user is None:
            return self._form(request, "The address or the password is wrong.", email=email, status=400)
        login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        return HttpResponseRedirect(_next(request))

    def _form(
        self, request: HttpRequest, error: str = "", *, email: str = "", status: int = 200
    ) -> HttpResponse:
        context: dict[str, Any] = {
            "error": error, "email": email, "next": _next(request), "nobody": first_owner.nobody_yet(),
        }  # fmt: skip
        return render(request, "console/login.html", context, status=status)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return redirect("login")


@require_POST
def choose_workspace(request: HttpRequest) -> HttpResponseBase:
    """Look at another workspace that this person is a member of; a foreign id changes nothing."""
    if not isinstance(request.user, User):
        return redirect_to_login(HOME, reverse("login"))
    chosen = request.POST.get("workspace", "")
    mine = Membership.objects.filter(user=request.user).values_list("workspace_id", flat=True)
    if chosen in {str(one) for one in mine}:
        request.session[WORKSPACE_KEY] = chosen
    return HttpResponseRedirect(HOME)
