"""E3: a hundred callers race for ten slots of a calendar on a CalDAV server, and ten are booked.

The server is a real one (Radicale). A proxy before it answers late, loses answers after the work was done,
refuses with 412 what it never asked, says 412 or 503 to what was done. The callers' processes, in which their
tools run, are killed all the time, also right between the server's answer and our commit, and so are the
workers that settle what they left behind. In the end the server has ten events, one in each slot, and they
are those of our ten booked meetings; each was announced once; nobody was told "booked" of another.

    python -m tests.prove.e3_ten_slots [--full]
"""

import ctypes
import json
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tests.prove import dial_rig
from tests.rig import radicale
from tests.rig.fault_proxy import Fault, in_front_of
from tests.rig.radicale import Radicale

SLOTS: Final = 10
CALLERS: Final = 100
CALL_PROCESSES: Final = 5
SWEEPERS: Final = 2
TIMEOUT_S: Final = 1.5
"""CALENDAR_TIMEOUT_S: leases are three times as long."""
ROUND_S: Final = 150.0
POINTS: Final = ("", "meeting.placed:kill@1", "calendar.written:kill@1", "", "meeting.booked:kill@1", "")
"""Where a caller's process dies by itself; the others are killed by the clock."""
FAULTS: Final = {
    "PUT": (
        (0.18, Fault("lost")),
        (0.10, Fault("dropped")),
        (0.08, Fault("lied", status=412)),
        (0.08, Fault("status", status=412)),
        (0.06, Fault("lied", status=503)),
        (0.08, Fault("late_answer", seconds=0.4)),
        (0.05, Fault("late_answer", seconds=2.0)),
    ),
    "REPORT": (
        (0.04, Fault("lost")),
        (0.04, Fault("status", status=500)),
        (0.05, Fault("late", seconds=0.3)),
    ),
    "GET": ((0.06, Fault("lost")),),
    "DELETE": ((0.10, Fault("lost")), (0.10, Fault("status", status=412))),
}


@dataclass(frozen=True)
class Shared:
    """What outlives a killed process: memory that all of them have."""

    done: Any
    """A byte a caller."""
    told: Any
    """A byte a caller: 1 if an answer of the tool said that it is booked."""
    go: Any
    """Whether everybody has heard what is free and may book."""
    heard: Any
    """A byte a caller: has been offered something."""


def main() -> None:
    dial_rig.main("E3", prove)


def prove(full: bool) -> dict[str, Any]:
    """One line of figures; `violations` counts every way in which the promise could be broken."""
    os.environ.update(
        {
            "DEBUG": "1",
            "LOG_LEVEL": "ERROR",
            "TENEX_TIME_SCALE": "10",
            "CALENDAR_TIMEOUT_S": str(TIMEOUT_S),
            "CELERY_BROKER_URL": "memory://",
            "DATABASE_POOL_SIZE": "0",
            "DJANGO_SETTINGS_MODULE": "tenex.settings",
        }
    )
    from tenex.engines.bootstrap import ensure_environment

    ensure_environment(throwaway=True)
    rounds, kills, broken, faults = (8 if full else 1), 0, Counter[str](), Counter[str]()
    with dial_rig.database(), radicale.running() as server:
        for number in range(rounds):
            found = _Round(server, seed=number).run()
            kills += found.kills
            broken += found.broken
            faults += found.faults
    return {
        "trials": rounds * CALLERS,
        "violations": sum(broken.values()),
        "broken": dict(broken),
        "booked": rounds * SLOTS - broken["rows_booked"],
        "kills": kills,
        "faults": {kind: count for kind, count in faults.items() if kind != "pass"},
    }


