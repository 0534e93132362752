"""On which clock a call's lines are told.

Turns count from the beginning of their media stream, tool calls from the answer. Here all of it is told from
one zero: the beginning of the call's first stream.
"""

from datetime import datetime, timedelta

from voice.models import Call, CallEvent, Recording


def zero(call: Call) -> datetime:
    """When the first stream began; without one, the answer, or the call's row."""
    first = _streams(call)[:1]
    return _at(call, first[0][1]) if first else call.answered_at or call.created_at


def guess_ms(recording: Recording) -> int:
    """Where the zero lies in the recording, by what the carrier said of its beginning (in whole seconds)."""
    if recording.started_at is None:
        return 0
    return round((zero(recording.call) - recording.started_at).total_seconds() * 1000)


def shifts(call: Call) -> dict[str, int]:
    """item id -> milliseconds that its stream began after the first one, for a call that was resumed."""
    if not call.resumes:
        return {}
    streams = _streams(call)
    if len(streams) < 2:
        return {}
    found: dict[str, int] = {}
    told = CallEvent.objects.filter(call=call, type="turn.updated").order_by("seq")
    for seq, item_id in told.values_list("seq", "data__item_id"):
        began = [at_ms for first, at_ms in streams if first < seq]
        if began:
            found.setdefault(str(item_id), began[-1] - streams[0][1])
    return found


def _streams(call: Call) -> list[tuple[int, int]]:
    """(number of the line, milliseconds since the call's row) of each stream's beginning."""
    lines = CallEvent.objects.filter(call=call, type="call.stream_started").order_by("seq")
    return list(lines.values_list("seq", "at_ms"))


def _at(call: Call, at_ms: int) -> datetime:
    return call.created_at + timedelta(milliseconds=at_ms)
