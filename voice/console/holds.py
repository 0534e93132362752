"""Legal holds, from the pages of what they keep."""

import uuid

from django.contrib import messages
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from crm.selectors import leads as read_leads
from tenex.errors import Conflict, InvalidInput
from tenex.pages.views import PageView
from voice.selectors import calls as read_calls
from voice.selectors import retention as read
from voice.services import holds


class _Hold(PageView):
    """`settings:write`, as in the admin: a hold stops what the workspace has promised to delete."""

    scope = "settings:write"
    nav = "recordings"

    def hold(
        self, request: HttpRequest, *, call_id: uuid.UUID | None = None, lead_id: uuid.UUID | None = None
    ) -> None:
        reason = request.POST.get("reason", "")
        try:
            holds.hold(
                self.workspace, reason=reason, actor=self.principal.actor, call_id=call_id, lead_id=lead_id
            )
        except InvalidInput as exc:
            messages.error(request, f"Not held: {exc.detail}.")
            return
        messages.success(request, "Held: nothing of it is deleted until the hold is released.")


class HoldCall(_Hold):
    nav = "calls"

    def post(self, request: HttpRequest, call_id: uuid.UUID) -> HttpResponseBase:
        self.hold(request, call_id=read_calls.bare(self.workspace, call_id).pk)
        return redirect("call", call_id)


class HoldLead(_Hold):
    nav = "leads"

    def post(self, request: HttpRequest, lead_id: uuid.UUID) -> HttpResponseBase:
        self.hold(request, lead_id=read_leads.get(self.workspace.pk, lead_id).pk)
        return redirect(f"/console/leads/{lead_id}#holds")


class HoldRelease(_Hold):
    def post(self, request: HttpRequest, hold_id: uuid.UUID) -> HttpResponseBase:
        made = read.hold(self.workspace, hold_id)
        try:
            holds.release(made, actor=self.principal.actor)
            messages.success(request, "Released: what is past its time is deleted within minutes.")
        except Conflict as exc:
            messages.error(request, f"Not released: {exc.detail}.")
        match request.POST.get("from"):
            case "call" if made.call_id:
                return redirect("call", made.call_id)
            case "lead" if made.lead_id:
                return redirect(f"/console/leads/{made.lead_id}#holds")
        return redirect("recordings")
