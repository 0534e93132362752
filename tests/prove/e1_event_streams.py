"""E1: readers of live transcripts that are cut off, and whose servers are killed, miss and repeat nothing.

Calls talk on one process; two others serve their event streams and are killed with SIGKILL in turn, while the
readers also hang up on their own at random instants and come back to either. Beside them, on the very process
that carries the calls, readers that read nothing: each must cost less than 1 MiB, be cut off, and find its
place again; the audio of the calls must not notice.
"""

import asyncio
import contextlib
import json
import os
import random
import socket
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson

from tenex.engines.process import free_port
from tests.prove.b4_hostile_frames import time_arrivals
from tests.prove.live_system import LiveSystem, main, percentile, run_live, until
from tests.rig.process import RealProcess, answers

if TYPE_CHECKING:
    from voice.models import Call

_MANAGE = str(Path(__file__).resolve().parents[2] / "manage.py")
_SLOW_READERS = 40
_SLOW_READER_S = 4.0
_SLOW_LINES, _SLOW_LINE_BYTES = 500, 20_000
_KIB_A_READER = 1024
_CUT_WITHIN_S = 60.0
_RESUMED_WITHIN_S = 120.0
_SLOWER_MS = 250.0
"""No figure of the media path (that is measured by `python -m bench`): what a loop that waits would show."""


def prove(full: bool) -> dict[str, Any]:
    calls, reconnects, kills, seconds = (20, 100, 20, 90.0) if full else (6, 24, 2, 14.0)
    settings = {"STREAM_SLOW_READER_S": str(_SLOW_READER_S), "LOG_LEVEL": "WARNING"}
    return run_live(lambda system: _body(system, calls, reconnects, kills, seconds), settings=settings)


@dataclass
class Reader:
    """A client of one call's stream, as an integrator would write it."""

    url: str
    headers: dict[str, str]
    lines: list[tuple[int, str]] = field(default_factory=list)
    """(id, data) in the order in which they came."""
    opened: int = 0
    last_id: int = 0

    async def read(self, http: aiohttp.ClientSession, base: str, *, upto: int = 0) -> None:
        """Read on from the last id until the server or the connection ends, or `upto` has come."""
        headers = self.headers | ({"Last-Event-ID": str(self.last_id)} if self.last_id else {})
        one: dict[str, str] = {}
        async with http.get(base + self.url, headers=headers) as answer:
            if answer.status != 200:
                return
            self.opened += 1
            async for raw in answer.content:
                name, _, value = raw.decode().rstrip("\n").partition(": ")
                if name in {"id", "data"}:
                    one[name] = value
                elif not name and "data" in one:  # only a whole event counts
                    self.last_id = int(one["id"])
                    self.lines.append((self.last_id, one["data"]))
                    one = {}
                    if upto and self.last_id >= upto:
                        return


