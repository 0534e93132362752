"""Agents and their versions."""

import re
import uuid
from typing import ClassVar

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from tenex.errors import InvalidInput
from tenex.rest import filters as strict
from tenex.rest.idempotency import idempotent
from tenex.rest.pagination import PAGE_PARAMETERS, page
from tenex.rest.schema import PAGE, filter_parameters, operation, page_of
from tenex.rest.views import ApiView, created, no_content
from voice.api.agent_inputs import AgentIn, AgentPatchIn, DuplicateIn
from voice.api.agent_outputs import AgentOut, AgentVersionOut, VariablesOut, VersionDiffOut
from voice.api.filters import AgentFilters
from voice.selectors import agents as read
from voice.services import agents as write
from voice.services import templates, version_diff

TAG = "Agents"
MAX_VERSION = 2**31 - 1


class AgentList(ApiView):
    scopes: ClassVar = {"GET": "agents:read", "POST": "agents:write"}

    @operation(
        "agents_list",
        "List agents",
        "Agents, the newest first; archived ones only with `archived=true`.",
        tag=TAG,
        response=page_of(AgentOut),
        parameters=filter_parameters(AgentFilters),
    )
    def get(self, request: Request) -> Response:
        everything = read.every_agent(self.workspace)
        rows = strict.apply(AgentFilters, self.query, everything)
        if "archived" not in self.query:
            rows = rows.filter(archived_at=None)
        found = page(rows, self.query, bound_to=f"agents:{self.workspace.pk}")
        return Response(found.as_json(AgentOut))

    @operation(
        "agents_create",
        "Create an agent",
        "An agent with its first version.",
        tag=TAG,
        request=AgentIn,
        response=AgentOut,
        status=201,
        errors=(409,),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        agent = write.create(self.workspace, self.body(AgentIn), self.principal.actor)
        return created(AgentOut(agent).data)


class AgentDetail(ApiView):
    scopes: ClassVar = {"GET": "agents:read", "PATCH": "agents:write", "DELETE": "agents:write"}

    @operation(
        "agents_get", "Get an agent", "The agent as it is now.", tag=TAG, response=AgentOut, errors=(404,)
    )
    def get(self, request: Request, agent_id: uuid.UUID) -> Response:
        self.known_query()
        return Response(AgentOut(read.agent(self.workspace, agent_id)).data)

    @operation(
        "agents_update",
        "Change an agent",
        "A change of prompt, objective, criteria or tools makes a new version; calls that run keep theirs.",
        tag=TAG,
        request=AgentPatchIn,
        response=AgentOut,
        errors=(404, 409),
    )
    def patch(self, request: Request, agent_id: uuid.UUID) -> Response:
        agent = read.agent(self.workspace, agent_id)
        return Response(AgentOut(write.update(agent, self.body(AgentPatchIn), self.principal.actor)).data)

    @operation(
        "agents_archive",
        "Archive an agent",
        "Takes it out of lists; its calls and versions stay. Refused with 409 `agent_in_use` while a number "
        "leads to it, or an open batch or a live call runs it.",
        tag=TAG,
        status=204,
        errors=(404, 409),
    )
    def delete(self, request: Request, agent_id: uuid.UUID) -> Response:
        write.archive(read.agent(self.workspace, agent_id), self.principal.actor)
        return no_content()


class AgentVariables(ApiView):
    scopes: ClassVar = {"GET": "agents:read"}

    @operation(
        "agents_variables",
        "List template variables",
        "What a prompt, an objective or a greeting may name in `{{…}}`. Any other name is refused when it is "
        "saved.",
        tag=TAG,
        response=VariablesOut,
    )
    def get(self, request: Request) -> Response:
        self.known_query()
        return Response(VariablesOut({"items": templates.VARIABLES}).data)


class AgentDuplicate(ApiView):
    scopes: ClassVar = {"POST": "agents:write"}

    @operation(
        "agents_duplicate",
        "Duplicate an agent",
        "A new agent that says and does the same. No number leads to it.",
        tag=TAG,
        request=DuplicateIn,
        response=AgentOut,
        status=201,
        errors=(404, 409),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request, agent_id: uuid.UUID) -> Response:
        agent = read.agent(self.workspace, agent_id)
        made = write.duplicate(agent, self.principal.actor, **self.body(DuplicateIn))
        return created(AgentOut(made).data)


class AgentVersionList(ApiView):
    scopes: ClassVar = {"GET": "agents:read"}

    @operation(
        "agents_versions",
        "List versions",
        "All versions of an agent, the newest first.",
        tag=TAG,
        response=page_of(AgentVersionOut),
        parameters=PAGE,
        errors=(404,),
    )
    def get(self, request: Request, agent_id: uuid.UUID) -> Response:
        self.known_query(PAGE_PARAMETERS)
        agent = read.agent(self.workspace, agent_id)
        found = page(read.versions(agent), self.query, bound_to=f"versions:{agent.pk}")
        return Response(found.as_json(AgentVersionOut))


class AgentVersionDetail(ApiView):
    scopes: ClassVar = {"GET": "agents:read"}

    @operation(
        "agents_version",
        "Get a version",
        "One version of an agent.",
        tag=TAG,
        response=AgentVersionOut,
        errors=(404,),
    )
    def get(self, request: Request, agent_id: uuid.UUID, number: int) -> Response:
        self.known_query()
        return Response(AgentVersionOut(read.version(read.agent(self.workspace, agent_id), number)).data)


class AgentVersionDiff(ApiView):
    scopes: ClassVar = {"GET": "agents:read"}

    @operation(
        "agents_version_diff",
        "Compare versions",
        "What a version has other than another one; without `against`, than the one before it.",
        tag=TAG,
        response=VersionDiffOut,
        parameters=[
            OpenApiParameter(
                "against",
                {"type": "integer", "minimum": 1, "maximum": MAX_VERSION},
                description="Number of the version to compare with.",
            )
        ],
        errors=(404,),
    )
    def get(self, request: Request, agent_id: uuid.UUID, number: int) -> Response:
        self.known_query(("against",))
        agent = read.agent(self.workspace, agent_id)
        after = read.version(agent, number)
        before = read.version_to_compare(agent, after, self._against())
        said = [{name: getattr(one, name) for name in version_diff.FIELDS} for one in (before, after)]
        told = {
            "from": before.number,
            "to": after.number,
            "changes": version_diff.changes(*said),
            "prompt_diff": version_diff.prompt_diff(
                before.system_prompt, after.system_prompt, names=(f"v{before.number}", f"v{after.number}")
            ),
        }
        return Response(VersionDiffOut(told).data)

    def _against(self) -> int | None:
        raw: str | None = self.query.get("against")
        if raw is None:
            return None
        if not re.fullmatch(r"[0-9]{1,10}", raw, re.ASCII) or not 1 <= int(raw) <= MAX_VERSION:
            raise InvalidInput("must be a version's number", loc=("query", "against"), type_="int_parsing")
        return int(raw)


class AgentVersionRestore(ApiView):
    scopes: ClassVar = {"POST": "agents:write"}

    @operation(
        "agents_restore",
        "Restore a version",
        "Makes an old version the current one, as a new version.",
        tag=TAG,
        response=AgentOut,
        errors=(404,),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request, agent_id: uuid.UUID, number: int) -> Response:
        agent = read.agent(self.workspace, agent_id)
        restored = write.restore(agent, read.version(agent, number), self.principal.actor)
        return Response(AgentOut(restored).data)
