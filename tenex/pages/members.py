"""The people of a workspace: inviting, roles, leaving; and the door for whoever was invited."""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth import login
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views import View

from tenex.errors import InvalidInput, NotFound, TenexError
from tenex.lib import limits
from tenex.pages.views import WORKSPACE_KEY, PageView
from tenex.rest import throttling
from tenex.rest.errors import RateLimited
from tenex.workspaces import scopes
from tenex.workspaces.models import Role
from tenex.workspaces.selectors import members as read
from tenex.workspaces.services import members as write

ABOUT = {
    Role.OWNER: "everything, and other owners",
    Role.ADMIN: "everything but owners: settings, keys, members",
    Role.OPERATOR: "agents, leads, batches, calls, numbers, webhooks",
    Role.VIEWER: "sees, changes nothing",
}


class Members(PageView):
    """Who is in, who is invited; POST invites."""

    scope = "users:read"
    write_scope = "users:write"
    nav = "members"

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._shown()

    def post(self, request: HttpRequest) -> HttpResponse:
        email, role = request.POST.get("email", "").strip(), request.POST.get("role", "")
        try:
            validate_email(email)
            if role not in Role.values:
                raise InvalidInput("choose a role", loc=("body", "role"))
            _, token = write.invite(self.workspace, email, role, self.principal)
        except ValidationError:
            return self._shown(error="is not an e-mail address", status=422)
        except TenexError as exc:
            return self._shown(error=exc.detail, status=exc.status)
        address = request.build_absolute_uri(f"/console/join?token={token}")
        return self._shown(link=address, invited=email)

    def _shown(self, *, status: int = 200, **more: Any) -> HttpResponse:
        by = self.principal
        may = [role for role in Role if scopes.may_manage(role, by_role=by.role, by_scopes=by.scopes)]
        context = {
            "members": [
                {"row": one, "is_me": one.user_id == by.user_id, "may_change": one.role in may}
                for one in read.all_of(self.workspace).order_by("user__email")
            ],
            "invitations": read.open_invitations(self.workspace),
            "roles": [(role, role.label, ABOUT[role]) for role in may],
            "may_write": by.allows("users:write"),
            "asked": self.request.POST,
            **more,
        }
        return self.page("console/members.html", context, status=status)


class Member(PageView):
    """Another role, or out."""

    scope = "users:write"
    nav = "members"

    def post(self, request: HttpRequest, user_id: uuid.UUID) -> HttpResponseBase:
        member = read.one(self.workspace, user_id)
        try:
            if "remove" in request.POST:
                write.remove(member, self.principal)
                messages.success(request, f"{member.user.email} is out: their next request is refused.")
            elif request.POST.get("role", "") in Role.values:
                write.change_role(member, request.POST["role"], self.principal)
                messages.success(request, f"{member.user.email} has another role from their next request on.")
        except TenexError as exc:
            messages.error(request, f"{exc.detail}.".capitalize())
        return redirect("members")


class RevokeInvitation(PageView):
    scope = "users:write"
    nav = "members"

    def post(self, request: HttpRequest, invitation_id: uuid.UUID) -> HttpResponseBase:
        write.revoke(read.invitation(self.workspace, invitation_id), self.principal)
        messages.success(request, "The invitation is worthless now.")
        return redirect("members")


class Join(View):
    """For whoever has the link of an invitation."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._form(request, request.GET.get("token", ""))

    def post(self, request: HttpRequest) -> HttpResponseBase:
        token = request.POST.get("token", "")
        email = write.addressee(token) or ""
        try:
            throttling.admit(f"login:{throttling.address_key(request)}", limit=limits.SIGN_INS_PER_MINUTE)
            throttling.admit(f"login:{email}", limit=limits.SIGN_INS_PER_MINUTE)
            name = request.POST.get("name", "").strip()[:200]
            member = write.accept(token, request.POST.get("password", ""), name)
        except RateLimited:
            return self._form(request, token, "too many tries: wait a minute", 429)
        except NotFound:
            return render(request, "console/join.html", {"gone": True}, status=410)
        except TenexError as exc:
            return self._form(request, token, exc.detail, exc.status)
        login(request, member.user, backend="django.contrib.auth.backends.ModelBackend")
        request.session[WORKSPACE_KEY] = str(member.workspace_id)
        return redirect("start" if member.role != Role.VIEWER else "live")

    def _form(self, request: HttpRequest, token: str, error: str = "", status: int = 200) -> HttpResponse:
        found = write.open_invitation(token)
        if found is None:
            return render(request, "console/join.html", {"gone": True}, status=410)
        context = {"token": token, "invitation": found, "error": error, "asked": request.POST}
        answer = render(request, "console/join.html", context, status=status)
        answer["Cache-Control"] = "no-store"
        return answer
