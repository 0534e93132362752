"""Messages to the process that has a live call, over the channel layer (at most once by contract).

Whatever must not be lost is a row first (`answered_by`, `end_hint`); this only makes it immediate.
"""

import uuid
from typing import Any, Literal

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from tenex.errors import Unavailable

CommandName = Literal["say", "whisper", "hangup", "transfer", "answered_by", "ended", "wrap_up"]


def group(call_id: uuid.UUID | str) -> str:
    """Channel-layer group of the one consumer that has the call's media."""
    return f"call.{call_id}"


def send(call_id: uuid.UUID | str, command: CommandName, **data: Any) -> None:
    """Hand a command to the live session, wherever it runs. Nobody may be there.

    Raises:
        Unavailable: the channel layer cannot be reached.
    """
    message = {"type": "call.command", "command": command, "data": data}
    try:
        async_to_sync(get_channel_layer().group_send)(group(call_id), message)
    except (OSError, RedisError) as exc:
        raise Unavailable("the live call cannot be reached right now; try again") from exc
