"""Provisioning a live session ahead of its media: for a browser, or for an integrator's own phone network."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from crm.models import Calendar, Lead
from tenex.lib.phone import normalize
from tenex.workspaces.models import Workspace
from voice.models import Agent, Call, CallStatus, Direction, PhoneNumber, VoiceSession
from voice.services import journal, live
from voice.wire import stream_token


@dataclass(frozen=True, slots=True)
class Provisioned:
    session: VoiceSession
    token: str
    """Opens the media socket once, within `stream_token.TTL_S` seconds."""


def provision(
    workspace: Workspace,
    *,
    agent: Agent,
    channel: str,
    number: PhoneNumber | None = None,
    lead: Lead | None = None,
    phone: str = "",
    calendar: Calendar | None = None,
    objective: str = "",
    variables: dict[str, Any] | None = None,
) -> Provisioned:
    """An inbound call that waits for its media socket, with its first session. `channel`: `phone`, `browser`.

    It counts as ringing, so that the dialer leaves it alone; the sweeper ends it if nobody comes.

    Raises:
        InvalidInput: `phone` is not a phone number.
    """
    now = timezone.now()
    caller = normalize(phone, region=workspace.default_region) if phone else (lead.phone if lead else "")
    with transaction.atomic():
        call = Call.objects.create(
            workspace=workspace,
            direction=Direction.INBOUND,
            status=CallStatus.RINGING,
            from_number=caller or channel,
            to_number=number.e164 if number else f"agent:{agent.slug}",
            number=number,
            agent_version=agent.current_version,
            lead=lead,
            calendar=calendar or agent.calendar,
            objective=objective,
            variables=variables or {},
            placed_at=now,
            sweep_at=now + timedelta(seconds=stream_token.TTL_S + 10),
        )
        session = VoiceSession.objects.create(workspace=workspace, call=call, channel=channel)
        journal.append(call.pk, [journal.Line("call.ringing", {"channel": channel})])
        token = live.issue_token(call)
    return Provisioned(session, token)
