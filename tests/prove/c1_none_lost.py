"""C1: nothing is lost on the way to receivers that fail in every way, while workers are killed.

Half of the answers are 5xx; a tenth of the requests hang, a tenth are reset, one in twenty drips, some
redirect, and on the encrypted lanes some connections show a certificate that nobody signed. Half of what
hangs, drips or is reset was taken all the same: those are lost answers, each of which may cost a repetition.
What is given up after the whole schedule, and what was missed by a lane while it was disabled, is asked for
again (replays of kind `failed` and `missing`) until nothing is left.
"""

import contextlib
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.prove import certificates
from tests.prove.dial_rig import main
from tests.prove.faulty_receiver import ANSWERED, Act, FaultyReceiver, Seen, Way
from tests.prove.webhook_rig import CONCURRENCY, Workers, record, secrets_of, subscribe, workspace, world

TIMEOUT_S = 2
STUCK_S = 240.0


def prove(full: bool) -> dict[str, Any]:
    events, lanes, kills = (10_000, 60, 30) if full else (120, 48, 2)
    # The schedule's 83 hours pass in a minute and a half, or in ten seconds.
    scale = 3_000.0 if full else 30_000.0
    folder = Path(tempfile.mkdtemp(prefix="tenex-prove-"))
    draw = random.Random()
    trusted = {"SSL_CERT_FILE": str(certificates.make(folder))}
    receiver = FaultyReceiver(
        lambda path: _act(path, draw),
        tls=lambda: certificates.server_context(folder, wrong_share=0.05, draw=draw),
    )
    with world(time_scale=scale, environment=trusted) as workers:
        workers.start(2)
        began_s = time.monotonic()
        spaces = [_lane(receiver, f"/lane-{n}", tls=n % 4 == 0) for n in range(lanes)]
        expected = [record(spaces[n % lanes], n=n)[0] for n in range(events)]
        replays = _drive(workers, events, kills, draw)
        seconds = time.monotonic() - began_s
        workers.stop()
        # A kill takes a worker with its sending processes: each may have been about to note a success.
        line = _judged(receiver, expected, workers.kills * CONCURRENCY)
        line["violations"] += (broken := workers.broken())
        line["broken_deliveries"] = broken
    receiver.close()
    return {**line, "replayed": replays, "lanes": lanes, "seconds_of_delivery": round(seconds, 1)}


def _act(path: str, draw: random.Random) -> Act:
    if path == "/elsewhere":
        return Act()
    dice, stored = draw.random(), draw.random() < 0.5
    if dice < 0.50:
        return Act(Way.STATUS, stored=False, status=draw.choice((500, 500, 503, 502, 504)))
    if dice < 0.60:
        return Act(Way.HANG, stored=stored, for_s=3 * TIMEOUT_S)
    if dice < 0.70:
        return Act(Way.RESET, stored=stored)
    if dice < 0.75:
        way = draw.choice((Way.DRIP_HEAD, Way.DRIP_BODY))
        return Act(way, stored=stored or way in ANSWERED, for_s=3 * TIMEOUT_S)
    if dice < 0.78:
        return Act(
            Way.REDIRECT,
            stored=False,
            status=draw.choice((301, 302, 307)),
            headers={"location": "/elsewhere"},
        )
    return Act()


def _lane(receiver: FaultyReceiver, path: str, *, tls: bool) -> Any:
    space = workspace()
    lane = subscribe(space, receiver.url(path, tls=tls), timeout_s=TIMEOUT_S, events=["lead.updated"])
    receiver.secrets[path] = secrets_of(lane)
    return space


