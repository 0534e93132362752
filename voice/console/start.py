"""The first run: signing up as the first person, a call to look at, and the way to one's own first call."""

import uuid

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views import View

from tenex.errors import Gone, InvalidInput, TenexError
from tenex.lib import limits, zones
from tenex.pages.views import PageView
from tenex.rest import throttling
from tenex.rest.errors import RateLimited
from tenex.workspaces.services import first_owner
from voice.console.agents import FIRST_AGENT
from voice.selectors import agents as read_agents
from voice.selectors import first_steps
from voice.services import agents, demo_call, numbers, rehearsals

REHEARSAL_NUMBER = "+14155550100"
"""Of the offline carrier's account."""


class SetUp(View):
    """The door for the first person; shut for good as soon as there is one."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._shown(request, request.GET.get("token", ""))

    def post(self, request: HttpRequest) -> HttpResponseBase:
        token = request.POST.get("token", "")
        try:
            throttling.admit(f"login:{throttling.address_key(request)}", limit=limits.SIGN_INS_PER_MINUTE)
        except RateLimited:
            return self._shown(request, token, {"password": "Too many tries. Wait a minute."}, 429)
        zone = request.POST.get("time_zone", "")
        try:
            seat = first_owner.create(
                token,
                company=request.POST.get("company", ""),
                name=request.POST.get("name", ""),
                email=request.POST.get("email", ""),
                password=request.POST.get("password", ""),
                time_zone=zone if zones.zone(zone) else "UTC",
            )
        except InvalidInput as exc:
            return self._shown(request, token, {str(exc.loc[-1]): exc.detail}, exc.status)
        except Gone as exc:
            return render(request, "console/setup.html", {"gone": exc.detail}, status=exc.status)
        actor = f"user:{seat.user.email}"
        agent = agents.create(seat.workspace, {**FIRST_AGENT, "name": "Ava"}, actor)
        if agent.current_version is not None:
            demo_call.seed(seat.workspace, agent.current_version, actor)
        login(request, seat.user, backend="django.contrib.auth.backends.ModelBackend")
        return redirect("start")

    def _shown(
        self, request: HttpRequest, token: str, errors: dict[str, str] | None = None, status: int = 200
    ) -> HttpResponse:
        try:
            first_owner.check(token)
        except Gone as exc:
            return render(request, "console/setup.html", {"gone": exc.detail}, status=exc.status)
        context = {"token": token, "errors": errors or {}, "asked": request.POST}
        answer = render(request, "console/setup.html", context, status=status)
        answer["Cache-Control"] = "no-store"
        return answer


class Start(PageView):
    """The steps to the first call; each turns done by itself."""

    scope = "agents:read"
    nav = "start"

    def get(self, request: HttpRequest) -> HttpResponse:
        steps = first_steps.of(self.workspace, demo_mark=demo_call.MARK)
        context = {
            "steps": steps,
            "done": steps.done,
            "rehearsing": rehearsals.possible(),
            "is_rehearsal": settings.REHEARSAL,
            "rehearsal_number": REHEARSAL_NUMBER,
            "public_url": settings.PUBLIC_BASE_URL,
            "may": {
                "calls": self.principal.allows("calls:write"),
                "numbers": self.principal.allows("numbers:write"),
                "settings": self.principal.allows("settings:write"),
            },
        }
        part = request.headers.get("HX-Request")
        return self.page("console/start_steps.html" if part else "console/start.html", context)


class StartNumber(PageView):
    """In a rehearsal: the number of its carrier, answered by the first agent."""

    scope = "numbers:write"
    nav = "start"

    def post(self, request: HttpRequest) -> HttpResponseBase:
        steps = first_steps.of(self.workspace, demo_mark=demo_call.MARK)
        try:
            numbers.create(
                self.workspace,
                {
                    "e164": REHEARSAL_NUMBER,
                    "label": "Rehearsal",
                    "agent_id": steps.agent.pk if steps.agent else None,
                    "configure": False,
                },
                self.principal.actor,
            )
        except TenexError as exc:
            messages.error(request, f"{exc.detail}.".capitalize())
        return redirect("start")


class StartRing(PageView):
    """In a rehearsal: let a caller who is not there ring the number."""

    scope = "calls:write"
    nav = "start"

    def post(self, request: HttpRequest) -> HttpResponseBase:
        raw = request.POST.get("number", "")
        try:
            number = read_agents.number(self.workspace, uuid.UUID(raw))
            rehearsals.ring(self.workspace, number, self.principal.actor)
        except ValueError:
            messages.error(request, "There is no such number.")
        except TenexError as exc:
            messages.error(request, f"{exc.detail}.".capitalize())
        else:
            messages.success(request, "It rings: somebody calls your number. Watch it here.")
            return redirect("live")
        return redirect("start")


class StartDemo(PageView):
    """Take the demo call away."""

    scope = "settings:write"
    nav = "start"

    def post(self, request: HttpRequest) -> HttpResponseBase:
        if demo_call.remove(self.workspace, self.principal.actor):
            messages.success(request, "The demo call and its invented lead are gone.")
        return redirect("start")
