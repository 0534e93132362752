"""The page of an agent: its text is written here, as a draft, with an eye on what it will be for a lead."""

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from crm.models import Lead
from crm.selectors import leads as read_leads
from tenex.errors import Conflict
from tenex.pages.templatetags.ui import moment
from tenex.pages.views import PageView
from voice.console import agent_forms
from voice.console.agents import setup_of
from voice.models import Agent, Direction
from voice.selectors import agents as read
from voice.services import drafts, previews, templates, version_diff
from voice.services.agents import TOOL_NAMES
from voice.tools.catalog import TOOLS


class AgentPage(PageView):
    """GET shows the draft, or what is published; POST writes the draft.

    A script that saves while somebody types asks for JSON; a form without one gets pages. Both are refused
    with 409 when somebody else has written meanwhile, and see both texts side by side then.
    """

    scope = "agents:read"
    write_scope = "agents:write"
    nav = "agents"

    def get(self, request: HttpRequest, agent_id: uuid.UUID) -> HttpResponse:
        agent = read.agent(self.workspace, agent_id)
        now = drafts.state(agent)
        return self.page("console/agent.html", self._context(agent, now, now.content))

    def post(self, request: HttpRequest, agent_id: uuid.UUID) -> HttpResponseBase:
        agent = read.agent(self.workspace, agent_id)
        sent = agent_forms.written(request.POST)
        token, as_json = (
            request.POST.get("token", ""),
            "application/json" in request.headers.get("Accept", ""),
        )
        if sent.errors:
            return self._wrong(agent, sent, as_json)
        try:
            now = drafts.save(agent, sent.content, token, self.principal.actor)
        except Conflict as exc:
            return self._conflict(agent, sent, exc, as_json)
        if as_json:
            return JsonResponse(self._saved(now))
        if "publish" in request.POST:
            return redirect("agent_publish", agent_id=agent.pk)
        messages.success(request, "The draft is saved. Calls run what is published.")
        return redirect("agent", agent_id=agent.pk)

    def _saved(self, now: drafts.State) -> dict[str, Any]:
        content = now.content
        return {
            "token": now.token,
            "is_draft": now.is_draft,
            "saved_at": str(moment(now.updated_at)),
            "tokens": templates.estimated_tokens(content["system_prompt"]),
            "problems": [_told(field, problem) for field, problem in drafts.problems(content)],
        }

    def _wrong(self, agent: Agent, sent: agent_forms.Written, as_json: bool) -> HttpResponse:
        if as_json:
            return JsonResponse({"errors": sent.errors}, status=422)
        context = self._context(agent, drafts.state(agent), sent.content)
        context |= {"errors": sent.errors, "token": self.request.POST.get("token", "")}
        return self.page("console/agent.html", context, status=422)

    def _conflict(
        self, agent: Agent, sent: agent_forms.Written, exc: Conflict, as_json: bool
    ) -> HttpResponse:
        """Nothing of either is lost: what was sent stays in the form, what is saved is shown beside it."""
        if as_json:
            return JsonResponse({"code": exc.code, "detail": exc.detail}, status=exc.status)
        now = drafts.state(read.agent(self.workspace, agent.pk))
        context = {
            **self._context(agent, now, sent.content),
            "conflict": exc,
            "sides": version_diff.side_by_side(now.content, sent.content),
            "side_names": ("What is saved now", "What you wrote"),
        }
        return self.page("console/agent.html", context, status=exc.status)

    def _context(self, agent: Agent, now: drafts.State, content: dict[str, Any]) -> dict[str, Any]:
        return {
            "agent": agent,
            "state": now,
            "token": now.token,
            "content": content,
            "problems": drafts.problems(content),
            "tokens": templates.estimated_tokens(content["system_prompt"]),
            "variables": templates.VARIABLES,
            "tools": [TOOLS[name] for name in TOOL_NAMES],
            "may_write": self.principal.allows("agents:write"),
            "may_see_leads": self.principal.allows("leads:read"),
            **setup_of(agent),
        }


class AgentPreview(PageView):
    """What the model would be told with the text as it stands in the form, saved or not."""

    scope = "agents:read"
    nav = "agents"

    def post(self, request: HttpRequest, agent_id: uuid.UUID) -> HttpResponse:
        agent = read.agent(self.workspace, agent_id)
        if "system_prompt" in request.POST:
            content = agent_forms.written(request.POST).content
        else:  # who may not write sends no text
            content = drafts.state(agent).content
        q = request.POST.get("lead", "").strip()
        found = self._leads(q)
        lead = next((one for one in found if str(one.pk) == q), found[0] if q and found else None)
        inbound = request.POST.get("direction") == Direction.INBOUND
        direction = Direction.INBOUND if inbound else Direction.OUTBOUND
        context = {
            "agent": agent,
            "preview": previews.of(agent, content, lead, direction),
            "lead": lead,
            "others": [one for one in found if one != lead][:6],
            "asked": q,
            "direction": direction,
        }
        part = request.headers.get("X-Part")
        template = "console/agent_preview.html" if part else "console/agent_preview_page.html"
        return self.page(template, context)

    def _leads(self, q: str) -> list[Lead]:
        if not self.principal.allows("leads:read"):
            return []
        try:
            return [read_leads.get(self.workspace.pk, uuid.UUID(q))]
        except ValueError:
            return read_leads.found(self.workspace, q)


def _told(field: str, problem: templates.Problem) -> dict[str, Any]:
    return {
        "field": field,
        "line": problem.line,
        "column": problem.column,
        "text": problem.text,
        "message": problem.message,
        "suggestion": problem.suggestion,
    }
