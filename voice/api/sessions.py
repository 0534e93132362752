"""Sessions: provisioning a call, in any direction."""

import uuid
from typing import Any, ClassVar

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from crm.selectors import calendars as read_calendars
from crm.selectors import leads as read_leads
from tenex.rest.idempotency import idempotent
from tenex.rest.schema import operation
from tenex.rest.views import ApiView, created
from tenex.workspaces.services import audit
from voice.api.batches import named
from voice.api.inputs import SessionIn
from voice.api.outputs import ProvisionedSessionOut
from voice.models import Call, VoiceSession
from voice.selectors import agents as read_agents
from voice.selectors import sessions as read
from voice.services import dialing, sessions
from voice.services.live import Channel

TAG = "Sessions"


class SessionList(ApiView):
    scopes: ClassVar = {"POST": "calls:write"}

    @operation(
        "sessions_create",
        "Provision a session",
        "`outbound` (the default) queues a call that is dialled at once: `lead_id` or `phone`; `id` is "
        "null until it "
        "is answered. `browser` and `inbound` (another phone network than Twilio's) wait for a media "
        "socket: open `stream_url` within 60 seconds and speak Twilio's Media Streams messages (mu-law, "
        "8 kHz); 409 `no_capacity` if all lines are in use. "
        "A lead that may not be called answers 409 with the reason as `code`.",
        tag=TAG,
        request=SessionIn,
        response=ProvisionedSessionOut,
        status=201,
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        data = self.body(SessionIn)
        direction, phone = data["direction"], data.get("phone", "")
        agent = named(read_agents.agents(self.workspace), data["agent_id"], "agent_id")
        calendars = read_calendars.all_of(self.workspace.pk)
        common: dict[str, Any] = {
            "agent": agent,
            "phone": phone,
            "lead": named(read_leads.all_of(self.workspace.pk), data.get("lead_id"), "lead_id"),
            "number": named(read_agents.numbers(self.workspace), data.get("number_id"), "number_id"),
            "calendar": named(calendars, data.get("calendar_connector_id"), "calendar_connector_id"),
            "objective": data.get("objective", ""),
            "variables": data.get("variables"),
        }
        if direction == "outbound":
            return created(_shown(dialing.place(self.workspace, **common), None, "outbound"))
        channel: Channel = "browser" if direction == "browser" else "stream"
        made = sessions.provision(self.workspace, channel=channel, **common)
        return created(_shown(made.session.call, made.session, direction, token=made.token))


class SessionDetail(ApiView):
    scopes: ClassVar = {"GET": "calls:read"}

    @operation(
        "sessions_get",
        "Get a session",
        "One realtime session and the state of its call.",
        tag=TAG,
        response=ProvisionedSessionOut,
        errors=(404,),
    )
    def get(self, request: Request, session_id: uuid.UUID) -> Response:
        self.known_query()
        session = read.one(self.workspace, session_id)
        direction = "browser" if session.channel == "browser" else session.call.direction
        return Response(_shown(session.call, session, direction))


class SessionStreamUrl(ApiView):
    scopes: ClassVar = {"POST": "calls:write"}

    @operation(
        "sessions_stream_url",
        "Come back to a session",
        "Another `stream_url` for a `browser` or `inbound` session whose media socket was lost or never "
        "opened. The call waits some 15 seconds for its client; the agent then goes on where it was. "
        "409 `call_over`, `carrier_call`, or `too_many_resumes` after 20 times.",
        tag=TAG,
        response=ProvisionedSessionOut,
        status=201,
        errors=(404, 409),
    )
    def post(self, request: Request, session_id: uuid.UUID) -> Response:
        session = read.one(self.workspace, session_id)
        token = sessions.readmit(session)
        audit.record(
            self.workspace.id,
            self.principal.actor,
            "session.readmitted",
            object_type="session",
            object_id=session.id,
        )
        direction = "browser" if session.channel == "browser" else session.call.direction
        return created(_shown(session.call, session, direction, token=token))


def _shown(call: Call, session: VoiceSession | None, direction: str, *, token: str = "") -> Any:
    return ProvisionedSessionOut(
        {
            "id": session.pk if session else None,
            "session_id": session.pk if session else None,
            "call_id": call.pk,
            "direction": direction,
            "status": session.status if session else "queued",
            "call_status": call.status,
            "agent_id": call.agent_version.agent_id if call.agent_version else None,
            "stream_url": f"{settings.MEDIA_BASE_URL}/sessions/media/{token}" if token else None,
            "created_at": session.created_at if session else call.created_at,
        }
    ).data
