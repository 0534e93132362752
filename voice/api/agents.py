"""Agents and their versions."""

import uuid
from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from tenex.rest.idempotency import idempotent
from tenex.rest.pagination import PAGE_PARAMETERS, page
from tenex.rest.schema import PAGE, operation, page_of
from tenex.rest.views import ApiView, created, no_content
from voice.api.agent_inputs import AgentIn, AgentPatchIn
from voice.api.agent_outputs import AgentOut, AgentVersionOut
from voice.selectors import agents as read
from voice.services import agents as write

TAG = "Agents"


class AgentList(ApiView):
    scopes: ClassVar = {"GET": "agents:read", "POST": "agents:write"}

    @operation(
        "agents_list",
        "List agents",
        "Agents, the newest first.",
        tag=TAG,
        response=page_of(AgentOut),
        parameters=PAGE,
    )
    def get(self, request: Request) -> Response:
        self.known_query(PAGE_PARAMETERS)
        found = page(read.agents(self.workspace), self.query, bound_to=f"agents:{self.workspace.pk}")
        return Response({"items": AgentOut(found.items, many=True).data, "next_cursor": found.next_cursor})

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
        "Takes it out of lists and off its numbers. Its calls stay.",
        tag=TAG,
        status=204,
        errors=(404,),
    )
    def delete(self, request: Request, agent_id: uuid.UUID) -> Response:
        write.archive(read.agent(self.workspace, agent_id), self.principal.actor)
        return no_content()


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
        return Response(
            {"items": AgentVersionOut(found.items, many=True).data, "next_cursor": found.next_cursor}
        )


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
