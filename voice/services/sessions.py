"""Provisioning a live session ahead of its media: for a browser, or for an integrator's own phone network.

Such a call has no carrier: it lives on the session socket, ends with it, and can be gone on with on another
one for as long as a lost lease is waited for.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from crm.models import Calendar, Lead
from tenex.errors import Conflict
from tenex.lib.phone import normalize
from tenex.workspaces.models import Workspace
from voice.models import Agent, AgentVersion, Call, CallStatus, Direction, PhoneNumber, VoiceSession
from voice.models.calls import LIVE
from voice.services import calls, journal, live, readiness
from voice.services.live import Channel
from voice.wire import stream_token

MAX_RETURNS = 20
"""How often a call may be gone on with on another socket."""


_TIME_TO_COME = timedelta(seconds=stream_token.TTL_S + 10)


@dataclass(frozen=True, slots=True)
class Provisioned:
    session: VoiceSession
    token: str
    """Opens the media socket once, within `stream_token.TTL_S` seconds."""


def provision(
    workspace: Workspace,
    *,
    agent: Agent,
    channel: Channel,
    number: PhoneNumber | None = None,
    lead: Lead | None = None,
    phone: str = "",
    calendar: Calendar | None = None,
    objective: str = "",
    variables: dict[str, Any] | None = None,
    version: AgentVersion | None = None,
    is_test: bool = False,
    trial: dict[str, Any] | None = None,
) -> Provisioned:
    """An inbound call that waits for its session socket, with its first session.

    It counts as ringing, so that the dialer leaves it alone; the sweeper ends it if nobody comes. The agent
    speaks as `version` has it, without one as its current version. `is_test` and `trial`: see `Call`.

    Raises:
        InvalidInput: `phone` is not a phone number.
        Conflict: all lines of the workspace are in use.
    """
    now = timezone.now()
    caller = normalize(phone, region=workspace.default_region) if phone else (lead.phone if lead else "")
    if readiness.lines_in_use(workspace.pk) >= workspace.max_concurrent_calls:
        raise Conflict("all lines of the workspace are in use", code="no_capacity")
    with transaction.atomic():
        call = Call.objects.create(
            workspace=workspace,
            direction=Direction.INBOUND,
            status=CallStatus.RINGING,
            from_number=caller or channel,
            to_number=number.e164 if number else f"agent:{agent.slug}",
            number=number,
            agent_version=version or agent.current_version,
            is_test=is_test,
            trial=trial,
            lead=lead,
            calendar=calendar or agent.calendar,
            objective=objective,
            variables=variables or {},
            placed_at=now,
            sweep_at=now + _TIME_TO_COME,
            journal_seq=1,
        )
        session = VoiceSession.objects.create(workspace=workspace, call=call, channel=channel)
        token = live.issue_token(call)
        calls.begin_ringing(call)  # last: the event counter is the last lock
    return Provisioned(session, token)


def readmit(session: VoiceSession) -> str:
    """Another token for the session's call, whose socket was lost or never came; the earlier ones stay good.

    A socket that opens with it takes the call over, also from one that only seems to be there.

    Raises:
        Conflict: the call is over, is the carrier's, or has come back too often.
    """
    with transaction.atomic():
        call = Call.objects.select_for_update().get(pk=session.call_id)
        if live.channel_of(call.pk) == "phone":
            raise Conflict("the call is with the carrier", code="carrier_call")
        if call.status not in LIVE:
            raise Conflict("the call is over", code="call_over")
        if call.resumes >= MAX_RETURNS:
            raise Conflict("the call has come back too often", code="too_many_resumes")
        if call.status == CallStatus.IN_PROGRESS:
            call.resumes += 1
            journal.append(call.pk, [journal.Line("stream.resuming", {"resumes": call.resumes})])
        fresh = call.lease_until is not None and call.lease_until > timezone.now()
        if not fresh:
            call.sweep_at = timezone.now() + _TIME_TO_COME
        call.save(update_fields=["resumes", "sweep_at"])
        return live.issue_token(call)
