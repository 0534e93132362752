"""A real CalDAV server (Radicale), on loopback, with a user and calendars of its own."""

import base64
import http.client
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import icalendar

from tenex.engines.process import free_port
from tests.rig.process import RealProcess

USER, PASSWORD = "ava", "correct horse"
_CONFIG = """\
[server]
hosts = 127.0.0.1:{port}
max_connections = 200
[auth]
type = htpasswd
htpasswd_filename = {folder}/users
htpasswd_encryption = plain
delay = 0
[storage]
filesystem_folder = {folder}/collections
[logging]
level = critical
"""


@dataclass(frozen=True, slots=True)
class Radicale:
    """The running server. Addresses are of 127.0.0.1."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def home(self) -> str:
        return f"{self.url}{USER}/"

    def ask(
        self, method: str, path: str, body: str = "", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """One request as the user."""
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            sent = {"Authorization": f"Basic {login}", **(headers or {})}
            link.request(method, path, body.encode(), sent)
            answer = link.getresponse()
            return answer.status, answer.read()
        finally:
            link.close()

    def answers(self) -> bool:
        try:
            return self.ask("PROPFIND", f"/{USER}/", headers={"Depth": "0"})[0] == 207
        except OSError:
            return False

    def calendar(self, name: str = "work") -> str:
        """Make a calendar; its address."""
        body = (
            '<?xml version="1.0"?><c:mkcalendar xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav">'
            f"<d:set><d:prop><d:displayname>{name.title()}</d:displayname>"
            '<c:supported-calendar-component-set><c:comp name="VEVENT"/></c:supported-calendar-component-set>'
            "</d:prop></d:set></c:mkcalendar>"
        )
        status, text = self.ask("MKCALENDAR", f"/{USER}/{name}/", body)
        assert status == 201, (status, text)
        return f"{self.home()}{name}/"

    def put(self, event: str, *, calendar: str = "work", name: str = "theirs") -> None:
        """Somebody else's event: the lines of a VEVENT, and what stands beside it."""
        text = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\n{event.strip()}\r\nEND:VCALENDAR\r\n"
        status, answer = self.ask(
            "PUT", f"/{USER}/{calendar}/{name}.ics", text, {"Content-Type": "text/calendar; charset=utf-8"}
        )
        assert status in (201, 204), (status, answer)

    def events(self, calendar: str = "work") -> list[Any]:
        """All that stands in a calendar."""
        status, text = self.ask("GET", f"/{USER}/{calendar}/")
        assert status == 200, (status, text)
        return list(icalendar.Calendar.from_ical(text).walk("VEVENT"))


@contextmanager
def running() -> Iterator[Radicale]:
    """The server, up and answering."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="tenex-radicale-") as folder:
        Path(folder, "users").write_text(f"{USER}:{PASSWORD}\n", encoding="utf-8")
        Path(folder, "config").write_text(_CONFIG.format(port=port, folder=folder), encoding="utf-8")
        command = [sys.executable, "-m", "radicale", "--config", f"{folder}/config"]
        process = RealProcess("radicale", command, os.environ, Path(folder))
        server = Radicale(port)
        try:
            process.wait_ready(server.answers, timeout_s=30)
            yield server
        finally:
            process.kill()
