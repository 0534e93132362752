"""Versions of an agent: publishing the draft, what was published when and why, and back again."""

import re
import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from tenex.errors import Conflict, InvalidInput, NotFound
from tenex.pages.views import PageView
from tenex.rest.pagination import page as paged
from voice.models import Agent, AgentVersion
from voice.selectors import agents as read
from voice.services import agents as write
from voice.services import drafts, version_diff


class AgentPublish(PageView):
    """The differences are seen before they count, and a reason is given."""

    scope = "agents:write"
    nav = "agents"

    def get(self, request: HttpRequest, agent_id: uuid.UUID) -> HttpResponse:
        return self._form(read.agent(self.workspace, agent_id))

    def post(self, request: HttpRequest, agent_id: uuid.UUID) -> HttpResponseBase:
        agent = read.agent(self.workspace, agent_id)
        token = request.POST.get("token", "")
        if "discard" in request.POST:
            return self._discard(agent, token)
        against = request.POST.get("against", "")
        try:
            made = drafts.publish(
                agent,
                token,
                request.POST.get("note", "")[:300],
                self.principal.actor,
                against=int(against) if re.fullmatch(r"[0-9]{1,9}", against) else -1,
            )
        except (Conflict, InvalidInput) as exc:
            return self._form(read.agent(self.workspace, agent_id), exc)
        messages.success(request, f"Version {made.number} is published: calls that begin now have it.")
        return redirect("agent_versions", agent_id=agent.pk)

    def _discard(self, agent: Agent, token: str) -> HttpResponseBase:
        try:
            drafts.discard(agent, token, self.principal.actor)
        except Conflict as exc:
            return self._form(agent, exc)
        messages.success(self.request, "The draft is gone; what is published stays.")
        return redirect("agent", agent_id=agent.pk)

    def _form(self, agent: Agent, wrong: Conflict | InvalidInput | None = None) -> HttpResponse:
        now = drafts.state(agent)
        before = drafts.content_of(agent.current_version)
        context: dict[str, Any] = {
            "agent": agent,
            "state": now,
            "wrong": wrong,
            "wrong_note": isinstance(wrong, InvalidInput) and wrong.loc[-1] == "note",
            "note": self.request.POST.get("note", ""),
            "problems": drafts.problems(now.content),
            "sides": version_diff.side_by_side(before, now.content),
            "side_names": (f"Published: version {now.published}" if now.published else "Nothing", "Draft"),
            "live_calls": read.live_calls(agent),
            "batches": read.open_batches(agent),
        }
        return self.page("console/agent_publish.html", context, status=wrong.status if wrong else 200)


class AgentVersions(PageView):
    scope = "agents:read"
    nav = "agents"

    def get(self, request: HttpRequest, agent_id: uuid.UUID) -> HttpResponse:
        agent = read.agent(self.workspace, agent_id)
        found = paged(read.versions(agent), request.GET, bound_to=f"versions:{agent.pk}")
        records = read.records(agent)
        current = agent.current_version
        rows = [
            {"version": one, "record": records.get(one.pk, read.Record()), "is_current": one == current}
            for one in found.items
        ]
        context = {
            "agent": agent,
            "rows": rows,
            "next_cursor": found.next_cursor,
            "state": drafts.state(agent),
            "batches": read.open_batches(agent),
            "may_write": self.principal.allows("agents:write"),
        }
        return self.page("console/agent_versions.html", context)


class AgentCompare(PageView):
    """Any two versions, or a version and the draft."""

    scope = "agents:read"
    nav = "agents"

    def get(self, request: HttpRequest, agent_id: uuid.UUID) -> HttpResponse:
        agent = read.agent(self.workspace, agent_id)
        versions = list(read.versions(agent)[:200])
        if not versions:
            raise NotFound("this agent has no version yet")
        after = _chosen(agent, request.GET.get("to", ""), versions[0])
        before = _chosen(agent, request.GET.get("from", ""), read.version_to_compare(agent, after, None))
        context = {
            "agent": agent,
            "versions": versions,
            "before": before,
            "after": after,
            "sides": version_diff.side_by_side(*(drafts.content_of(one) for one in (before, after))),
            "side_names": (f"Version {before.number}", f"Version {after.number}"),
            "state": drafts.state(agent),
            "may_write": self.principal.allows("agents:write"),
        }
        return self.page("console/agent_compare.html", context)


class AgentRestore(PageView):
    """An old version is published again, as a new one."""

    scope = "agents:write"
    nav = "agents"

    def post(self, request: HttpRequest, agent_id: uuid.UUID, number: int) -> HttpResponseBase:
        agent = read.agent(self.workspace, agent_id)
        version = read.version(agent, number)
        before = agent.current_version
        try:
            agent = write.restore(
                agent, version, self.principal.actor, request.POST.get("why", "").strip()[:250]
            )
        except InvalidInput as exc:
            messages.error(request, f"Version {number} cannot run any more: {exc.detail}.")
            return redirect("agent_versions", agent_id=agent.pk)
        if agent.current_version == before:
            messages.info(request, f"What is published says the same as version {number}: nothing changed.")
        elif agent.current_version is not None:
            messages.success(
                request, f"Version {number} is published again, as version {agent.current_version.number}."
            )
        return redirect("agent_versions", agent_id=agent.pk)


def _chosen(agent: Agent, raw: str, otherwise: AgentVersion) -> AgentVersion:
    """
    Raises:
        NotFound: there is no such version.
    """
    if not raw:
        return otherwise
    if not re.fullmatch(r"[0-9]{1,9}", raw):
        raise NotFound("there is no such version")
    return read.version(agent, int(raw))
