"""Everything about one person: to take along, and to forget. By a lead, or by the number of a call."""

import tempfile
import uuid
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from crm.models import Lead
from crm.selectors import leads as read_leads
from tenex.errors import InvalidInput, NotFound
from tenex.lib import phone as phones
from tenex.pages.views import PageView
from voice.selectors import calls as read_calls
from voice.selectors import retention as read
from voice.services import erasure, person_archive

_KINDS = {
    "leads": "leads",
    "calls": "calls",
    "recordings": "recordings",
    "turns": "lines of conversations",
    "tool_calls": "runs of tools",
    "journal": "lines of journals",
    "verdicts": "verdicts",
    "corrections": "corrections of verdicts",
    "timeline": "entries of the timeline",
    "consents": "consents",
    "follow_ups": "promises",
    "meetings": "meetings",
    "decisions": "decisions whether to call",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a page is about."""

    name: str
    """As it has to be typed before anything is erased."""
    back: str
    lead: Lead | None = None
    phone: str = ""

    @property
    def whom(self) -> dict[str, Any]:
        return {"lead_id": self.lead.pk} if self.lead is not None else {"phone": self.phone}


class PersonPage(PageView):
    """What is known, how to take it along, how to forget it."""

    scope = "persons:admin"
    nav = "leads"

    def subject(self, lead_id: uuid.UUID | None, call_id: uuid.UUID | None) -> Subject:
        """
        Raises:
            NotFound: no such lead or call here, or the call has no number.
        """
        if lead_id is not None:
            lead = read_leads.get(self.workspace.pk, lead_id)
            name = lead.phone or lead.email or lead.name
            return Subject(name or str(lead.pk)[:8], f"/console/leads/{lead.pk}", lead=lead)
        assert call_id is not None  # noqa: S101 - one of both is in the address
        call = read_calls.bare(self.workspace, call_id)
        number = phones.normalize_or_none(call.remote_number)
        if number is None:
            raise NotFound("this call has no number that could tell who it was")
        return Subject(number, reverse("call", args=[call.pk]), phone=number)

    def get(
        self, request: HttpRequest, lead_id: uuid.UUID | None = None, call_id: uuid.UUID | None = None
    ) -> HttpResponse:
        return self.shown(self.subject(lead_id, call_id))

    def shown(self, subject: Subject, *, error: str = "", status: int = 200) -> HttpResponse:
        known = erasure.count(self.workspace, **subject.whom)
        context = {
            "subject": subject,
            "known": [(label, known[kind]) for kind, label in _KINDS.items() if known.get(kind)],
            "waiting": read.erasures(
                self.workspace, lead_id=subject.lead.pk if subject.lead else None, phone=subject.phone
            ),
            "error": error,
            "here": self.request.path.removesuffix("/erase"),
        }
        return self.page("console/person.html", context, status=status)


class PersonExport(PersonPage):
    """POST, because it is written down who took it."""

    http_method_names = ("post",)

    def post(
        self, request: HttpRequest, lead_id: uuid.UUID | None = None, call_id: uuid.UUID | None = None
    ) -> HttpResponseBase:
        subject = self.subject(lead_id, call_id)
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
        try:
            person_archive.write(self.workspace, file, actor=self.principal.actor, **subject.whom)
        except BaseException:
            file.close()
            raise
        file.seek(0)
        answer = FileResponse(file, as_attachment=True, filename="person.zip", content_type="application/zip")
        answer["Cache-Control"] = "no-store"
        return answer


class PersonErase(PersonPage):
    """For good, after the number (or name) was typed."""

    http_method_names = ("post",)

    def post(
        self, request: HttpRequest, lead_id: uuid.UUID | None = None, call_id: uuid.UUID | None = None
    ) -> HttpResponseBase:
        subject = self.subject(lead_id, call_id)
        typed = request.POST.get("confirm", "").strip()
        if _plain(typed) != _plain(subject.name):
            return self.shown(subject, error="That is not what is asked for: nothing was erased.", status=422)
        try:
            made = erasure.ask(self.workspace, actor=self.principal.actor, **subject.whom)
        except InvalidInput as exc:
            return self.shown(subject, error=exc.detail, status=422)
        erasure.run(made)
        made.refresh_from_db()
        if made.finished_at is not None:
            messages.success(
                request, "Erased. What is left are figures, and a keyed hash on the do-not-call list."
            )
            return redirect("leads")
        waits = made.waits_for or "its turn"
        messages.warning(
            request, f"Nobody calls them any more. Erased as soon as possible: it waits for {waits}."
        )
        return redirect(request.path.removesuffix("/erase"))


def _plain(text: str) -> str:
    return "".join(text.split()).casefold()
