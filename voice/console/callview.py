"""One live call as its page shows it: the whole transcript, what was done, and its card."""

import uuid
from typing import Any

import orjson

from tenex.rest.off_loop import off_loop
from tenex.workspaces.models import Workspace
from voice.console.cards import Card
from voice.selectors import calls as read_calls
from voice.selectors import journal
from voice.selectors import live as read


def must_exist(workspace: Workspace, call_id: uuid.UUID) -> None:
    """
    Raises:
        NotFound: no such call in this workspace.
    """
    read_calls.bare(workspace, call_id)


@off_loop
def snapshot(workspace: Workspace, call_id: uuid.UUID) -> str:
    """The call as of one line of its journal: what its page gets first."""
    call = read_calls.bare(workspace, call_id)
    told = journal.snapshot(call_id)
    if told is None:
        return orjson.dumps({"type": "snapshot", "calls": []}).decode()
    seq = told["seq"]
    known = {call_id: seq}
    lines = read.first_lines(workspace.pk, known).get(call_id, [])
    card = Card(read.calls(workspace.pk, known).get(), lines, seq)
    done: list[dict[str, Any]] = [
        {"seq": line.seq, "type": line.type, "at_ms": line.at_ms, "data": line.data}
        for line in read.story(call)
        if line.seq <= seq
    ]
    message = {
        "type": "snapshot",
        "calls": [card.whole()],
        "seq": seq,
        "turns": told["data"]["turns"],
        "words": told["data"]["words"],
        "lines": done,
    }
    return orjson.dumps(message, default=str).decode()