class Servers:
    """The processes that serve streams."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = [free_port(), free_port()]
        self._processes: dict[int, RealProcess] = {}
        self.kills = 0

    def base(self) -> str:
        return f"http://127.0.0.1:{random.choice(self._ports)}"

    async def start(self, number: int) -> None:
        port = self._ports[number]
        command = [sys.executable, _MANAGE, "serve", "--role=web", f"--port={port}"]
        process = RealProcess(f"web-{number}", command, os.environ, self._folder)
        self._processes[number] = process
        ready = f"http://127.0.0.1:{port}/healthz/ready"
        await asyncio.to_thread(process.wait_ready, lambda: answers(ready))

    async def kill_in_turn(self, count: int, seconds: float) -> None:
        """SIGKILL, start again, the other one; there is always one that answers."""
        for number in range(count):
            await asyncio.sleep(random.uniform(0.1, 0.9) * seconds / count)
            self._processes[number % 2].kill()
            self.kills += 1
            await self.start(number % 2)

    def stop(self) -> None:
        for process in self._processes.values():
            process.kill()


async def _body(
    system: LiveSystem, calls: int, reconnects: int, kills: int, seconds: float
) -> dict[str, Any]:
    key = await system.rows(_key)
    headers = {"Authorization": f"Bearer {key}"}
    servers = Servers(system.server.log_path.parent)
    try:
        await asyncio.gather(servers.start(0), servers.start(1))
        phones = [system.phone(f"+14155550{number:03d}") for number in range(200, 200 + calls)]
        phones[0].stamps = True
        arrivals = time_arrivals(phones[0])
        for phone in phones:
            system.ring(phone)
        await until(lambda: all(phone.sounds for phone in phones), 30)
        rows = [await system.call_of(phone) for phone in phones]
        readers = [Reader(f"/api/v1/voice/calls/{row.pk}/stream", headers) for row in rows]
        everything = Reader("/api/v1/voice/stream?last_event_id=0", headers)
        talking = asyncio.create_task(_talk(phones))
        over = asyncio.Event()
        reading = [
            asyncio.create_task(_keep_reading(one, servers, over, reconnects / calls, seconds))
            for one in [*readers, everything]
        ]
        killing = asyncio.create_task(servers.kill_in_turn(kills, seconds))
        arrivals.clear()
        await asyncio.sleep(4)
        calm = list(arrivals)
        slow = await _slow_readers(system, headers, arrivals)
        await killing
        await asyncio.sleep(max(0.0, seconds - 12))
        talking.cancel()
        for phone in phones:
            await phone.end("caller")
        await asyncio.sleep(3)
        over.set()
        await asyncio.gather(*reading)
        found = await _compare(system, servers, readers, rows)
        found_too = await _compare_events(system, servers, everything)
    finally:
        servers.stop()
    opened = sum(one.opened for one in [*readers, everything])
    calm_ms, slow_ms = percentile(calm, 0.99) * 1000, percentile(slow.arrivals, 0.99) * 1000
    disturbed = slow_ms > calm_ms + _SLOWER_MS
    errors = system.server_errors()
    broken = {
        "gaps": found.gaps + found_too.gaps,
        "repeats": found.repeats + found_too.repeats,
        "wrong": found.wrong + found_too.wrong,
        "slow_not_cut": slow.not_cut,
        "slow_lost_their_place": slow.lost,
        "resumed_stuck": int(slow.stuck_at is not None),
        "slow_too_dear": int(slow.kib_a_reader > _KIB_A_READER),
        "calls_slowed": int(disturbed),
        "calls_cut": sum(phone.streams != 1 for phone in phones),
        "errors_logged": len(errors),
    }
    return {
        "trials": opened,
        "violations": sum(broken.values()),
        **broken,
        "reconnects": opened - len(readers) - 1,
        "kills": servers.kills,
        "events": found.events + found_too.events,
        "words": found.words,
        "slow_readers": _SLOW_READERS,
        "slow_kib_a_reader": slow.kib_a_reader,
        "stuck_at": slow.stuck_at,
        "frame_p99_ms_before": calm_ms,
        "frame_p99_ms_beside_slow_readers": slow_ms,
        "first_error": errors[0][:300] if errors else "",
    }


def _key() -> str:
    from tenex.workspaces.models import Workspace
    from tenex.workspaces.services import keys

    _, secret = keys.create(Workspace.objects.get(), "prove", ["*"], "system:prove")
    return secret


async def _talk(phones: list[Any]) -> None:
    """Every caller says something every few seconds, and is answered."""
    while True:
        for phone in phones:
            phone.speak(0.6)
            await asyncio.sleep(3.0 / len(phones))


async def _keep_reading(
    reader: Reader, servers: Servers, over: asyncio.Event, times: float, seconds: float
) -> None:
    """Read, hang up after a while, come back to any server; until all is over."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as http:
        while not over.is_set():
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with asyncio.timeout(random.uniform(0.5, 1.5) * seconds / times):
                    await reader.read(http, servers.base())
            await asyncio.sleep(0.05)


# --- readers that do not read ---------------------------------------------------------------------


@dataclass
class Slow:
    not_cut: int
    lost: int
    kib_a_reader: float
    arrivals: list[float]
    stuck_at: int | None
    """The last id of the reader that came back, if its stream stood still."""


async def _slow_readers(system: LiveSystem, headers: dict[str, str], arrivals: list[float]) -> Slow:
    call = await system.rows(_long_journal)
    path = f"/api/v1/voice/calls/{call.pk}/stream"
    host, port = system.base_url.removeprefix("http://").split(":")
    head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {headers['Authorization']}\r\n\r\n"
    peak_mib = before_mib = system.rss_mib()
    peers = []
    for _ in range(_SLOW_READERS):
        peer = socket.socket()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect((host, int(port)))
        peer.sendall(head.encode())
        peers.append(peer)
    arrivals.clear()
    ports = {peer.getsockname()[1] for peer in peers}
    served, held = set[int](), set[int]()
    until_s = time.monotonic() + _CUT_WITHIN_S
    while time.monotonic() < until_s and (held or len(served) < _SLOW_READERS):
        peak_mib = max(peak_mib, system.rss_mib())
        await asyncio.sleep(0.1)
        held = _held(int(port), ports)
        served |= held
    during = list(arrivals)
    taken = await asyncio.to_thread(lambda: [_take_all(peer) for peer in peers])
    whole = _SLOW_LINES * _SLOW_LINE_BYTES
    not_cut = _SLOW_READERS - len(served) + max(len(held), sum(size >= whole for size, _ in taken))
    reader = Reader(path, headers, last_id=taken[0][1])
    stuck_at = await _resume(reader, system.base_url, call.journal_seq)
    expected = list(range(taken[0][1] + 1, call.journal_seq + 1))
    lost = int([number for number, _ in reader.lines] != expected or taken[0][1] == 0)
    return Slow(not_cut, lost, (peak_mib - before_mib) * 1024 / _SLOW_READERS, during, stuck_at)


