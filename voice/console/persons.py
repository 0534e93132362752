"""Everything about one person: to take along, and to forget. By a lead, or by the number of a call."""

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from tenex.errors import InvalidInput
from tenex.pages.views import PageView
from tenex.rest import file_stream
from voice.selectors import persons as read
from voice.selectors.persons import Subject
from voice.services import erasure, person_archive

_KINDS = {
    "leads": "leads",
    "segments": "segments that they are in",
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
    "recipients": "places in batches",
    "decisions": "decisions whether to call",
    "import_rows": "rows of imports",
    "do_not_call": "entries of the do-not-call list",
    "knowledge": "passages of documents",
}


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
            return read.of_lead(self.workspace, lead_id)
        assert call_id is not None  # noqa: S101 - one of both is in the address
        return read.of_call(self.workspace, call_id)

    def get(
        self, request: HttpRequest, lead_id: uuid.UUID | None = None, call_id: uuid.UUID | None = None
    ) -> HttpResponse:
        return self.shown(self.subject(lead_id, call_id))

    def shown(self, subject: Subject, *, error: str = "", status: int = 200) -> HttpResponse:
        here = self.request.path.removesuffix("/erase")
        known = read.known(self.workspace, subject)
        context = {
            "subject": subject,
            "back": here.removesuffix("/person"),
            "known": [(label, known.counts[kind]) for kind, label in _KINDS.items() if known.counts[kind]],
            "documents": known.documents,
            "erasures": known.erasures,
            "holds": known.holds,
            "error": error,
            "here": here,
        }
        return self.page("console/person.html", context, status=status)


class PersonExport(PersonPage):
    """POST, because it is written down who took it."""

    http_method_names = ("post",)

    def post(
        self, request: HttpRequest, lead_id: uuid.UUID | None = None, call_id: uuid.UUID | None = None
    ) -> HttpResponseBase:
        subject = self.subject(lead_id, call_id)
        file = person_archive.made(self.workspace, actor=self.principal.actor, **subject.whom)
        return file_stream.response(file, name="person.zip", content_type="application/zip")


class PersonErase(PersonPage):
    """For good, after the number (or name) was typed."""

    http_method_names = ("post",)

    def post(
        self, request: HttpRequest, lead_id: uuid.UUID | None = None, call_id: uuid.UUID | None = None
    ) -> HttpResponseBase:
        subject = self.subject(lead_id, call_id)
        if not subject.is_named(request.POST.get("confirm", "")):
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
        waits = made.get_waits_for_display() or "its turn"
        messages.warning(
            request, f"Nobody calls them any more. Erased as soon as possible: it waits for {waits}."
        )
        return redirect(request.path.removesuffix("/erase"))
