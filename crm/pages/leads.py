"""The list of leads, making and changing one, and keeping a list as a segment."""

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils import timezone

from crm.api import lead_filters
from crm.models import ConsentPurpose, Lead, Qualification, SegmentKind, Stage
from crm.pages import lead_form
from crm.selectors import consents
from crm.selectors import leads as read
from crm.selectors import segments as read_segments
from crm.services import leads as write
from crm.services import segments
from crm.services.lead_fields import Lookup
from tenex.errors import Conflict, InvalidInput
from tenex.pages.forms import filled, problems
from tenex.pages.views import PageView
from tenex.rest.errors import QueryInvalid
from tenex.rest.pagination import page

LIST = "/console/leads"


class LeadList(PageView):
    """Filters as the API's list has them."""

    scope = "leads:read"
    nav = "leads"

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = filled(request.GET)
        context: dict[str, Any] = {
            "asked": asked,
            "stages": Stage.choices,
            "qualifications": Qualification.choices,
            "purposes": [
                (ConsentPurpose.MARKETING, "Marketing"),
                (ConsentPurpose.INFORMATIONAL, "Informational"),
            ],
            "segments": (kept := list(read_segments.all_of(self.workspace.pk)[:200])),
            "lists": [one for one in kept if one.kind == SegmentKind.STATIC],
            "may_change": self.principal.allows("leads:write"),
            "owners": Lookup(self.workspace).members.items(),
            "yes_no": [("true", "Yes"), ("false", "No")],
        }
        try:
            rows = read.with_consents(lead_filters.filtered(self.workspace, asked))
            found = page(rows, asked, bound_to=f"leads:{self.workspace.pk}")
        except (InvalidInput, QueryInvalid) as exc:
            return self.page("console/leads.html", {**context, "problems": problems(exc)}, status=422)
        now = timezone.now()
        for lead in found.items:
            lead.agreed = _agreed(lead, now)  # type: ignore[attr-defined]
        return self.page(
            "console/leads.html", {**context, "leads": found.items, "next_cursor": found.next_cursor}
        )


def _agreed(lead: Lead, now: Any) -> list[str]:
    """The purposes of the consents that hold."""
    held = {one.purpose for one in lead.consents.all() if consents.state(one, now) == "active"}
    return sorted(held)


class SegmentOfFilters(PageView):
    """Keeps the filters of the list as a segment: whoever fits them when it is asked."""

    scope = "leads:write"

    def post(self, request: HttpRequest) -> HttpResponseBase:
        asked = filled(request.GET)
        back = f"{LIST}?{asked.urlencode()}"
        try:
            rules = lead_filters.as_rules(asked)
            made = segments.create(
                self.workspace,
                name=request.POST.get("name", "").strip(),
                kind=SegmentKind.RULES,
                rules=rules,
                actor=self.principal.actor,
            )
        except (InvalidInput, Conflict) as exc:
            messages.error(request, f"No segment was made: {exc.detail}.")
            return HttpResponseRedirect(back)
        messages.success(request, f"The segment “{made.name}” holds whoever fits these filters.")
        return HttpResponseRedirect(f"{LIST}?segment_id={made.pk}")


class _Edit(PageView):
    scope = "leads:write"
    nav = "leads"

    def shown(self, form: lead_form.LeadForm, lead: Lead | None, *, status: int = 200) -> HttpResponse:
        return self.page("console/lead_edit.html", {"form": form, "lead": lead}, status=status)

    def refused(self, request: HttpRequest, exc: InvalidInput | Conflict, lead: Lead | None) -> HttpResponse:
        twin = lead_form.twin_of(exc) if isinstance(exc, Conflict) else None
        given = lead_form.texts(request.POST)
        form = lead_form.form(self.workspace, given, errors=lead_form.problem(exc), twin=twin)
        return self.shown(form, lead, status=exc.status)


class LeadNew(_Edit):
    def get(self, request: HttpRequest) -> HttpResponse:
        return self.shown(lead_form.form(self.workspace, {"stage": Stage.NEW}), None)

    def post(self, request: HttpRequest) -> HttpResponseBase:
        try:
            fields = lead_form.fields_of(self.workspace, lead_form.texts(request.POST))
            if not any(fields.get(name) for name in ("first_name", "last_name", "phone", "email")):
                raise InvalidInput("a name, a phone or an e-mail is needed", loc=("body", "first_name"))
            lead = write.create(self.workspace, actor=self.principal.actor, **fields)
        except (InvalidInput, Conflict) as exc:
            return self.refused(request, exc, None)
        messages.success(request, "The lead was added.")
        return HttpResponseRedirect(f"{LIST}/{lead.pk}")


class LeadEdit(_Edit):
    def get(self, request: HttpRequest, lead_id: uuid.UUID) -> HttpResponse:
        lead = read.get(self.workspace.pk, lead_id)
        return self.shown(lead_form.form(self.workspace, lead_form.of_lead(lead)), lead)

    def post(self, request: HttpRequest, lead_id: uuid.UUID) -> HttpResponseBase:
        lead = read.get(self.workspace.pk, lead_id)
        try:
            fields = lead_form.fields_of(self.workspace, lead_form.texts(request.POST))
            write.update(self.workspace, lead_id, actor=self.principal.actor, **fields)
        except (InvalidInput, Conflict) as exc:
            return self.refused(request, exc, lead)
        messages.success(request, "Saved.")
        return HttpResponseRedirect(f"{LIST}/{lead_id}")
