"""How calls may be recorded, how recordings lie, and which of them need somebody."""

import uuid
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from tenex.errors import Conflict, InvalidInput
from tenex.lib import places
from tenex.pages.views import PageView
from tenex.workspaces.models import RecordingConsent, Workspace
from tenex.workspaces.services import workspaces
from voice.models import AtRest, Recording, RecordingProblem, RecordingStatus
from voice.selectors import recordings as read
from voice.selectors import retention as read_retention
from voice.services import recording_files, recording_store

SHOWN = 100
_MAY_BE_ACCEPTED = (RecordingProblem.ONE_CHANNEL, RecordingProblem.SHORT, RecordingProblem.TRUNCATED)
_USUAL = "usual"


class RecordingsPage(PageView):
    scope = "settings:read"
    write_scope = "settings:write"
    nav = "recordings"

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.shown()

    def shown(self, *, sent: QueryDict | None = None, error: str = "", status: int = 200) -> HttpResponse:
        space, now = self.workspace, recording_store.at_rest_now()
        troubled = list(read.troubled(space)[: SHOWN + 1])
        lying = read.lying(space)
        context = {
            "usual": sent["usual"] if sent is not None and "usual" in sent else space.recording_consent,
            "modes": RecordingConsent.choices,
            "rows": _rows(space, sent),
            "error": error,
            "place": sent.get("new_place", "") if sent is not None else "",
            "place_mode": sent.get("new_mode", "") if sent is not None else "",
            "may_change": self.principal.allows("settings:write"),
            "may_act": self.principal.allows("recordings:write"),
            "at_rest": now,
            "in_bucket": bool(settings.AWS_STORAGE_BUCKET_NAME),
            "lying": lying,
            "plain": sum(one.files for one in lying if one.at_rest != AtRest.ENVELOPE == now),
            "carrier_deletes": settings.DELETE_RECORDINGS_AT_CARRIER,
            "troubled": [_told(row) for row in troubled[:SHOWN]],
            "more": len(troubled) > SHOWN,
            "holds": read_retention.holds(space)[:SHOWN],
        }
        return self.page("console/recordings.html", context, status=status)

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """The modes: of the workspace, and of places."""
        try:
            changes = _modes(request.POST)
        except InvalidInput as exc:
            return self.shown(sent=request.POST, error=exc.detail, status=422)
        workspaces.update(self.workspace, changes, self.principal.actor)
        messages.success(request, "Saved. It holds for every call from now on.")
        return redirect("recordings")


def _rows(space: Workspace, sent: QueryDict | None) -> list[dict[str, str]]:
    """The places that have a mode of their own, as stored or as they were sent."""
    known = dict(space.recording_consent_places)
    if sent is not None:
        known |= {
            code: mode
            for code, mode in zip(sent.getlist("place"), sent.getlist("mode"), strict=False)
            if code in known
        }
    return [{"code": code, "name": places.place_name(code), "mode": mode} for code, mode in known.items()]


def _modes(sent: QueryDict) -> dict[str, Any]:
    """
    Raises:
        InvalidInput: no mode, or no place.
    """
    usual = sent.get("usual", "")
    of_places = dict(zip(sent.getlist("place"), sent.getlist("mode"), strict=False))
    if new := sent.get("new_place", "").strip():
        of_places[new] = sent.get("new_mode", "")
    found: dict[str, str] = {}
    for text, mode in of_places.items():
        if mode == _USUAL:
            continue
        code = places.place_code(text)
        if code is None:
            raise InvalidInput(f"“{text[:60]}” is no country, nor a state or province that is known here")
        if mode not in RecordingConsent.values:
            raise InvalidInput(f"choose what holds in {places.place_name(code)}")
        found[code] = mode
    if usual not in RecordingConsent.values:
        raise InvalidInput("choose what usually holds")
    return {"recording_consent": usual, "recording_consent_places": dict(sorted(found.items()))}


def _told(row: Recording) -> dict[str, Any]:
    problem = RecordingProblem(row.problem)
    return {
        "row": row,
        "call": row.call,
        "problem": problem.label,
        "waits": row.status == RecordingStatus.PENDING,
        "may_again": row.status in (RecordingStatus.PENDING, RecordingStatus.FAILED),
        "may_accept": row.status == RecordingStatus.STORED and problem in _MAY_BE_ACCEPTED,
    }


class _Act(PageView):
    """Does one thing with one recording, and goes back to where it was asked from."""

    scope = "recordings:write"
    nav = "recordings"
    said = ""

    def post(self, request: HttpRequest, recording_id: uuid.UUID) -> HttpResponseBase:
        row = read.one(self.workspace, recording_id)
        try:
            self.act(row)
            messages.success(request, self.said)
        except Conflict as exc:
            messages.error(request, f"Not done: {exc.detail}.")
        if request.POST.get("from") == "call":
            return redirect("call", row.call_id)
        return redirect("recordings")

    def act(self, row: Recording) -> None:
        raise NotImplementedError


class TryAgain(_Act):
    said = "The recording is fetched from the carrier once more."

    def act(self, row: Recording) -> None:
        recording_files.try_again(row, self.principal.actor)


class Accept(_Act):
    said = "The recording is kept as it is. The carrier’s copy goes as always."

    def act(self, row: Recording) -> None:
        recording_files.accept(row, self.principal.actor)
