"""Wrong secrets for a known key, hundreds a second: a process of its own, told when over stdin.

`go` and `stop`; each answer is one JSON line `{"sent": n, "answers": {"401": n, "429": n}}`.
"""

import asyncio
import json
import os
import secrets
import sys
from collections import Counter
from urllib.parse import urlsplit

_CONNECTIONS = 10
_PATH = "/api/v1/users/me"


class Guesser:
    def __init__(self, base_url: str, prefix: str, per_s: float) -> None:
        self._host, self._port = urlsplit(base_url).hostname or "", urlsplit(base_url).port or 80
        self._prefix = prefix
        self._every_s = _CONNECTIONS / per_s
        self.answers: Counter[str] = Counter()
        self.go = asyncio.Event()

    async def connection(self) -> None:
        """One keep-alive connection, opened again whenever it is lost."""
        loop = asyncio.get_running_loop()
        while True:
            await self.go.wait()
            try:
                reader, writer = await asyncio.open_connection(self._host, self._port)
                next_s = loop.time()
                while self.go.is_set():
                    next_s = max(next_s + self._every_s, loop.time() - 1)
                    await asyncio.sleep(next_s - loop.time())
                    writer.write(self._request())
                    self.answers[await _status(reader)] += 1
                writer.close()
            except (OSError, asyncio.IncompleteReadError, ValueError):
                self.answers["lost"] += 1
                await asyncio.sleep(0.1)

    def _request(self) -> bytes:
        """A secret of the right form and with a right checksum, so that no cheap test refuses it."""
        from tenex.workspaces.services import keys

        secret = "".join(secrets.choice("0123456789abcdefghijABCDEFGHIJ") for _ in range(43))
        key = keys.text_of(self._prefix, secret)
        head = (
            f"GET {_PATH} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nAuthorization: Bearer {key}\r\n\r\n"
        )
        return head.encode()


async def _status(reader: asyncio.StreamReader) -> str:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
    await reader.readexactly(int(headers["content-length"]))
    return lines[0].split(" ")[1]


async def main(base_url: str, prefix: str, per_s: float) -> None:
    os.nice(10)  # what is measured is the server, not the fight for a core
    guesser = Guesser(base_url, prefix, per_s)
    loop = asyncio.get_running_loop()
    workers = [loop.create_task(guesser.connection()) for _ in range(_CONNECTIONS)]
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        if line.strip() == "go":
            guesser.go.set()
        else:
            guesser.go.clear()
        print(json.dumps({"sent": guesser.answers.total(), "answers": guesser.answers}), flush=True)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)


if __name__ == "__main__":
    import django

    django.setup()
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
