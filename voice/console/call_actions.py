"""What a member does with a finished call: correct its verdict, share it, delete its recording."""

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from tenex.errors import InvalidInput
from voice.console.call import CallView
from voice.postcall import correction
from voice.selectors import call_page as read
from voice.selectors import calls as read_calls
from voice.services import recording_files, shares

_MET: dict[str, bool | None] = {"yes": True, "no": False, "unknown": None}


class CallVerdict(CallView):
    """Correct the verdict by hand. What was typed is kept if it does not go through."""

    write_scope = "verdicts:write"

    def post(self, request: HttpRequest, call_id: uuid.UUID) -> HttpResponseBase:
        call = read_calls.bare(self.workspace, call_id)
        sent = request.POST
        met: dict[str, bool | None] = {}
        names, values = sent.getlist("criterion"), [sent.get(f"met-{n}", "") for n in range(1, 101)]
        for name, value in zip(names, values, strict=False):
            if value in _MET:
                met[name] = _MET[value]
        try:
            correction.correct(
                call.pk,
                qualification=sent.get("qualification", ""),
                met=met,
                reason=sent.get("reason", ""),
                actor=self.principal.actor,
            )
        except InvalidInput as exc:
            form: dict[str, Any] = {
                "errors": {str(exc.loc[-1]): exc.detail},
                "qualification": sent.get("qualification", ""),
                "reason": sent.get("reason", ""),
                "met": dict(zip(names, values, strict=False)),
            }
            return self.shown(call_id, status=422, correction=form)
        messages.success(request, "The verdict is corrected; the lead and your webhooks follow.")
        return redirect(reverse("call", args=[call_id]) + "#verdict")


class CallShares(CallView):
    """Make a link. It is shown on the answer, once: the token is not kept."""

    write_scope = "calls:share"

    def post(self, request: HttpRequest, call_id: uuid.UUID) -> HttpResponseBase:
        call = read_calls.bare(self.workspace, call_id)
        hours, audio = request.POST.get("hours", ""), request.POST.get("audio") == "on"
        try:
            if not (hours.isascii() and hours.isdigit() and len(hours) < 5):
                raise InvalidInput("choose how long", loc=("body", "hours"), type_="int_parsing")
            _, token = shares.create(call, self.principal, hours=int(hours), with_audio=audio)
        except InvalidInput as exc:
            return self.shown(
                call_id, status=422, sharing={"errors": {str(exc.loc[-1]): exc.detail}, "hours": hours}
            )
        return self.shown(call_id, status=201, sharing={"url": shares.url(token)})


class CallShareRevoke(CallView):
    write_scope = "calls:share"

    def post(self, request: HttpRequest, call_id: uuid.UUID, share_id: uuid.UUID) -> HttpResponseBase:
        if shares.revoke(read.share(self.workspace, call_id, share_id), self.principal.actor):
            messages.success(request, "The link is revoked: whoever opens it is told so.")
        return redirect(reverse("call", args=[call_id]) + "#sharing")


class CallRecordingDelete(CallView):
    """Here and at the carrier; for good."""

    write_scope = "recordings:write"

    def post(self, request: HttpRequest, call_id: uuid.UUID) -> HttpResponseBase:
        recording = read_calls.recording(self.workspace, call_id)
        if recording_files.delete(recording, self.principal.actor):
            messages.success(request, "The recording is deleted, here and at the carrier.")
        return redirect("call", call_id)
