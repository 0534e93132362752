"""A card is what the lines of a call's journal add up to, told as changes."""

from typing import Any

import pytest

from tests import rows
from voice.console.cards import Card
from voice.selectors.live import Line

pytestmark = pytest.mark.django_db


@pytest.fixture
def card() -> Card:
    space = rows.workspace()
    return Card(rows.call(space, lead=rows.lead(space)), [], 0)


def told(card: Card, *lines: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """What pages are told of these lines together."""
    for type_, data in lines:
        card.apply(Line(card.seq + 1, type_, 1000 * card.seq, data))
    return card.take() or {}


def words(item: str, text: str, speaker: str = "agent") -> tuple[str, dict[str, Any]]:
    return "transcript.delta", {"item_id": item, "speaker": speaker, "text": text}


def test_only_what_changed_is_told(card: Card) -> None:
    assert told(card) == {}
    change = told(card, ("turn.latency", {"item_id": "a", "ms": 640}))
    assert change == {"id": card.shown["id"], "latency_ms": 640}
    assert told(card, ("turn.latency", {"item_id": "b", "ms": 640})) == {}


def test_a_call_moves_from_talking_to_tools_and_back_and_to_its_end(card: Card) -> None:
    started = {"tool_call_id": "t1", "name": "lookup_lead"}
    assert told(card, ("tool.started", started))["state"] == "tool"
    assert told(card, ("tool.started", {"tool_call_id": "t2", "name": "book"}))["tool"] == "lookup_lead, book"
    assert "state" not in told(card, ("tool.finished", {"tool_call_id": "t1"}))
    assert told(card, ("tool.finished", {"tool_call_id": "t2"}))["state"] == "talking"
    assert told(card, ("call.closing", {"kind": "hangup", "reason": "agent-hangup"}))["state"] == "wrapping"
    assert told(card, ("call.end_canceled", {}))["state"] == "talking"
    ended = told(card, ("call.ended", {"status": "ended", "end_reason": "caller-hangup"}))
    assert (ended["state"], ended["ending"]) == ("ended", "caller-hangup")


def test_an_operator_who_talks_is_named_until_the_call_is_given_back(card: Card) -> None:
    took = told(card, ("operator.took_over", {"by": "user:ava@example.com"}))
    assert (took["state"], took["talker"]) == ("operator", "user:ava@example.com")
    assert told(card, ("operator.muted", {"by": "x"}))["muted"] is True
    gave = told(card, ("operator.gave_back", {"by": "user:ava@example.com"}))
    assert (gave["state"], gave["talker"]) == ("talking", "")


def test_words_grow_and_the_whole_turn_replaces_them(card: Card) -> None:
    told(card, words("a", "Hello, "))
    assert told(card, words("a", "how are"))["turns"][0]["text"] == "Hello, how are"
    whole = {"item_id": "a", "speaker": "agent", "text": "Hello, how are you?", "heard_text": "Hello, how",
             "interrupted": True}  # fmt: skip
    (turn,) = told(card, ("turn.updated", whole))["turns"]
    assert (turn["text"], turn["cut"], turn["done"]) == ("Hello, how", True, True)
    assert told(card, words("a", " late"))["turns"][0]["text"] == "Hello, how"


def test_a_card_has_the_last_turns_and_their_ends_only(card: Card) -> None:
    change = told(card, *(words(f"item_{n}", "x" * 1000) for n in range(9)))
    assert [turn["item"] for turn in change["turns"]] == [f"item_{n}" for n in range(4, 9)]
    assert {len(turn["text"]) for turn in card.whole()["turns"]} == {400}
