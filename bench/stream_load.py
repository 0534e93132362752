"""Readers of event streams, in a process of their own: each notes how old an event is when it comes.

Prints `ready` when all are connected; on the line `mark` of its standard input it forgets what came so far,
on `stop` it prints the samples. The instants are of the machine's monotonic clock, which all processes share.
"""

import argparse
import asyncio
import json
import re
import sys
import time
from array import array
from typing import Any, Final

import uvloop

_STAMP: Final = re.compile(rb'"stamp":(\d+)\D')
_LONGEST: Final = 64
CONNECT_EVERY_S: Final = 0.01


class Reader(asyncio.Protocol):
    """One HTTP connection that asks for a stream and never ends it."""

    def __init__(self, head: bytes, ages_us: "array[int]") -> None:
        self._head = head
        self._ages_us = ages_us
        self._tail = b""
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost = False

    def connection_made(self, transport: Any) -> None:  # uvloop's are no asyncio.Transport
        transport.write(self._head)

    def data_received(self, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        if not self.answered.done() and data.startswith(b"HTTP/1.1 200"):
            self.answered.set_result(None)
        text = self._tail + data
        end = 0
        for found in _STAMP.finditer(text):
            self._ages_us.append((now_ns - int(found[1])) // 1000)
            end = found.end()
        self._tail = text[max(end, len(text) - _LONGEST) :]

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


async def main(host: str, port: int, key: str, paths: list[str]) -> None:
    loop = asyncio.get_running_loop()
    ages_us: array[int] = array("q")
    readers = []
    for path in paths:
        head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
        _, reader = await loop.create_connection(lambda head=head: Reader(head, ages_us), host, port)  # type: ignore[misc]
        readers.append(reader)
        await asyncio.sleep(CONNECT_EVERY_S)
    await asyncio.gather(*(reader.answered for reader in readers))
    print("ready", flush=True)
    while (await loop.run_in_executor(None, sys.stdin.readline)).strip() == "mark":
        del ages_us[:]
        print("marked", flush=True)
    lost = sum(reader.lost for reader in readers)
    print(json.dumps({"ages_us": ages_us.tolist(), "lost": lost}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    asked = json.loads(sys.stdin.readline())
    uvloop.run(main("127.0.0.1", options.port, asked["key"], asked["paths"]))
