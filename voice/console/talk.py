"""Talk to your agent: a test call through the browser's microphone or in writing; tools write nothing."""

import uuid
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from crm.selectors import leads as read_leads
from tenex.errors import InvalidInput, TenexError
from tenex.pages.views import PageView
from tenex.workspaces.services import audit
from voice.models import Agent, AgentVersion
from voice.selectors import agents as read
from voice.selectors import calls as read_calls
from voice.services import drafts, operator, sessions, templates

_MOST_WORDS = 1000
_MOST_PROMPT = 50_000
_LEADS = 50


class Talk(PageView):
    """GET is the page; POST begins a call and answers where its socket is."""

    scope = "agents:read"
    write_scope = "calls:write"
    nav = "agents"

    def get(self, request: HttpRequest, agent_id: uuid.UUID) -> HttpResponse:
        agent = read.agent(self.workspace, agent_id)
        context = {
            "agent": agent,
            "draft": drafts.state(agent),
            "versions": read.versions(agent)[:50],
            "leads": read_leads.all_of(self.workspace.pk).filter(archived_at=None)[:_LEADS]
            if self.principal.allows("leads:read")
            else (),
            "may": self.principal.allows("calls:write"),
            "chosen": request.GET.get("version", ""),
        }
        return self.page("console/talk.html", context)

    def post(self, request: HttpRequest, agent_id: uuid.UUID) -> HttpResponse:
        agent = read.agent(self.workspace, agent_id)
        try:
            lead = request.POST.get("lead", "")
            made = sessions.provision(
                self.workspace,
                agent=agent,
                channel="browser",
                version=self._version(agent),
                lead=read_leads.get(self.workspace.pk, _id(lead)) if lead else None,
                is_test=True,
                trial=self._trial(agent),
            )
        except TenexError as exc:
            return JsonResponse({"error": exc.detail, "code": exc.code}, status=exc.status)
        call = made.session.call
        audit.record(
            self.workspace.pk, self.principal.actor, "call.test", object_type="call", object_id=call.pk
        )
        return JsonResponse({"call": str(call.pk), "stream": _address(made.token)}, status=201)

    def _trial(self, agent: Agent) -> dict[str, Any] | None:
        """What is tried instead of the version's own text: the agent's draft, or one that was written here.

        Raises:
            InvalidInput: it is too long, or names a variable that does not exist.
        """
        text = self.request.POST.get("prompt", "").strip()
        if not text:
            wanted = self.request.POST.get("version") == "draft"
            return drafts.state(agent).content if wanted else None
        if len(text) > _MOST_PROMPT:
            raise InvalidInput(f"at most {_MOST_PROMPT} characters", loc=("body", "prompt"))
        templates.check(text, "system_prompt")
        return {"system_prompt": text}

    def _version(self, agent: Agent) -> AgentVersion | None:
        number = self.request.POST.get("version", "")
        return read.version(agent, int(number)) if number.isdecimal() and len(number) < 9 else None


class TypeText(PageView):
    """Words that are written into a test call instead of spoken."""

    scope = "calls:write"

    def post(self, request: HttpRequest, agent_id: uuid.UUID, call_id: uuid.UUID) -> HttpResponse:
        try:
            text = request.POST.get("text", "").strip()
            if not text or len(text) > _MOST_WORDS:
                raise InvalidInput(f"between 1 and {_MOST_WORDS} characters", loc=("body", "text"))
            operator.type_text(read_calls.bare(self.workspace, call_id), text)
        except TenexError as exc:
            return JsonResponse({"error": exc.detail, "code": exc.code}, status=exc.status)
        return JsonResponse({"done": True})


def _id(text: str) -> uuid.UUID:
    """
    Raises:
        InvalidInput: no id.
    """
    try:
        return uuid.UUID(text)
    except ValueError as exc:
        raise InvalidInput("no such lead", loc=("body", "lead")) from exc


def _address(token: str) -> str:
    """The socket, on this very host if that carries media, whatever name the browser knows it by."""
    path = f"/sessions/media/{token}"
    elsewhere = urlsplit(settings.MEDIA_BASE_URL).netloc != urlsplit(settings.PUBLIC_BASE_URL).netloc
    return f"{settings.MEDIA_BASE_URL}{path}" if elsewhere else path
