"""The agents of a workspace: the list, a new one, what is not part of its text."""

import uuid
from datetime import timedelta
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone

from crm.selectors import calendars
from tenex.errors import Conflict, InvalidInput
from tenex.pages.views import PageView
from voice.models import Agent
from voice.selectors import agents as read
from voice.services import agents as write

FIRST_PROMPT: Final = """\
You are {{agent.name}}, the phone assistant of {{workspace.name}}.
You find out whether the person on the line has a need that we can help with. You are warm, brief and honest.
You ask one thing at a time and listen.

{{lead.first_name}} {{lead.last_name}} may be on the line; ask if you are not sure.

If somebody is clearly not a fit, say so kindly and end the call. If somebody asks not to be called again,
note it at once, confirm it and say goodbye.
"""
FIRST_AGENT: Final[dict[str, Any]] = {
    "system_prompt": FIRST_PROMPT,
    "objective": "Find out whether they have a need that we can help with.",
    "criteria": [
        {"name": "need", "description": "Has a problem that we solve"},
        {"name": "budget", "description": "Has money set aside, or can name a range"},
        {"name": "timeline", "description": "Wants to begin within about a year"},
    ],
    "tools": list(write.TOOL_NAMES),
    "note": "Begun from the template",
}
"""What a new agent begins with: something that works on the phone, to be written over."""


class AgentList(PageView):
    scope = "agents:read"
    nav = "agents"

    def get(self, request: HttpRequest) -> HttpResponse:
        since = timezone.now() - timedelta(days=30)
        records = read.records_of_all(self.workspace, since)
        rows = [
            {"agent": agent, "record": records.get(agent.pk, read.Record())}
            for agent in read.with_setup(self.workspace)
        ]
        return self.page("console/agents.html", {"rows": rows})


class NewAgent(PageView):
    scope = "agents:write"
    nav = "agents"

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._form()

    def post(self, request: HttpRequest) -> HttpResponseBase:
        name = request.POST.get("name", "").strip()
        if not name or len(name) > 100:
            return self._form({"name": "a name of at most 100 characters"}, 422)
        data: dict[str, Any] = {**FIRST_AGENT, "name": name}
        try:
            data["profile_id"] = _id(request.POST.get("profile", ""))
            agent = write.create(self.workspace, data, self.principal.actor)
        except (Conflict, InvalidInput) as exc:
            return self._form({"name": exc.detail}, exc.status)
        messages.success(request, f"{agent.name} is made. Write down what it says and does.")
        return redirect("agent", agent_id=agent.pk)

    def _form(self, errors: dict[str, str] | None = None, status: int = 200) -> HttpResponse:
        context = {
            "errors": errors or {},
            "profiles": read.profiles(self.workspace),
            "asked": self.request.POST,
        }
        return self.page("console/agent_new.html", context, status=status)


class AgentSettings(PageView):
    """Name, voice, calendar: true at once for the next call, no version."""

    scope = "agents:write"
    nav = "agents"

    def post(self, request: HttpRequest, agent_id: uuid.UUID) -> HttpResponseBase:
        agent = read.agent(self.workspace, agent_id)
        try:
            name = request.POST.get("name", "").strip()
            if not name or len(name) > 100:
                raise InvalidInput("a name of at most 100 characters", loc=("body", "name"))
            write.update(
                agent,
                {
                    "name": name,
                    "profile_id": _id(request.POST.get("profile", "")),
                    "calendar_id": _id(request.POST.get("calendar", "")),
                    "is_default": "is_default" in request.POST,
                },
                self.principal.actor,
            )
        except (Conflict, InvalidInput) as exc:
            messages.error(request, f"Not saved: {exc.detail}.")
        else:
            messages.success(request, "Saved. The next call has it.")
        return redirect("agent", agent_id=agent.pk)


class AgentAction(PageView):
    """Copy, or take out of use."""

    scope = "agents:write"
    nav = "agents"

    def post(self, request: HttpRequest, agent_id: uuid.UUID, act: str) -> HttpResponseBase:
        agent = read.agent(self.workspace, agent_id)
        if act == "duplicate":
            made = write.duplicate(agent, self.principal.actor)
            messages.success(request, f"{made.name} says and does the same. No number leads to it yet.")
            return redirect("agent", agent_id=made.pk)
        try:
            write.archive(agent, self.principal.actor)
        except Conflict as exc:
            uses = ", ".join(f"{count} {what}" for what, count in exc.extra.items() if count)
            messages.error(request, f"{agent.name} is still in use: {uses}.")
            return redirect("agent", agent_id=agent.pk)
        messages.success(request, f"{agent.name} is archived; its calls and versions stay.")
        return redirect("agents")


def setup_of(agent: Agent) -> dict[str, Any]:
    """What is around an agent's text: voices, calendars, numbers, batches, calls under way."""
    return {
        "profiles": read.profiles(agent.workspace),
        "calendars": calendars.all_of(agent.workspace_id),
        "numbers": read.numbers_of(agent),
        "batches": read.open_batches(agent),
        "live_calls": read.live_calls(agent),
    }


def _id(raw: str) -> uuid.UUID | None:
    """
    Raises:
        InvalidInput: not an id.
    """
    try:
        return uuid.UUID(raw) if raw else None
    except ValueError as exc:
        raise InvalidInput("no such thing here", loc=("body",)) from exc
