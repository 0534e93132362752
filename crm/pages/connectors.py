"""The calendars of a workspace: how they fare, how they are filled, what is booked in them."""

import uuid
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone

from crm.calendars import google_oauth
from crm.calendars.port import CalendarRefused, CalendarUnavailable
from crm.models import Calendar, CalendarKind
from crm.pages import connector_form as forms
from crm.selectors import calendars as read
from crm.services import calendar_health, connector_checks, connectors
from tenex.errors import Conflict, InvalidInput
from tenex.pages.views import PageView
from tenex.rest.pagination import page


class ConnectorList(PageView):
    scope = "connectors:read"
    nav = "connectors"

    def get(self, request: HttpRequest) -> HttpResponse:
        rows = read.all_of(self.workspace.pk).select_related("account")
        found = page(rows, request.GET, bound_to=f"connectors-page:{self.workspace.pk}")
        to_come = read.to_come(self.workspace.pk, [one.pk for one in found.items], timezone.now())
        context = {
            "rows": [_row(one, to_come.get(one.pk, 0)) for one in found.items],
            "next_cursor": found.next_cursor,
            "kinds": forms.KINDS,
            "may_write": self.principal.allows("connectors:write"),
        }
        return self.page("console/connectors.html", context)


def _row(calendar: Calendar, to_come: int) -> dict[str, Any]:
    account = getattr(calendar, "account", None)
    return {
        "calendar": calendar,
        "account": account,
        "to_come": to_come,
        "breaker": account is not None and calendar_health.is_open(account),
    }


class ConnectorNew(PageView):
    """What it is, how it is reached, how it is filled."""

    scope = "connectors:write"
    nav = "connectors"

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._form(forms.first_values(self.workspace.time_zone), {}, _kind(request.GET.get("kind")))

    def post(self, request: HttpRequest) -> HttpResponseBase:
        given, kind = forms.sent(request.POST), _kind(request.POST.get("kind"))
        try:
            values: dict[str, Any] = forms.rules(given)
            if kind == CalendarKind.CALDAV:
                values |= forms.access(given, new=True)
            made = connectors.create(self.workspace, values, kind=kind, actor=self.principal.actor)
        except InvalidInput as exc:
            return self._form(given, forms.problem(exc), kind, status=422)
        except Conflict as exc:
            return self._form(given, {"name": exc.detail}, kind, status=exc.status)
        if kind == CalendarKind.CALDAV:
            _find(request, made, self.principal.actor)
        else:
            messages.success(request, f"{made.name} is made.")
        return redirect("connector", connector_id=made.pk)

    def _form(
        self, given: dict[str, str], errors: dict[str, str], kind: str, *, status: int = 200
    ) -> HttpResponse:
        context = {
            "form": forms.inputs(given, errors),
            "kinds": forms.KINDS,
            "kind": kind,
            "google_configured": google_oauth.configured(),
        }
        return self.page("console/connector_new.html", context, status=status)


def _kind(text: str | None) -> str:
    return text if text in CalendarKind.values else CalendarKind.BUILT_IN


class ConnectorPage(PageView):
    """One calendar; a POST saves how it is filled."""

    scope = "connectors:read"
    write_scope = "connectors:write"
    nav = "connectors"

    def get(self, request: HttpRequest, connector_id: uuid.UUID) -> HttpResponse:
        calendar = read.get(self.workspace.pk, connector_id)
        return self._page(calendar, forms.values_of(calendar), {})

    def post(self, request: HttpRequest, connector_id: uuid.UUID) -> HttpResponseBase:
        calendar = read.get(self.workspace.pk, connector_id)
        given = forms.sent(request.POST)
        try:
            connectors.update(calendar, forms.rules(given), actor=self.principal.actor)
        except InvalidInput as exc:
            return self._page(calendar, given, forms.problem(exc), status=422)
        messages.success(request, "Saved. It holds from the next call on.")
        return redirect("connector", connector_id=calendar.pk)

    def _page(
        self, calendar: Calendar, given: dict[str, str], errors: dict[str, str], *, status: int = 200
    ) -> HttpResponse:
        return self.page(
            "console/connector.html",
            {
                "form": forms.inputs(given, errors),
                "may_write": self.principal.allows("connectors:write"),
                "google_configured": google_oauth.configured(),
                "email_configured": settings.EMAIL_CONFIGURED,
                **_row(calendar, 0),
                **meetings_of(calendar),
            },
            status=status,
        )


def meetings_of(calendar: Calendar) -> dict[str, Any]:
    """The next meetings, and how many are waiting for the calendar elsewhere."""
    found = list(read.upcoming_in(calendar, timezone.now())[:51])
    return {
        "meetings": found[:50],
        "more_meetings": len(found) > 50,
        "unsettled": read.unsettled_in(calendar) if calendar.is_remote else 0,
    }


