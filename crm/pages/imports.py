"""The import of leads: a file, its columns, and how it goes."""

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase

from crm.api.imports import errors_csv
from crm.models import LeadImport, OnDuplicate
from crm.models.imports import OPEN
from crm.pages import column_form
from crm.selectors import imports as read
from crm.services import imports as write
from tenex.errors import Conflict, InvalidInput
from tenex.pages.forms import filled
from tenex.pages.views import PageView
from tenex.rest.pagination import page_in_order


class ImportNew(PageView):
    """Choose a file, say what its columns are, send it."""

    scope = "leads:write"
    nav = "leads"

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._form({})

    def post(self, request: HttpRequest) -> HttpResponseBase:
        try:
            options = column_form.options_of(request.POST)
            file = column_form.file_of(request)
            row = write.create(
                self.workspace,
                column_form.stream(file),
                file_name=file.name or "",
                options=options,
                actor=self.principal.actor,
            )
        except (InvalidInput, Conflict) as exc:
            return self._form({"error": _said(exc)}, status=exc.status)
        return HttpResponseRedirect(f"/console/leads/imports/{row.pk}")

    def _form(self, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
        sent = self.request.POST
        context = {
            "duplicates": [
                (OnDuplicate.SKIP, "Leave the lead as it is", "What you know already stays."),
                (
                    OnDuplicate.UPDATE,
                    "Change the lead",
                    "Cells that are filled win; empty ones change nothing.",
                ),
                (OnDuplicate.ERROR, "Refuse the row", "It is listed among the bad rows."),
            ],
            "chosen": sent.get("on_duplicate") or OnDuplicate.SKIP,
            "dry_run": bool(sent.get("dry_run")),
            "imports": read.all_of(self.workspace.pk)[:10],
            **context,
        }
        return self.page("console/lead_import.html", context, status=status)


class ImportColumns(PageView):
    """A part of the form: the columns of a file's beginning, with guesses and the first rows."""

    scope = "leads:write"

    def post(self, request: HttpRequest) -> HttpResponse:
        variables = request.POST.get("variables") == "1"
        try:
            file = column_form.file_of(request)
            found = write.look(
                self.workspace, column_form.stream(file), options=write.Options(), variables=variables
            )
        except InvalidInput as exc:
            return self.page("console/columns_part.html", {"error": _said(exc)}, status=200)
        sheet = column_form.sheet(self.workspace, found, variables=variables)
        return self.page("console/columns_part.html", {"sheet": sheet})


def _said(exc: InvalidInput | Conflict) -> str:
    """What is wrong, with the column that it is about."""
    about = exc.loc[-1] if isinstance(exc, InvalidInput) and len(exc.loc) > 2 else ""
    text = f"{about}: {exc.detail}" if about else exc.detail
    return f"{text[:1].upper()}{text[1:]}."


class ImportPage(PageView):
    """How far an import is; it looks again by itself while it runs."""

    scope = "leads:read"
    nav = "leads"

    def get(self, request: HttpRequest, import_id: uuid.UUID) -> HttpResponse:
        row = read.get(self.workspace.pk, import_id)
        asked = filled(request.GET)
        errors = page_in_order(read.errors(row), asked, by="line", bound_to=f"import-errors:{row.pk}")
        context = {
            "import": row,
            "is_open": row.status in OPEN,
            "percent": _percent(row),
            "errors": errors.items,
            "next_cursor": errors.next_cursor,
        }
        part = request.headers.get("HX-Request") and request.GET.get("part") == "1"
        return self.page(
            "console/lead_import_part.html" if part else "console/lead_import_page.html", context
        )


def _percent(row: LeadImport) -> int:
    return round(100 * row.next_byte / max(1, row.size_bytes)) if row.status in OPEN else 100


class ImportCancel(PageView):
    scope = "leads:write"

    def post(self, request: HttpRequest, import_id: uuid.UUID) -> HttpResponseBase:
        try:
            write.cancel(self.workspace, import_id, actor=self.principal.actor)
            messages.info(request, "The import was stopped. What it had read stays.")
        except Conflict as exc:
            messages.warning(request, f"{exc.detail[:1].upper()}{exc.detail[1:]}.")
        return HttpResponseRedirect(f"/console/leads/imports/{import_id}")


class ImportErrorsCsv(PageView):
    """All bad rows as one file."""

    scope = "leads:read"

    def get(self, request: HttpRequest, import_id: uuid.UUID) -> HttpResponseBase:
        return errors_csv(read.get(self.workspace.pk, import_id))
