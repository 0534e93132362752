"""The meeting that a call was to bring: settled before it is judged what was said about it, if it can be."""

import uuid
from typing import Any

from crm.services import meeting_sync, slot_holds
from tenex.errors import Unavailable


class Unsettled(Unavailable):
    """The calendar has not confirmed it yet."""

    code = "meeting_unsettled"


def settle(call_id: uuid.UUID, *, last_try: bool) -> dict[str, Any]:
    """Give back what the call was offered, and try once more to book what it asked for.

    Raises:
        Unsettled: not yet. Never on the last try: the verdict then says what is so, and the sweep goes on.
    """
    released = slot_holds.release(call_id)
    settled = meeting_sync.of_call(call_id)
    if not settled and not last_try:
        raise Unsettled("the calendar has not confirmed the meeting yet")
    return {"settled": settled, "slots_released": released}
