"""Rows that tests start from: the smallest that the database accepts."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import connections
from django.utils import timezone

from crm.models import Calendar, Consent, Lead
from crm.services import leads
from tenex.workspaces.models import Workspace
from voice.models import (
    Agent,
    AgentVersion,
    Call,
    CallStatus,
    Direction,
    EndReason,
    PhoneNumber,
    Turn,
    VoiceProfile,
)
from voice.services import calls
from voice.tools.catalog import NAMES

CRITERIA = [
    {"name": "budget", "description": "Has money set aside"},
    {"name": "need", "description": "Has a problem that we solve"},
]


def workspace(slug: str = "acme", **fields: Any) -> Workspace:
    return Workspace.objects.create(name=slug.title(), slug=slug, webhook_secret="whsec_test", **fields)


def lead(space: Workspace, **fields: Any) -> Lead:
    return leads.create(space, actor="test", **{"first_name": "Maria", "phone": "+14155550101", **fields})


def agree(*who: Lead, purpose: str = "marketing", **fields: Any) -> list[Consent]:
    """Consents that hold since yesterday, one of each lead."""
    return Consent.objects.bulk_create(
        Consent(
            workspace_id=one.workspace_id,
            lead=one,
            purpose=purpose,
            **{
                "source": "form",
                "proof": "Yes, an automated voice may call me.",
                "given_at": timezone.now() - timedelta(days=1),
                "recorded_by": "system:tests",
                **fields,
            },
        )
        for one in who
    )


def calendar(space: Workspace, **fields: Any) -> Calendar:
    hours = {str(day): [["09:00", "17:00"]] for day in range(1, 8)}
    return Calendar.objects.create(
        workspace=space,
        **{"name": "Sales", "time_zone": "America/New_York", "is_default": True, "hours": hours, **fields},
    )


def version(space: Workspace, **fields: Any) -> AgentVersion:
    profile = VoiceProfile.objects.create(workspace=space, name="Voice")
    agent = Agent.objects.create(workspace=space, name="Ava", slug="ava", profile=profile)
    made = AgentVersion.objects.create(
        agent=agent,
        number=1,
        **{
            "system_prompt": "You are Ava.",
            "criteria": CRITERIA,
            "tools": list(NAMES),
            "objective": "Qualify",
            **fields,
        },
    )
    agent.current_version = made
    agent.save()
    return made


def call(space: Workspace, *, agent: AgentVersion | None = None, **fields: Any) -> Call:
    """A call in progress, answered half a minute ago, from +1 415 555 0101."""
    now = timezone.now()
    if "number" not in fields:
        fields["number"], _ = PhoneNumber.objects.get_or_create(workspace=space, e164="+14155550100")
    return Call.objects.create(
        workspace=space,
        agent_version=agent or version(space),
        **{
            "direction": Direction.INBOUND,
            "status": CallStatus.IN_PROGRESS,
            "from_number": "+14155550101",
            "to_number": "+14155550100",
            "placed_at": now - timedelta(seconds=35),
            "answered_at": now - timedelta(seconds=30),
            **fields,
        },
    )


def say(call: Call, *lines: tuple[str, str], **fields: Any) -> list[Turn]:
    """Completed turns `("caller", "Hello")`, items `item_0`, `item_1`, …"""
    start = call.turns.count()
    return [
        Turn.objects.create(
            workspace_id=call.workspace_id,
            call=call,
            **{
                "item_id": f"item_{index}",
                "previous_item_id": f"item_{index - 1}" if index else "",
                "position": index,
                "speaker": speaker,
                "text": text,
                "heard_text": text,
                "start_ms": index * 1000,
                "end_ms": index * 1000 + 900,
                "status": "completed",
                **fields,
            },
        )
        for index, (speaker, text) in enumerate(lines, start)
    ]


def end(call: Call, reason: EndReason = EndReason.CALLER_HANGUP, *, ago_s: float = 60.0) -> Call:
    """End a call, long enough ago that nobody waits for late writes."""
    assert calls.end(call.pk, reason)
    at = timezone.now() - timedelta(seconds=ago_s)
    past = {"ended_at": at, "placed_at": at - timedelta(seconds=35)}
    if call.answered_at is not None:
        past["answered_at"] = at - timedelta(seconds=30)
    Call.objects.filter(pk=call.pk).update(**past)
    call.refresh_from_db()
    return call


def together(*jobs: Callable[[], Any]) -> list[Any]:
    """Run jobs at the same time, each on its own database connection; results or the exceptions, in order."""
    barrier = threading.Barrier(len(jobs))
    results: list[Any] = [None] * len(jobs)

    def work(index: int, job: Callable[[], Any]) -> None:
        try:
            barrier.wait(10)
            results[index] = job()
        except Exception as exc:
            results[index] = exc
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return results