def _drive(workers: Workers, events: int, kills: int, draw: random.Random) -> int:
    """Until everything is delivered: kill workers on the way, ask again for what was given up."""
    from django.db import connection

    from tenex.webhooks.models import Delivery

    asked, last, moved_s = 0, -1, time.monotonic()
    next_kill_s = time.monotonic() + draw.uniform(1, 4)
    while time.monotonic() - moved_s < STUCK_S:
        states = Counter(Delivery.objects.values_list("status", flat=True).iterator())
        connection.close()
        if states["succeeded"] != last:
            last, moved_s = states["succeeded"], time.monotonic()
        if states["succeeded"] == events and workers.kills >= kills:
            break
        _enable_again()
        if not states["pending"] and states["succeeded"] < events:
            asked += _ask_again()
        # Few are left at the end, and waits are long: then a kill hits nobody.
        if workers.kills < kills and time.monotonic() >= next_kill_s:
            workers.kill(draw.randrange(2))
            next_kill_s = time.monotonic() + draw.uniform(2, 8)
        time.sleep(0.5)
    return asked


def _enable_again() -> None:
    """Five days without a success are seconds here, so some lanes are disabled: their owner enables them."""
    from tenex.webhooks.models import WebhookSubscription
    from tenex.webhooks.services import subscriptions

    for lane in WebhookSubscription.objects.filter(status="disabled"):
        subscriptions.update(lane, {"status": "active"}, "system:prove")


def _ask_again() -> int:
    """What an owner does after an outage: ask for what was given up, and for what was missed meanwhile."""
    from datetime import timedelta

    from django.utils import timezone

    from tenex.errors import Conflict
    from tenex.webhooks.models import WebhookSubscription
    from tenex.webhooks.services import replays

    since = timezone.now() - timedelta(hours=2)
    asked = 0
    for lane in WebhookSubscription.objects.filter(status="active"):
        for kind in ("failed", "missing"):
            with contextlib.suppress(Conflict):  # the one before is being prepared, or it was disabled again
                asked += replays.create(lane, kind=kind, since=since, until=None, actor="system:prove").total
    return asked


def _judged(receiver: FaultyReceiver, expected: list[str], kills: int) -> dict[str, Any]:
    everything = list(receiver.seen)
    seen = [one for one in everything if one.path != "/elsewhere"]
    stored = Counter(one.id for one in seen if one.act.stored)
    lost_answers = sum(one.act.stored and not _was_answered(one) for one in seen)
    in_transit = _lost_in_transit(seen)
    duplicates = sum(stored.values()) - len(stored)
    bodies: dict[str, set[bytes]] = {}
    for one in seen:
        bodies.setdefault(one.id, set()).add(one.digest)
    broken = Counter(
        lost=len(set(expected) - set(stored)),
        of_nobody=len(set(bodies) - set(expected)),
        unverified=sum(not one.verified for one in seen),
        other_body=sum(len(found) > 1 for found in bodies.values()),
        redirects_followed=len(everything) - len(seen),
        too_many_duplicates=max(0, duplicates - lost_answers - in_transit - kills),
    )
    return {
        "trials": len(expected),
        "violations": sum(broken.values()),
        **+broken,
        "requests": len(seen),
        "ways": {way.name.lower(): count for way, count in Counter(one.act.way for one in seen).items()},
        "duplicates": duplicates,
        "lost_answers": lost_answers,
        "lost_in_transit": in_transit,
        "killed_processes": kills,
    }


def _was_answered(one: Seen) -> bool:
    return one.act.way in ANSWERED and not one.late


def _lost_in_transit(seen: list[Seen]) -> int:
    """Answers that the receiver gave and the sender, by its log, did not get: its time was up on the way.

    For each event no more than answers that are missing in the log, so nothing of a kill is counted here:
    a killed worker has logged nothing.
    """
    from tenex.webhooks.models import DeliveryAttempt

    given = Counter(one.id for one in seen if _was_answered(one))
    silent = Counter(
        one.id for one in seen if not _was_answered(one) and one.act.way not in (Way.STATUS, Way.REDIRECT)
    )
    tries = DeliveryAttempt.objects.values_list("delivery__event_id", "status_code", "error")
    got: Counter[str] = Counter()
    nothing: Counter[str] = Counter()
    for event_id, status, error in tries.iterator():
        got[event_id] += status is not None and 200 <= status < 300
        nothing[event_id] += status is None and error != "TLS failed"
    return sum(
        min(given[one] - got[one], max(0, nothing[one] - silent[one]))
        for one in given
        if given[one] > got[one]
    )


if __name__ == "__main__":
    main("C1", prove)