class _Round:
    """A hundred callers, ten slots."""

    def __init__(self, server: Radicale, *, seed: int) -> None:
        self.kills = 0
        self.broken: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self._server, self._draw = server, random.Random(seed)
        self._folder = f"round-{seed}"
        self._shared = Shared(
            *(
                multiprocessing.Array(ctypes.c_byte, size, lock=False)
                for size in (CALLERS, CALLERS, 1, CALLERS)
            )
        )

    def run(self) -> "_Round":
        from django.db import connections

        self._server.calendar(self._folder)
        connections.close_all()
        with _faults(self._server.port, seed=self._draw.random()) as (url, counts):
            calls = self._seed(url)
            connections.close_all()
            self._work(calls)
            self.faults += counts()
            self._judge(calls)
        return self

    def _seed(self, url: str) -> list[uuid.UUID]:
        """The calendar with its ten slots, and the calls."""
        from crm.services import connectors
        from tests import rows
        from voice.models import Call, PhoneNumber

        space = rows.workspace(f"e3-{uuid.uuid4().hex[:8]}")
        # One slot a day, at an hour that is far from now: ten of them lie within ten days.
        hour = (datetime.now(UTC).hour + 12) % 24
        hours = {str(day): [[f"{hour:02}:00", f"{hour:02}:30"]] for day in range(1, 8)}
        calendar = connectors.create(
            space,
            {
                "name": "Theirs", "time_zone": "UTC", "hours": hours, "notice_minutes": 0,
                "horizon_days": SLOTS, "is_default": True,
                "url": url, "user_name": radicale.USER, "password": radicale.PASSWORD,
            },
            kind="caldav",
            actor="prove",
        )  # fmt: skip
        address = f"{url}{radicale.USER}/{self._folder}/"
        self._calendar = connectors.update(calendar, {"address": address}, actor="prove")
        agent = rows.version(space)
        number = PhoneNumber.objects.create(workspace=space, e164=f"+1415{self._draw.randrange(10**7):07}")
        made: list[Call] = []
        for index in range(CALLERS):
            lead = rows.lead(space, phone=f"+1415555{index:04}", time_zone="UTC")
            made.append(rows.call(space, agent=agent, number=number, lead=lead))
        return [call.pk for call in made]

    def _work(self, calls: list[uuid.UUID]) -> None:
        """Let them at it and kill, until all is settled."""
        points = iter(POINTS * 1000)
        callers = [self._fork(_answer_calls, calls[n::CALL_PROCESSES], n, "") for n in range(CALL_PROCESSES)]
        sweepers = [self._fork(_sweep, [], 0, "") for _ in range(SWEEPERS)]
        deadline = time.monotonic() + ROUND_S
        while sum(self._shared.heard) < CALLERS and time.monotonic() < deadline:
            time.sleep(0.05)
        self._shared.go[0] = 1
        next_kill = time.monotonic() + 0.3
        while time.monotonic() < deadline and not self._is_over():
            time.sleep(0.05)
            for n, pid in enumerate(callers):
                if _is_dead(pid):
                    self.kills += 1
                    callers[n] = self._fork(_answer_calls, calls[n::CALL_PROCESSES], n, next(points))
            for n, pid in enumerate(sweepers):
                if _is_dead(pid):
                    self.kills += 1
                    sweepers[n] = self._fork(_sweep, [], 0, "")
            if time.monotonic() > next_kill:
                victim = self._draw.choice([*callers, *sweepers])
                os.kill(victim, signal.SIGKILL)
                next_kill = time.monotonic() + self._draw.uniform(0.8, 2.0)
        for pid in [*callers, *sweepers]:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def _fork(self, work: Any, calls: list[uuid.UUID], number: int, point: str) -> int:
        from django.db import connections

        connections.close_all()
        sys.stdout.flush()
        pid = os.fork()
        if pid:
            return pid
        try:
            from tenex.lib import failpoint

            failpoint.arm(point)
            work(self._shared, calls, number)
        finally:
            os._exit(1)

    def _is_over(self) -> bool:
        """Every caller has an answer, and nothing is due any more."""
        from django.db import connections

        from crm.models import Meeting

        if sum(self._shared.done) < CALLERS:
            return False
        open_ones = Meeting.objects.filter(calendar=self._calendar).exclude(sync_at=None).exists()
        connections.close_all()
        return not open_ones

    def _judge(self, calls: list[uuid.UUID]) -> None:
        from crm.models import Meeting
        from tenex.events.models import Event

        meetings = list(Meeting.objects.filter(calendar=self._calendar))
        booked = [one for one in meetings if one.status == "booked"]
        stand = {
            (str(one["UID"]), one["DTSTART"].dt, one["DTEND"].dt) for one in self._server.events(self._folder)
        }
        count = self.broken
        count["callers_without_answer"] += CALLERS - sum(self._shared.done)
        count["unsettled"] += sum(
            one.status in ("requested", "booking") or one.sync_at is not None for one in meetings
        )
        count["rows_booked"] += abs(len(booked) - SLOTS)
        count["rows_double"] += len(booked) - len({one.starts_at for one in booked})
        count["events"] += abs(len(self._server.events(self._folder)) - SLOTS)
        count["events_double"] += len(stand) - len({starts_at for _, starts_at, _ in stand})
        count["not_the_same"] += len(stand ^ {(one.uid, one.starts_at, one.ends_at) for one in booked})
        told = Counter(
            Event.objects.filter(workspace_id=self._calendar.workspace_id, type="meeting.booked").values_list(
                "call_id", flat=True
            )
        )
        count["announced_not_once"] += sum(told[one.call_id] != 1 for one in booked)
        count["announced_wrongly"] += sum(call_id not in {one.call_id for one in booked} for call_id in told)
        holders = {one.call_id for one in booked}
        said = {calls[index] for index in range(CALLERS) if self._shared.told[index]}
        count["told_booked_and_is_not"] += len(said - holders)
        self.broken = +count
        if self.broken:
            states = Counter((one.status, one.failure, one.sync_at is not None) for one in meetings)
            print(json.dumps({"states": {str(key): value for key, value in states.items()}}), file=sys.stderr)


