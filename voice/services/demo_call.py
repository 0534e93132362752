"""A finished call to look at before there is one of one's own: made of rows, marked, and gone with one click.

Its people are invented and its number is from the range that is kept for fiction.
"""

from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from crm.models import Lead
from crm.services import leads
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit
from voice.models import (
    AgentVersion,
    Call,
    CallStatus,
    Direction,
    EndReason,
    Outcome,
    ToolCall,
    ToolStatus,
    Turn,
    TurnStatus,
    Verdict,
)

MARK: Final = "demo"
"""Of a call's variables, and the source of its lead."""

_LINES: Final[tuple[tuple[str, str, str], ...]] = (
    ("agent", "Hello, this is Ava, an AI assistant, and this call is recorded. How can I help you?", ""),
    ("caller", "Hi, this is Maria from Brightwell Logistics. We looked at your robots last month.", ""),
    ("agent", "Good to hear from you again, Maria. What should the robots solve for you?", ""),
    ("caller", "Our pickers walk eleven miles a day, and we miss four percent of our deadlines.", ""),
    (
        "agent",
        "I understand. Do you have a budget in mind, and who decides on it? Many of our",
        "I understand.",
    ),
    ("caller", "Sorry to interrupt. One hundred and twenty thousand dollars, and I sign it myself.", ""),
    ("agent", "Perfect. When do you want to be up and running?", ""),
    ("caller", "Before the peak season, so by the end of next quarter.", ""),
    ("agent", "Then a specialist will call you on Thursday at ten. Thank you, Maria. Goodbye.", ""),
)
"""Who, what, and what was heard of it if it was cut off."""
_CRITERIA: Final = (
    ("budget", "One hundred and twenty thousand dollars, and I sign it myself.", 5),
    ("need", "Our pickers walk eleven miles a day, and we miss four percent of our deadlines.", 3),
    ("timeline", "Before the peak season, so by the end of next quarter.", 7),
)
_LINE_MS: Final = 5200


def find(workspace: Workspace) -> Call | None:
    return Call.objects.filter(workspace=workspace, variables__has_key=MARK).first()


def seed(workspace: Workspace, version: AgentVersion, actor: str) -> Call:
    """Make it, or find it."""
    found = find(workspace)
    if found is not None:
        return found
    ended = timezone.now() - timedelta(minutes=10)
    answered = ended - timedelta(milliseconds=len(_LINES) * _LINE_MS)
    with transaction.atomic():
        lead = leads.create(
            workspace,
            actor=actor,
            first_name="Maria",
            last_name="Chen (demo)",
            phone="+14155550188",
            source=MARK,
            notes="Invented: part of the demo call.",
        )
        call = Call.objects.create(
            workspace=workspace,
            agent_version=version,
            lead=lead,
            direction=Direction.INBOUND,
            status=CallStatus.FINALIZED,
            outcome=Outcome.QUALIFIED,
            end_reason=EndReason.AGENT_HANGUP,
            from_number="+14155550188",
            to_number="+14155550100",
            variables={MARK: True},
            placed_at=answered - timedelta(seconds=3),
            answered_at=answered,
            ended_at=ended,
            finalized_at=ended + timedelta(seconds=4),
            duration_ms=len(_LINES) * _LINE_MS,
        )
        turns = Turn.objects.bulk_create(_turns(call))
        ToolCall.objects.create(
            workspace=workspace,
            call=call,
            tool_call_id="call_demo_1",
            name="lookup_lead",
            arguments={},
            output={"name": "Maria Chen", "company": "Brightwell Logistics", "earlier_calls": 0},
            status=ToolStatus.SUCCEEDED,
            at_ms=2 * _LINE_MS - 900,
            duration_ms=38,
        )
        Verdict.objects.create(
            workspace=workspace,
            call=call,
            qualification="qualified",
            confidence=0.93,
            summary="Head of operations with a picking problem, a budget and a date; a specialist calls "
            "back.",
            criteria=[_criterion(turns, *row) for row in _CRITERIA],
            reasons=["A budget of her own, a clear need and a date"],
            follow_up={"needed": False, "reasons": [], "callback_at": None},
            model="demo",
        )
        audit.record(workspace.pk, actor, "demo.created", object_type="call", object_id=call.pk)
    return call


def remove(workspace: Workspace, actor: str) -> bool:
    """Take the call and its lead away; False if there is none. Nothing else can be deleted through this."""
    with transaction.atomic():
        calls = Call.objects.select_for_update().filter(workspace=workspace, variables__has_key=MARK)
        people = [call.lead_id for call in calls if call.lead_id]
        if not calls:
            return False
        calls.delete()
        Lead.objects.filter(workspace=workspace, pk__in=people, source=MARK).delete()
        audit.record(workspace.pk, actor, "demo.removed", object_type="workspace", object_id=workspace.pk)
    return True


def _turns(call: Call) -> list[Turn]:
    return [
        Turn(
            workspace_id=call.workspace_id,
            call=call,
            item_id=f"item_{at}",
            previous_item_id=f"item_{at - 1}" if at else "",
            position=at,
            speaker=speaker,
            text=text,
            heard_text=heard or text,
            interrupted=bool(heard),
            start_ms=at * _LINE_MS,
            end_ms=(at + 1) * _LINE_MS - 700,
            status=TurnStatus.COMPLETED,
        )
        for at, (speaker, text, heard) in enumerate(_LINES)
    ]


def _criterion(turns: list[Turn], name: str, quote: str, at: int) -> dict[str, Any]:
    turn = turns[at]
    start = turn.text.index(quote)
    found = {"quote": quote, "item_id": turn.item_id, "start": start, "end": start + len(quote)}
    return {"name": name, "met": True, "evidence": found}
