"""The conversation: an ordered list of items, as the server keeps it (openai_realtime.md 6)."""

import secrets
from dataclasses import dataclass, field
from typing import cast

from voice.rehearsal.model.shapes import Json, Refusal


def new_id(prefix: str) -> str:
    """`item_…`, `resp_…`, `event_…`: prefix and 24 random hex digits."""
    return f"{prefix}_{secrets.token_hex(12)}"


def text_tokens(text: str) -> int:
    """About four characters a token."""
    return (len(text) + 3) // 4


@dataclass(slots=True)
class Item:
    """One item with what the server knows beside the wire object: how much audio it holds."""

    wire: dict[str, Json]
    audio_ms: float = 0.0
    """Milliseconds of audio: of the caller's (user) or produced so far (assistant)."""
    audio_tokens: int = 0
    text_tokens: int = 0

    @property
    def id(self) -> str:
        return cast(str, self.wire["id"])

    @property
    def kind(self) -> str:
        return cast(str, self.wire["type"])

    @property
    def content(self) -> list[dict[str, Json]]:
        return cast("list[dict[str, Json]]", self.wire.get("content", []))


def count_text(wire: dict[str, Json]) -> int:
    """Text tokens of an item as it stands on the wire (transcripts of audio are not counted: audio is)."""
    total = 0
    for part in cast("list[dict[str, Json]]", wire.get("content", [])):
        total += text_tokens(cast(str, part.get("text") or ""))
    for name in ("output", "arguments", "name"):
        total += text_tokens(cast(str, wire.get(name) or ""))
    return total


@dataclass(slots=True)
class Conversation:
    id: str = field(default_factory=lambda: new_id("conv"))
    items: list[Item] = field(default_factory=list)

    def find(self, item_id: str) -> Item | None:
        return next((item for item in self.items if item.id == item_id), None)

    def last_id(self) -> str | None:
        return self.items[-1].id if self.items else None

    def add(self, item: Item, *, after: str | None = None) -> str | None:
        """Insert at the end, after the item `after`, or at the start (`"root"`). Returns the id before it.

        Raises:
            Refusal: no such item, or the id is taken.
        """
        if self.find(item.id) is not None:
            raise Refusal(
                f"Error adding item: an item with id '{item.id}' already exists.",
                code="item_create_duplicate_item_id",
                param="item.id",
            )
        if after is None:
            previous = self.last_id()
            self.items.append(item)
            return previous
        if after == "root":
            self.items.insert(0, item)
            return None
        position = self._position(
            after, code="item_create_invalid_previous_item_id", verb="adding", param=None
        )
        self.items.insert(position + 1, item)
        return after

    def remove(self, item_id: str) -> None:
        """Raises: Refusal: no such item."""
        del self.items[
            self._position(item_id, code="item_delete_invalid_item_id", verb="deleting", param="item_id")
        ]

    def get(self, item_id: str) -> Item:
        """Raises: Refusal: no such item."""
        return self.items[
            self._position(item_id, code="item_retrieve_invalid_item_id", verb="retrieving", param="item_id")
        ]

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        """Forget assistant audio after `audio_end_ms`, and with it the item's whole transcript.

        Raises:
            Refusal: not an assistant item with audio, or the item is shorter than that.
        """
        item = self.items[
            self._position(item_id, code="item_truncate_invalid_item_id", verb="truncating", param="item_id")
        ]
        spoken = item.kind == "message" and item.wire.get("role") == "assistant"
        parts = item.content
        # An item that has just begun to stream has no part yet: it is spoken all the same.
        if not spoken or any(part["type"] != "output_audio" for part in parts):
            raise Refusal(
                "Only model output audio messages can be truncated",
                code="item_truncate_invalid_item_id",
                param="item_id",
            )
        if content_index >= max(1, len(parts)):
            raise Refusal(f"Content part at index {content_index} not found.", param="content_index")
        if audio_end_ms > item.audio_ms:
            raise Refusal(f"Audio content of {item.audio_ms:.0f}ms is already shorter than {audio_end_ms}ms")
        for part in parts:
            part.pop("transcript", None)
        item.audio_ms = float(audio_end_ms)
        item.audio_tokens = audio_end_ms // 50

    def require_call(self, call_id: str) -> None:
        """Raises: Refusal: no function call of that id is in the conversation."""
        if not any(
            item.kind == "function_call" and item.wire.get("call_id") == call_id for item in self.items
        ):
            raise Refusal(
                f"Tool call ID '{call_id}' not found in conversation.",
                code="invalid_tool_call_id",
                param="item.call_id",
            )

    def _position(self, item_id: str, *, code: str, verb: str, param: str | None) -> int:
        for index, item in enumerate(self.items):
            if item.id == item_id:
                return index
        raise Refusal(
            f"Error {verb} item: the item with id '{item_id}' does not exist.", code=code, param=param
        )
