"""C5: after a long outage one command brings back all that was given up; a disabled receiver is refused.

A tenth of the failed deliveries are left out of the asked-for span: they must not come. Meanwhile new events
arrive, and a worker is killed in the middle.
"""

import time
from datetime import timedelta
from typing import Any

from tests.prove.dial_rig import main
from tests.prove.faulty_receiver import Act, FaultyReceiver
from tests.prove.webhook_rig import record, secrets_of, subscribe, workspace, world

STUCK_S = 60.0


def prove(full: bool) -> dict[str, Any]:
    failed = 5_000 if full else 300
    receiver = FaultyReceiver(lambda _: Act())
    with world() as workers:
        space = workspace()
        lane = subscribe(space, receiver.url("/hook"))
        receiver.secrets["/hook"] = secrets_of(lane)
        old, wanted = _outage(space, lane, failed)
        workers.start(2)
        broken = _refused_while_disabled(lane)
        replay, took_s, fresh = _one_command(workers, receiver, space, lane, wanted)
        seen = {one.id for one in receiver.seen}
        broken |= {
            "missing": len(wanted - seen),
            "not_asked_for": len(old & seen),
            "new_events_missing": len(fresh - seen),
            "unverified": sum(not one.verified for one in receiver.seen),
            "progress_wrong": int(_progress(replay) != (0, len(wanted), 0)),
        }
    receiver.close()
    return {
        "trials": len(wanted),
        "violations": sum(broken.values()),
        **{name: count for name, count in broken.items() if count},
        "seconds_of_delivery": round(took_s, 1),
        "kills": workers.kills,
    }


def _outage(space: Any, lane: Any, failed: int) -> tuple[set[str], set[str]]:
    """What is left of one: deliveries that were given up, a tenth of them three hours ago."""
    from django.utils import timezone

    from tenex.webhooks.models import Delivery
    from tenex.webhooks.services import relay

    ids = [record(space, n=n)[0] for n in range(failed + failed // 10)]
    while relay.relay():
        pass
    Delivery.objects.update(status="failed", next_at=None, attempts=16)
    old = set(ids[: failed // 10])
    long_ago = timezone.now() - timedelta(hours=3)
    Delivery.objects.filter(event_id__in=old).update(created_at=long_ago)
    return old, set(ids) - old


def _refused_while_disabled(lane: Any) -> dict[str, int]:
    from django.utils import timezone

    from tenex.errors import Conflict
    from tenex.webhooks.services import replays, subscriptions

    subscriptions.disable(lane, "the receiver answered 410 Gone")
    lane.refresh_from_db()
    accepted = 0
    for kind in ("failed", "missing", "all"):
        try:
            replays.create(
                lane, kind=kind, since=timezone.now() - timedelta(hours=2), until=None, actor="system:prove"
            )
            accepted += 1
        except Conflict:
            continue
    subscriptions.update(lane, {"status": "active"}, "system:prove")
    return {"accepted_while_disabled": accepted}


def _one_command(
    workers: Any, receiver: FaultyReceiver, space: Any, lane: Any, wanted: set[str]
) -> tuple[Any, float, set[str]]:
    from django.utils import timezone

    from tenex.webhooks.services import replays

    began_s = moved_s = time.monotonic()
    replay = replays.create(
        lane, kind="failed", since=timezone.now() - timedelta(hours=2), until=None, actor="system:prove"
    )
    fresh: set[str] = set()
    last = -1
    while time.monotonic() - moved_s < STUCK_S and _progress(replay)[1] < len(wanted):
        if len(receiver.seen) != last:
            last, moved_s = len(receiver.seen), time.monotonic()
        if not workers.kills and len(receiver.seen) > len(wanted) / 3:
            workers.kill(1)
        fresh.add(record(space, fresh=True)[0])
        time.sleep(0.2)
    took_s = time.monotonic() - began_s
    until_s = time.monotonic() + 15
    while time.monotonic() < until_s and not fresh <= {one.id for one in receiver.seen}:
        time.sleep(0.2)
    return replay, took_s, fresh


def _progress(replay: Any) -> tuple[int, int, int]:
    from tenex.webhooks import selectors

    row: Any = selectors.replay(replay.workspace, replay.subscription_id, replay.pk)
    return row.pending, row.succeeded, row.failed


if __name__ == "__main__":
    main("C5", prove)