@contextmanager
def _faults(port: int, *, seed: float) -> Iterator[tuple[str, Callable[[], Counter[str]]]]:
    """The proxy, in a process of its own: its threads and the forks of the others do not mix."""
    here, there = multiprocessing.Pipe()
    child = os.fork()
    if child == 0:
        try:
            _serve_faults(port, random.Random(seed), there)
        finally:
            os._exit(1)

    def counts() -> Counter[str]:
        here.send("counts")
        found: Counter[str] = here.recv()
        return found

    try:
        yield str(here.recv()), counts
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _serve_faults(port: int, draw: random.Random, pipe: Any) -> None:
    def choose(method: str, path: str) -> Fault:
        chance = draw.random()
        for share, fault in FAULTS.get(method, ()):
            chance -= share
            if chance < 0:
                return fault
        return Fault()

    with in_front_of(port, choose) as proxy:
        pipe.send(proxy.url)
        while pipe.recv():
            pipe.send(proxy.counts)


# --- in the forked processes -----------------------------------------------------------------------


def _answer_calls(shared: Shared, calls: list[uuid.UUID], number: int) -> None:
    """The calls of one media process, each in a thread; those that are through already are left alone."""
    threads = [
        threading.Thread(target=_caller, args=(shared, index * CALL_PROCESSES + number, call_id))
        for index, call_id in enumerate(calls)
        if not shared.done[index * CALL_PROCESSES + number]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while True:  # until it is killed
        time.sleep(1)


def _caller(shared: Shared, index: int, call_id: uuid.UUID) -> None:
    """Hears what is free, takes one, takes another one if that is gone, until nothing is left."""
    from django.db import connection

    draw = random.Random()
    for _ in range(25):
        slots = _tool(call_id, "list_free_slots", days=14).get("slots")
        connection.close()
        shared.heard[index] = 1
        while not shared.go[0]:
            time.sleep(0.02)
        if slots is None:  # the calendar could not be seen
            time.sleep(draw.uniform(0.1, 0.4))
            continue
        if not slots:
            break
        draw.shuffle(slots)
        for slot in slots[:4]:
            answer = _tool(call_id, "book_meeting", slot_id=slot["slot_id"])
            connection.close()
            shared.told[index] |= answer.get("booked") is True
            code = answer.get("error", {}).get("code", "")
            if not code or code == "already_booked":  # booked, or on its way
                shared.done[index] = 1
                return
    shared.done[index] = 1


def _tool(call_id: uuid.UUID, name: str, **arguments: Any) -> dict[str, Any]:
    from voice.models import ToolCall
    from voice.tools import registry

    ToolCall.objects.filter(call_id=call_id).exclude(name=name).delete()  # no budget: this caller is stubborn
    result = registry.run(call_id, uuid.uuid4().hex, name, json.dumps(arguments))
    answer: dict[str, Any] = json.loads(result.output_json)
    return answer


def _sweep(shared: Shared, calls: list[uuid.UUID], number: int) -> None:
    """A worker: what its tasks do, in a loop."""
    from django.db import connection

    from crm.services import meeting_sync

    while True:
        for meeting_id in meeting_sync.due():
            meeting_sync.settle(meeting_id, late=True)
        connection.close()
        time.sleep(0.1)


def _is_dead(pid: int) -> bool:
    return os.waitpid(pid, os.WNOHANG)[0] != 0


if __name__ == "__main__":
    main()
