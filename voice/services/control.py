"""Messages to the process that has a live call, over the channel layer (at most once by contract).

Whatever must not be lost is a row first (`answered_by`, `end_hint`); this only makes it immediate.

The other way come levels and sound, and only while somebody asks for them: a `watch` (to all calls of a
workspace) or `listen` (to one) is a lease of some seconds, and a process that hears of none measures nothing.
"""

import uuid
from typing import Any, Final, Literal

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from tenex.errors import Unavailable

CommandName = Literal[
    "say", "whisper", "hangup", "transfer", "answered_by", "ended", "wrap_up",
    "mute", "unmute", "take_over", "voice", "give_back", "type", "watch", "listen",
]  # fmt: skip

LEVELS: Final = "live.levels"
"""`levels`: call id -> how loud each side is, caller and agent, 0 to 100."""
SOUND: Final = "live.sound"
"""`caller` and `agent`: µ-law of the same stretch of time, equally long."""


def group(call_id: uuid.UUID | str) -> str:
    """Channel-layer group of the one consumer that has the call's media."""
    return f"call.{call_id}"


def calls_group(workspace_id: uuid.UUID | str) -> str:
    """Group of all consumers that have the media of a call of this workspace."""
    return f"calls.{workspace_id}"


def levels_group(workspace_id: uuid.UUID | str) -> str:
    """Group of those who watch this workspace's calls."""
    return f"levels.{workspace_id}"


def sound_group(call_id: uuid.UUID | str) -> str:
    """Group of those who listen to this call."""
    return f"sound.{call_id}"


def message(command: CommandName, **data: Any) -> dict[str, Any]:
    return {"type": "call.command", "command": command, "data": data}


def send(call_id: uuid.UUID | str, command: CommandName, **data: Any) -> None:
    """Hand a command to the live session, wherever it runs. Nobody may be there.

    Raises:
        Unavailable: the channel layer cannot be reached.
    """
    try:
        async_to_sync(get_channel_layer().group_send)(group(call_id), message(command, **data))
    except (OSError, RedisError) as exc:
        raise Unavailable("the live call cannot be reached right now; try again") from exc