def _held(port: int, ports: set[int]) -> set[int]:
    """From which of `ports` a connection to `port` is there that some process still holds open.

    A cut one stays in the kernel until the peer has taken what was sent, without an inode (proc(5), net/tcp).
    """
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = [(row[1].rpartition(":")[2], row[2].rpartition(":")[2], row[9]) for row in rows]
    return {int(peer, 16) for local, peer, inode in ends if int(local, 16) == port and inode != "0"} & ports


async def _resume(reader: Reader, base: str, upto: int) -> int | None:
    """Read on to `upto`; where the reader stood if that did not come in time."""
    if reader.last_id >= upto:
        return None  # it was not cut: there is nothing to wait for
    try:
        async with aiohttp.ClientSession(read_bufsize=1 << 20) as http, asyncio.timeout(_RESUMED_WITHIN_S):
            await reader.read(http, base, upto=upto)
    except TimeoutError:
        return reader.last_id
    return None


def _long_journal() -> "Call":
    """A call with far more to tell than the buffers of a connection hold."""
    from tests.prove.live_system import ringing_call
    from voice.services import journal

    call = ringing_call("+14155550399")
    line = journal.Line("turn.updated", {"text": "x" * _SLOW_LINE_BYTES})
    for _ in range(10):
        journal.append(call.pk, [line] * (_SLOW_LINES // 10))
    call.refresh_from_db()
    return call


def _take_all(peer: socket.socket) -> tuple[int, int]:
    """What a peer that begins to read at last still gets: bytes, and the number of the last whole event."""
    peer.settimeout(5)
    parts = []
    with peer, contextlib.suppress(OSError):
        while part := peer.recv(1 << 16):
            parts.append(part)
    text = b"".join(parts)
    whole = text.rpartition(b"\n\n")[0]
    last = whole.rpartition(b"id: ")[2].partition(b"\n")[0]
    return len(text), int(last) if last.isdigit() else 0


# --- what came, against what is written -----------------------------------------------------------


@dataclass
class Found:
    events: int = 0
    words: int = 0
    gaps: int = 0
    repeats: int = 0
    wrong: int = 0


def _judge(
    found: Found, came: list[tuple[int, str]], written: list[tuple[int, Any]], of: tuple[str, str]
) -> None:
    """Numbers and contents; `of` names what of an event's data is compared."""
    numbers = [number for number, _ in came]
    found.events += len(came)
    found.repeats += len(numbers) - len(set(numbers))
    found.gaps += len({number for number, _ in written} - set(numbers))
    found.wrong += int(numbers != sorted(numbers))
    truth = dict(written)
    for number, data in came:
        said = orjson.loads(data)
        found.wrong += [said[name] for name in of] != truth.get(number)


async def _finish(reader: Reader, servers: Servers, upto: int) -> None:
    async with aiohttp.ClientSession() as http, asyncio.timeout(20):
        while reader.last_id < upto:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                await reader.read(http, servers.base(), upto=upto)


async def _compare(system: LiveSystem, servers: Servers, readers: list[Reader], rows: list["Call"]) -> Found:
    from voice.models import CallEvent

    found = Found()
    for reader, row in zip(readers, rows, strict=True):
        lines = CallEvent.objects.filter(call=row).order_by("seq").values_list("seq", "type", "data")
        written: list[Any] = await system.rows(partial(list, lines))
        await _finish(reader, servers, written[-1][0])
        truth = [(seq, [kind, data]) for seq, kind, data in written]
        _judge(found, reader.lines, truth, ("type", "data"))
        found.words += sum(kind == "transcript.delta" for _, kind, _ in written)
    return found


async def _compare_events(system: LiveSystem, servers: Servers, reader: Reader) -> Found:
    from tenex.events.models import Event

    found = Found()
    rows = Event.objects.order_by("seq").values_list("seq", "id", "data")
    written: list[Any] = await system.rows(partial(list, rows))
    await _finish(reader, servers, written[-1][0])
    truth = [(seq, [event_id, json.loads(json.dumps(data))]) for seq, event_id, data in written]
    _judge(found, reader.lines, truth, ("id", "data"))
    return found


if __name__ == "__main__":
    main("E1", prove)
