"""The base of every page: session, workspace, scope, errors that people understand."""

import zoneinfo
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views import View

from tenex.errors import Forbidden, NotFound, TenexError, Unavailable
from tenex.pages import nav
from tenex.rest.errors import row_gone
from tenex.workspaces.models import Membership, User, Workspace
from tenex.workspaces.principal import Principal
from tenex.workspaces.services import people

WORKSPACE_KEY = "workspace"
"""Of the browser's session: the workspace that is looked at."""

MEMBERSHIPS = "tenex_workspaces"
"""Of a request: the workspaces that its person is a member of, for the switch in the frame."""


class PageView(View):
    """A page of a workspace.

    `scope` is what the reader must hold (`write_scope` for anything but a GET, if it is more), `nav` the
    marked entry of the menu. In a handler `self.workspace` and `self.principal` are set, and the workspace's
    zone is the current one. A :class:`TenexError` becomes a page that says what is wrong.
    """

    scope: ClassVar[str]
    write_scope: ClassVar[str] = ""
    nav: ClassVar[str] = ""

    workspace: Workspace
    principal: Principal

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user = request.user
        if not isinstance(user, User) or not user.is_active:
            if request.headers.get("HX-Request"):  # a part of a page whose session is over
                return HttpResponse(status=401, headers={"HX-Refresh": "true"})
            return redirect_to_login(request.get_full_path(), reverse("login"), REDIRECT_FIELD_NAME)
        try:
            self.principal = people.principal(membership_of(request, user))
            self.workspace = self.principal.workspace
            needed = self.scope if request.method in ("GET", "HEAD") else self.write_scope or self.scope
            if not self.principal.allows(needed):
                raise Forbidden(f"your role does not allow this ({needed})")
            with timezone.override(zoneinfo.ZoneInfo(self.workspace.time_zone)):
                return super().dispatch(request, *args, **kwargs)
        except TenexError as exc:
            return self._refused(exc)
        except (DatabaseError, ObjectDoesNotExist) as exc:
            if not row_gone(exc, type(self).__name__):
                raise
            return self._refused(NotFound("it has been deleted meanwhile"))

    def _refused(self, error: TenexError) -> HttpResponse:
        return error_page(self.request, error, self.frame() if hasattr(self, "principal") else {})

    def page(
        self, template: str, context: dict[str, Any] | None = None, *, status: int = 200
    ) -> HttpResponse:
        """A template inside the frame."""
        answer = render(self.request, template, {**self.frame(), **(context or {})}, status=status)
        answer["Cache-Control"] = "no-store"  # transcripts and numbers do not belong in a disk cache
        return answer

    def frame(self) -> dict[str, Any]:
        """What templates/console/base.html needs."""
        return {
            **frame_of(self.request, self.principal),
            "nav_items": [item for item in nav.ITEMS if self.principal.allows(item.scope)],
            "nav_now": self.nav,
        }


def frame_of(request: HttpRequest, principal: Principal | None) -> dict[str, Any]:
    """Who looks, at which workspace, and at which others they may look."""
    return {
        "workspace": principal and principal.workspace,
        "principal": principal,
        "workspaces": getattr(request, MEMBERSHIPS, []),
        "rehearsal": settings.REHEARSAL,
    }


def membership_of(request: HttpRequest, user: User) -> Membership:
    """The membership that the browser looks through: the chosen one, else the oldest.

    Of `request` only the session is looked at.

    Raises:
        Forbidden: the person is a member of no workspace.
    """
    found = list(Membership.objects.select_related("workspace").filter(user=user).order_by("created_at"))
    if not found:
        raise Forbidden("you are not a member of any workspace yet", code="no_workspace")
    setattr(request, MEMBERSHIPS, sorted((one.workspace for one in found), key=lambda one: one.name.lower()))
    chosen = request.session.get(WORKSPACE_KEY)
    meant = next((one for one in found if str(one.workspace_id) == chosen), found[0])
    meant.user = user
    return meant


def error_page(request: HttpRequest, exc: TenexError, frame: dict[str, Any]) -> HttpResponse:
    """What went wrong, in words, with the status of the API's answer."""
    titles = {NotFound: "Not found", Forbidden: "Not allowed", Unavailable: "Not available right now"}
    title = next((text for kind, text in titles.items() if isinstance(exc, kind)), "That did not work")
    template = "console/error_part.html" if request.headers.get("HX-Request") else "console/error.html"
    return render(request, template, {**frame, "error": exc, "error_title": title}, status=exc.status)
