"""What is done with several leads of the list at once. What cannot be taken back is asked for once more."""

import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from crm.api.export import COLUMNS, cells
from crm.models import Lead, SegmentKind, Stage, SuppressionSource
from crm.selectors import fields
from crm.selectors import leads as read
from crm.services import leads as write
from crm.services import segments, suppressions
from tenex.errors import Conflict, Forbidden, InvalidInput, NotFound
from tenex.lib.csv_cells import lines
from tenex.pages.views import PageView
from tenex.workspaces.services import audit

MOST: Final = segments.MAX_AT_ONCE
_LIST: Final = "/console/leads"

_ASKED: Final = {
    "suppress": (
        "Never call these numbers again?",
        "Nobody of this workspace will be dialed at them, in no batch and by no agent. There is no way to "
        "undo it here.",
        "Never call again",
    ),
    "archive": (
        "Archive these leads?",
        "They leave lists, segments and batches, and are not called. They can be brought back one by one.",
        "Archive",
    ),
}
"""Title, what it means, and the button, of what is asked for once more."""


class BulkLeads(PageView):
    """POST: `lead` (several), `do`, and what that wants; `back` is the list's own query."""

    scope = "leads:read"
    nav = "leads"

    def post(self, request: HttpRequest) -> HttpResponseBase:
        back, what = _back(request.POST.get("back", "")), request.POST.get("do", "")
        if what != "export" and not self.principal.allows("leads:write"):
            raise Forbidden("your role does not allow this (leads:write)")
        try:
            return self._do(what, self._chosen(request.POST.getlist("lead")), back)
        except (InvalidInput, Conflict, NotFound) as exc:
            messages.error(request, f"Nothing was done: {exc.detail}.")
            return redirect(back)

    def _chosen(self, given: Sequence[str]) -> list[Lead]:
        """
        Raises:
            InvalidInput: none, too many, or an id that makes no sense.
        """
        try:
            ids = [uuid.UUID(text) for text in dict.fromkeys(given)]
        except ValueError as exc:
            raise InvalidInput("that is no lead", loc=("body", "lead")) from exc
        if not ids:
            raise InvalidInput("choose leads first", loc=("body", "lead"), type_="missing")
        if len(ids) > MOST:
            raise InvalidInput(f"at most {MOST} at once", loc=("body", "lead"), type_="too_long")
        found = list(read.all_of(self.workspace.pk, archived=None).filter(pk__in=ids))
        if len(found) != len(ids):
            raise NotFound("one of them is not there any more")
        return found

    def _do(self, what: str, chosen: list[Lead], back: str) -> HttpResponseBase:
        if what == "export":
            return self._export(chosen)
        if what in _ASKED and self.request.POST.get("sure") != "yes":
            title, means, button = _ASKED[what]
            context = {"do": what, "chosen": chosen, "back": back, "title": title, "means": means}
            return self.page("console/leads_sure.html", {**context, "button": button})
        acts: dict[str, Callable[[list[Lead]], str]] = {
            "segment": self._segment,
            "stage": self._stage,
            "suppress": self._suppress,
            "archive": self._archive,
        }
        if what not in acts:
            raise InvalidInput("choose what to do", loc=("body", "do"), type_="enum")
        messages.success(self.request, acts[what](chosen))
        return redirect(back)

    def _segment(self, chosen: list[Lead]) -> str:
        sent = self.request.POST
        name = sent.get("segment_name", "").strip()
        if name:
            made = segments.create(
                self.workspace, name=name[:120], kind=SegmentKind.STATIC, actor=self.principal.actor
            )
            segment_id = made.pk
        else:
            segment_id = _id(sent.get("segment_id", ""))
        added = segments.add(self.workspace, segment_id, [lead.pk for lead in chosen])
        return f"{_count(added)} put into the segment; {len(chosen) - added} were in it."

    def _stage(self, chosen: list[Lead]) -> str:
        stage = self.request.POST.get("stage", "")
        if stage not in Stage.values:
            raise InvalidInput("choose a stage", loc=("body", "stage"), type_="enum")
        for lead in chosen:
            write.update(self.workspace, lead.pk, actor=self.principal.actor, stage=stage)
        return f"{_count(len(chosen))} set to “{Stage(stage).label}”."

    def _suppress(self, chosen: list[Lead]) -> str:
        for lead in chosen:
            suppressions.add(
                self.workspace.pk,
                lead.phone,
                source=SuppressionSource.API,
                reason=self.request.POST.get("reason", "").strip()[:300],
                lead_id=lead.pk,
                actor=self.principal.actor,
            )
        return f"{_count(len(chosen))} will not be called any more."

    def _archive(self, chosen: list[Lead]) -> str:
        for lead in chosen:
            write.archive(self.workspace, lead.pk, actor=self.principal.actor)
        return f"{_count(len(chosen))} archived."

    def _export(self, chosen: list[Lead]) -> HttpResponse:
        keys = list(fields.by_key(self.workspace.pk))
        audit.record(
            self.workspace.pk,
            self.principal.actor,
            "leads.exported",
            object_type="workspace",
            object_id=self.workspace.pk,
            data={"leads": len(chosen)},
        )
        header = [*COLUMNS, *(f"custom.{key}" for key in keys), "custom"]
        rows: list[list[Any]] = [list(header), *(cells(lead, keys) for lead in chosen)]
        answer = HttpResponse(lines(rows), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = 'attachment; filename="leads.csv"'
        answer["Cache-Control"] = "no-store"
        return answer


def _id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as exc:
        raise InvalidInput("choose a segment, or name a new one", loc=("body", "segment_id")) from exc


def _count(number: int) -> str:
    return f"{number} lead{'' if number == 1 else 's'}"


def _back(query: str) -> str:
    """The list as it was: its query only, so that nobody is sent elsewhere."""
    return f"{_LIST}?{query}" if query and "\n" not in query else _LIST
