"""All tools by name: what the model is told about each, its arguments, its code."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from voice.tools import calendar, call_control, knowledge, lead
from voice.tools.arguments import Arguments, NoArguments, schema
from voice.tools.scope import Answer, Effect, Scope


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    description: str
    arguments: type[Arguments]
    run: Callable[[Scope, Any], Answer]
    ahead: Callable[[Scope, Any], Any] | None = None
    """What has to wait for somebody else: run before the transaction, which finds it in `found_ahead`."""
    given_up: Callable[[uuid.UUID], str] | None = None
    """Of a run that took too long: what the agent is to say, if that is not that nothing was done."""
    effect: Effect = "none"
    """What a success asks of the call."""
    always: bool = False
    """Every agent has it, and no budget takes it away: the ways out of a call."""
    failed: str = "This did not work. Go on without it."
    """What the model is told when a run breaks on our side."""
    late: str = "This took too long and was not done. Go on without it."
    after_end: bool = False
    """May still run when the caller has hung up meanwhile."""

    @property
    def definition(self) -> dict[str, Any]:
        """As the Realtime API takes it: flat, no nested `function`, no `strict` (openai_realtime.md 9)."""
        return {
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": schema(self.arguments),
        }


_ALL = (
    Tool(
        "lookup_lead",
        "Look up what is known about the person on the line: name, company, earlier calls, notes.",
        NoArguments,
        lead.lookup_lead,
    ),
    Tool(
        "update_lead",
        "Write down what the caller told about themselves (name, job title, company, e-mail, time zone) or a "
        "note. Use it as soon as they say it; never write what they did not say.",
        lead.UpdateLead,
        lead.update_lead,
    ),
    Tool(
        "search_knowledge",
        "Search the company's documents. Use it before you answer a question about the product, prices, "
        "security or terms. Answer only from what it returns.",
        knowledge.SearchKnowledge,
        knowledge.search_knowledge,
        failed=knowledge.UNAVAILABLE,
        late=knowledge.UNAVAILABLE,
    ),
    Tool(
        "list_free_slots",
        "List free times for a meeting. Offer two or three of them, in the words of `spoken`.",
        calendar.ListFreeSlots,
        calendar.list_free_slots,
        ahead=calendar.ahead_of_slots,
    ),
    Tool(
        "book_meeting",
        "Book a time that the caller has agreed to. Say so only if the answer has booked: true.",
        calendar.BookMeeting,
        calendar.book_meeting,
        ahead=calendar.ahead_of_booking,
        given_up=calendar.booking_given_up,
    ),
    Tool(
        "reschedule_meeting",
        "Move a meeting that the caller has to a time from list_free_slots. Say so only if the answer has "
        "moved: true.",
        calendar.RescheduleMeeting,
        calendar.reschedule_meeting,
        ahead=calendar.ahead_of_moving,
        given_up=calendar.moving_given_up,
    ),
    Tool(
        "cancel_meeting",
        "Cancel a meeting that the caller has. Ask them to confirm first.",
        calendar.CancelMeeting,
        calendar.cancel_meeting,
    ),
    Tool(
        "note_preferred_time",
        "Only when the calendar cannot be seen: note the time that the caller would like. It books nothing.",
        calendar.NotePreferredTime,
        calendar.note_preferred_time,
    ),
    Tool(
        "transfer_to_human",
        "Connect the caller to a person, if they ask for one or if you cannot help.",
        call_control.TransferToHuman,
        call_control.transfer_to_human,
        effect="transfer",
    ),
    Tool(
        "note_opt_out",
        "The caller does not want to be called again, in whatever words. Call this before you answer.",
        lead.OptOut,
        lead.note_opt_out,
        effect="opt_out",
        always=True,
        after_end=True,
    ),
    Tool(
        "stop_recording",
        "The caller does not want to be recorded. Ends the recording and the transcript; the call goes on.",
        NoArguments,
        call_control.stop_recording,
        effect="off_record",
        always=True,
    ),
    Tool(
        "schedule_callback",
        "The caller wants to be called back at a time. Repeat the time in the words of `spoken`.",
        lead.ScheduleCallback,
        lead.schedule_callback,
    ),
    Tool(
        "end_call",
        "Hang up. Use it when the conversation is over and nothing of the caller's is open.",
        call_control.EndCall,
        call_control.end_call,
        effect="end_call",
        always=True,
    ),
)
TOOLS: dict[str, Tool] = {tool.name: tool for tool in _ALL}
NAMES = tuple(TOOLS)
"""What an agent's `tools` may list."""
