"""How dialing stands, in words: for whoever has to decide whether to stop it."""

from django.conf import settings

from voice.models import Batch, BatchStatus, Call, CallStatus, CarrierAccount
from voice.services import capacity, pacing, switches


def lines() -> list[str]:
    """One line each: the switch, the carrier, the slots, what waits."""
    room = capacity.room()
    found = [_switch()]
    account = CarrierAccount.objects.filter(pk=pacing.account_sid()).first()
    troubled = account is not None and account.strikes >= pacing.TROUBLE
    found.append(
        f"carrier: {settings.CARRIER_CALLS_PER_SECOND:g} starts a second, {room.at_carrier} calls"
        + (f" of {settings.CARRIER_MAX_CALLS}" if settings.CARRIER_MAX_CALLS else "")
        + (", in trouble: one request at a time" if troubled else "")
    )
    model = f", {room.model} of the model" if room.model is not None else ""
    found.append(f"slots: {room.in_use} in use of {room.media} for media{model}")
    lack = room.lack()
    if lack is not None:
        found.append(
            f"nobody is dialed: no {lack} free" if room.media else "nobody is dialed: no media process"
        )
    running = Batch.objects.filter(status=BatchStatus.RUNNING).count()
    queued = Call.objects.filter(status=CallStatus.QUEUED).count()
    found.append(f"batches running: {running}; calls queued: {queued}")
    return found


def _switch() -> str:
    switch = switches.state()
    if switch.stopped_at is None:
        return "calling is allowed"
    why = f": {switch.reason}" if switch.reason else ""
    return f"calling is STOPPED since {switch.stopped_at:%Y-%m-%d %H:%M:%S} UTC by {switch.stopped_by}{why}"
