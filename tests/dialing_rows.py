"""Rows and doubles for the tests of dialing."""

import itertools
from collections.abc import Mapping
from datetime import time
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from crm.models import Lead
from tenex.lib import daytime
from tenex.workspaces.models import Workspace
from tests import rows
from voice.models import (
    Agent,
    AgentVersion,
    Call,
    CallStatus,
    Direction,
    EndReason,
    Outcome,
    PhoneNumber,
    VoiceProfile,
)
from voice.services import calls
from voice.telephony import signature

_serial = itertools.count(1)
NUMBER = "+14155550100"


HOME = daytime.place(timezone.now())
"""Where those live whom the tests dial: rules and hours hold here as anywhere, and it is day there."""


def workspace(**fields: Any) -> Workspace:
    """One that dials around the clock, as far as the law of the place goes."""
    index = next(_serial)
    always = {
        "calling_window_start": time(0),
        "calling_window_end": time(0),
        "calls_per_second": 50.0,
        "min_gap_between_calls_s": 0,
        "calling_rules": "legal",
        "calling_countries": daytime.COUNTRIES,
    }
    return Workspace.objects.create(
        name=f"Space {index}", slug=f"space-{index}", webhook_secret="s", **{**always, **fields}
    )


def agent(space: Workspace, **fields: Any) -> Agent:
    index = next(_serial)
    profile = VoiceProfile.objects.create(workspace=space, name=f"Voice {index}", max_duration_s=600)
    made = Agent.objects.create(workspace=space, name="Ava", slug=f"ava-{index}", profile=profile, **fields)
    made.current_version = AgentVersion.objects.create(
        agent=made, number=1, system_prompt="You are Ava.", objective="Qualify"
    )
    made.save()
    return made


def number(space: Workspace, who: Agent | None, e164: str = NUMBER, **fields: Any) -> PhoneNumber:
    return PhoneNumber.objects.create(workspace=space, e164=e164, agent=who, **fields)


def phone(index: int) -> str:
    """The number of the lead at that place of :func:`leads`."""
    return HOME.number(f"{index:04}")


def leads(space: Workspace, count: int, *, agreed: bool = True) -> list[Lead]:
    """People where it is day, who have agreed to marketing calls."""
    made = Lead.objects.bulk_create(
        Lead(
            workspace=space,
            first_name=f"Lead {index}",
            phone=phone(index),
            time_zone=HOME.zone,
            country=HOME.country,
        )
        for index in range(count)
    )
    if agreed:
        rows.agree(*made)
    return made


def outbound_call(space: Workspace, *, status: CallStatus = CallStatus.QUEUED, **fields: Any) -> Call:
    who = agent(space)
    own = space.numbers.first() or number(space, who, f"+1415555{next(_serial):04}")
    placed = {} if status == CallStatus.QUEUED else {"placed_at": timezone.now()}
    return Call.objects.create(
        workspace=space,
        direction=Direction.OUTBOUND,
        status=status,
        number=own,
        agent_version=who.current_version,
        **{"from_number": own.e164, "to_number": phone(1), **placed, **fields},
    )


def finalize(call: Call, outcome: Outcome) -> None:
    """What post-call does, as far as the dialer sees it."""
    assert calls.move(call.pk, CallStatus.FINALIZING)
    assert calls.move(call.pk, CallStatus.FINALIZED, outcome=outcome, finalized_at=timezone.now())


def over(call: Call, reason: EndReason, outcome: Outcome) -> None:
    assert calls.end(call.pk, reason)
    finalize(call, outcome)


def knock(client: Client, path: str, fields: Mapping[str, str], *, token: str = "") -> HttpResponse:
    """A request as Twilio would send it to our public address."""
    signed = signature.sign(
        settings.PUBLIC_BASE_URL + path, dict(fields), token=token or settings.TWILIO_AUTH_TOKEN
    )
    return client.post(path, dict(fields), headers={"X-Twilio-Signature": signed})  # type: ignore[return-value]