class ConnectorAccess(PageView):
    """Another server, user or password of CalDAV."""

    scope = "connectors:write"
    nav = "connectors"

    def post(self, request: HttpRequest, connector_id: uuid.UUID) -> HttpResponseBase:
        calendar = read.get(self.workspace.pk, connector_id)
        given = forms.access(forms.sent(request.POST), new=False)
        try:
            calendar = connectors.update(calendar, given, actor=self.principal.actor)
        except InvalidInput as exc:
            messages.error(request, f"Not saved: {exc.loc[-1]}: {exc.detail}.")
        else:
            _find(request, calendar, self.principal.actor)
        return redirect("connector", connector_id=calendar.pk)


class ConnectorChoice(PageView):
    """Which calendar of the account: what there is, and the choice."""

    scope = "connectors:write"
    nav = "connectors"

    def get(self, request: HttpRequest, connector_id: uuid.UUID) -> HttpResponse:
        calendar = read.get(self.workspace.pk, connector_id)
        context: dict[str, Any] = {"calendar": calendar, "account": getattr(calendar, "account", None)}
        try:
            context["choices"] = connector_checks.discover(calendar, actor=self.principal.actor)
        except (CalendarRefused, CalendarUnavailable, Conflict) as exc:
            context["problem"] = exc.detail
        return self.page("console/connector_choice.html", context)

    def post(self, request: HttpRequest, connector_id: uuid.UUID) -> HttpResponseBase:
        calendar = read.get(self.workspace.pk, connector_id)
        address, _, name = request.POST.get("choice", "").partition(" ")
        try:
            if not address or not calendar.is_remote:
                raise InvalidInput("choose one", loc=("body", "choice"))
            connectors.update(
                calendar, {"address": address, "address_name": name}, actor=self.principal.actor
            )
        except InvalidInput as exc:
            messages.error(request, f"Not saved: {exc.detail}.")
            return redirect("connector_choice", connector_id=calendar.pk)
        messages.success(request, f"Meetings are booked in {name or 'this calendar'} from now on.")
        return redirect("connector", connector_id=calendar.pk)


class ConnectorTest(PageView):
    """Try what a call needs."""

    scope = "connectors:write"
    nav = "connectors"

    def post(self, request: HttpRequest, connector_id: uuid.UUID) -> HttpResponse:
        calendar = read.get(self.workspace.pk, connector_id)
        checks = connector_checks.test(calendar)
        calendar = read.get(self.workspace.pk, connector_id)
        context = {
            **_row(calendar, 0), "checks": checks, "works": all(one.ok for one in checks), "may_write": True,
        }  # fmt: skip
        part = bool(request.headers.get("HX-Request"))
        template = "console/connector_health.html" if part else "console/connector_tested.html"
        return self.page(template, context)


class ConnectorDelete(PageView):
    scope = "connectors:write"
    nav = "connectors"

    def post(self, request: HttpRequest, connector_id: uuid.UUID) -> HttpResponseBase:
        calendar = read.get(self.workspace.pk, connector_id)
        try:
            connector_checks.disconnect(calendar, actor=self.principal.actor)
        except Conflict as exc:
            messages.error(request, f"Not deleted: {exc.detail}.")
            return redirect("connector", connector_id=calendar.pk)
        messages.success(request, f"{calendar.name} is deleted; how it was reached is forgotten.")
        return redirect("connectors")


class GoogleStart(PageView):
    """Off to Google's consent page."""

    scope = "connectors:write"
    nav = "connectors"

    def get(self, request: HttpRequest, connector_id: uuid.UUID) -> HttpResponseBase:
        calendar = read.get(self.workspace.pk, connector_id)
        return HttpResponseRedirect(connector_checks.consent_url(calendar, self.principal))


class GoogleCallback(PageView):
    """Back from Google."""

    scope = "connectors:write"
    nav = "connectors"

    def get(self, request: HttpRequest) -> HttpResponseBase:
        if request.GET.get("error"):
            messages.warning(request, "Google was not connected: the consent was not given.")
            return redirect("connectors")
        state, code = request.GET.get("state", ""), request.GET.get("code", "")
        try:
            calendar = connector_checks.come_in(
                self.workspace, state=state, code=code, actor=self.principal.actor
            )
        except (Conflict, CalendarRefused, CalendarUnavailable) as exc:
            messages.error(request, f"Google was not connected: {exc.detail}.")
            return redirect("connectors")
        messages.success(request, "Google lets us in. Choose the calendar.")
        return HttpResponseRedirect(reverse("connector_choice", args=[calendar.pk]))


def _find(request: HttpRequest, calendar: Calendar, actor: str) -> None:
    """Look what the account has, right after it was entered, and say what came of it."""
    try:
        found = connector_checks.discover(calendar, actor=actor)
    except (CalendarRefused, CalendarUnavailable) as exc:
        messages.warning(request, f"Saved, but it does not work yet: {exc.detail}.")
        return
    chosen = read.get(calendar.workspace_id, calendar.pk).account
    if chosen.address:
        messages.success(request, f"Connected: meetings are booked in {chosen}.")
    else:
        messages.info(request, f"Connected; it has {len(found)} calendars. Choose one.")
