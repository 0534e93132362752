"""A mail server that keeps what it gets: real SMTP (RFC 5321), as much of it as a client needs."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage


class MailServer:
    """`refuse` is answered to RCPT (such as `550 no such user`), `fail` to the next so many messages."""

    def __init__(self) -> None:
        self.port = 0
        self.refuse = ""
        self.fail = 0
        self.recipients: list[list[str]] = []
        self.messages: list[EmailMessage] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())

        say("220 here")
        to: list[str] = []
        try:
            while line := (await reader.readline()).decode("utf-8", "replace").strip():
                match line[:4].upper():
                    case "EHLO" | "HELO":
                        say("250 here")
                    case "RCPT":
                        if not self.refuse:
                            to.append(line.partition("<")[2].partition(">")[0])
                        say(self.refuse or "250 ok")
                    case "DATA":
                        say("354 go on")
                        await writer.drain()
                        say(self._take(to, await _body(reader)))
                        to = []
                    case "QUIT":
                        say("221 bye")
                        break
                    case _:
                        say("250 ok")
                await writer.drain()
        finally:
            writer.close()

    def _take(self, to: list[str], body: bytes) -> str:
        if self.fail:
            self.fail -= 1
            return "451 try again later"
        message = message_from_bytes(body, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.recipients.append(to)
        self.messages.append(message)
        return "250 taken"


async def _body(reader: asyncio.StreamReader) -> bytes:
    lines = []
    while (line := await reader.readline()) not in (b".\r\n", b""):
        lines.append(line[1:] if line.startswith(b"..") else line)
    return b"".join(lines)


@contextmanager
def running() -> Iterator[MailServer]:
    """The server in a thread, on a free port of loopback."""
    mail = MailServer()
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    stop = asyncio.Event()

    async def main() -> None:
        server = await asyncio.start_server(mail.serve, "127.0.0.1", 0)
        mail.port = server.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        server.close()
        await server.wait_closed()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    try:
        assert ready.wait(10)
        yield mail
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
