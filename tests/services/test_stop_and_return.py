"""A stop reaches every call to the number; whoever calls back reaches the agent that dialed them."""

import json
from typing import Any

import pytest
from django.utils import timezone

from crm.models import SuppressionSource
from crm.services import suppressions
from tenex.workspaces.models import Workspace
from tests import rows
from voice.models import (
    Agent,
    AgentVersion,
    Batch,
    Call,
    CallStatus,
    DialState,
    Direction,
    PhoneNumber,
    VoiceProfile,
)
from voice.services import attempts, inbound, returns

pytestmark = pytest.mark.django_db
THEM = "+14155550123"


class Desk:
    """A carrier that keeps what it was asked to dial."""

    def __init__(self) -> None:
        self.orders: list[Any] = []

    def place_call(self, order: Any, **options: Any) -> Any:
        self.orders.append(order)
        raise AssertionError("dialed")


def _outbound(space: Workspace, status: CallStatus, **fields: Any) -> Call:
    return rows.call(
        space,
        agent=AgentVersion.objects.first() or rows.version(space),
        direction=Direction.OUTBOUND,
        status=status,
        answered_at=None,
        from_number="+14155550100",
        to_number=THEM,
        **fields,
    )


def _stop(space: Workspace) -> None:
    suppressions.add(space.pk, THEM, source=SuppressionSource.API)


def test_what_was_claimed_before_the_stop_is_not_dialed_after_it() -> None:
    space = rows.workspace()
    attempt = attempts.prepare(_outbound(space, CallStatus.QUEUED).pk)
    assert attempt is not None
    _stop(space)
    desk: Any = Desk()
    assert attempts.dial(attempt.pk, desk) == DialState.NOT_PLACED
    assert desk.orders == []


def test_a_call_that_was_claimed_while_the_stop_was_written_is_caught_by_the_list() -> None:
    space = rows.workspace()
    _stop(space)
    attempt = attempts.prepare(_outbound(space, CallStatus.QUEUED).pk)  # its gate had looked before
    assert attempt is not None
    desk: Any = Desk()
    assert attempts.dial(attempt.pk, desk) == DialState.NOT_PLACED
    assert desk.orders == []


def test_what_rings_is_to_be_hung_up_and_who_talks_goes_on() -> None:
    space = rows.workspace()
    rings = _outbound(space, CallStatus.RINGING, provider_sid="CA1")
    talks = rows.call(
        space, agent=rings.agent_version, direction=Direction.OUTBOUND, to_number=THEM, provider_sid="CA2"
    )
    other = rows.workspace("other")
    theirs = Call.objects.create(
        workspace=other,
        direction=Direction.OUTBOUND,
        status=CallStatus.RINGING,
        from_number="+14155550199",
        to_number=THEM,
        provider_sid="CA3",
    )
    _stop(space)
    for call in (rings, talks, theirs):
        call.refresh_from_db()
    assert (rings.end_hint, talks.end_hint, theirs.end_hint) == ("canceled", "", "")
    assert rings.sweep_at is not None


def _called(space: Workspace, agent_name: str = "Bea") -> Call:
    """A batch call from our number to them, finished, by an agent that is not the number's."""
    profile = VoiceProfile.objects.create(workspace=space, name=agent_name)
    agent = Agent.objects.create(workspace=space, name=agent_name, slug=agent_name.lower(), profile=profile)
    version = AgentVersion.objects.create(agent=agent, number=1, system_prompt="You are Bea.")
    Agent.objects.filter(pk=agent.pk).update(current_version=version)
    number = PhoneNumber.objects.get(workspace=space)
    lead = rows.lead(space, phone=THEM)
    batch = Batch.objects.create(workspace=space, name="Spring", objective="Sell", agent=agent, number=number)
    return rows.call(
        space,
        agent=version,
        lead=lead,
        batch=batch,
        objective="Talk about the spring offer",
        direction=Direction.OUTBOUND,
        status=CallStatus.ENDED,
        end_reason="no-answer",
        ended_at=timezone.now(),
        from_number=number.e164,
        to_number=THEM,
    )


@pytest.fixture
def space(settings: Any) -> Workspace:
    settings.OPENAI_API_KEY = "sk-test"
    made = rows.workspace()
    version = rows.version(made)
    PhoneNumber.objects.create(workspace=made, e164="+14155550100", agent=version.agent)
    return made


def test_who_calls_back_reaches_the_agent_that_called_and_it_knows_why(space: Workspace) -> None:
    earlier = _called(space)
    call = inbound.receive(inbound.Ringing("CA9", THEM, "+14155550100"))
    assert call is not None
    assert call.agent_version_id == earlier.agent_version_id
    assert call.objective == "Talk about the spring offer"
    facts = returns.facts_of(call)
    assert (facts["objective"], facts["outcome"], facts["batch"]) == (
        "Talk about the spring offer",
        "no-answer",
        "Spring",
    )
    json.dumps(facts)


def test_also_where_the_number_has_no_agent_and_though_they_said_stop(space: Workspace) -> None:
    earlier = _called(space)
    PhoneNumber.objects.update(agent=None)
    _stop(space)
    call = inbound.receive(inbound.Ringing("CA9", THEM, "+14155550100"))
    assert call is not None
    assert (call.agent_version_id, call.end_hint) == (earlier.agent_version_id, "")


def test_others_reach_the_agent_of_the_number(space: Workspace) -> None:
    _called(space)
    call = inbound.receive(inbound.Ringing("CA9", "+14155550177", "+14155550100"))
    assert call is not None
    assert call.agent_version is not None
    assert call.agent_version.agent.name == "Ava"
    assert returns.facts_of(call) == {}
