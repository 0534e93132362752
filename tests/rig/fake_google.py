"""A server that speaks the shapes of Google's calendar API and OAuth, with a calendar behind it."""

import base64
import hashlib
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from crm.calendars.google_oauth import SCOPES

CALENDAR = "sales@group.calendar.google.com"


class FakeGoogle:
    """The account. `fail` answers that status to the next so many API requests; `lose` does the work of the
    next so many and breaks off instead of answering.
    """

    def __init__(self) -> None:
        self.base = ""
        self.events: dict[str, dict[str, Any]] = {}
        self.granted = " ".join(SCOPES)
        self.refused = False
        self.fail: list[tuple[int, str]] = []
        self.lose = 0
        self.tokens: set[str] = set()
        self.revoked: list[str] = []
        self.asked: list[tuple[str, str]] = []
        self.consents: dict[str, str] = {}
        """Code -> code challenge of the consent."""
        self.lock = threading.Lock()

    # --- OAuth ---

    def token(self, form: dict[str, str]) -> tuple[int, Any]:
        if self.refused:
            return 400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
        access = f"ya29.{uuid.uuid4().hex}"
        self.tokens.add(access)
        answer = {"access_token": access, "expires_in": 3599, "scope": self.granted, "token_type": "Bearer"}
        if form["grant_type"] == "authorization_code":
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            if self.consents.pop(form["code"], None) != challenge:
                return 400, {"error": "invalid_grant", "error_description": "Bad Request"}
            answer["refresh_token"] = "1//refresh"
        elif form.get("refresh_token") != "1//refresh":
            return 400, {"error": "invalid_grant"}
        return 200, answer

    # --- the API ---

    def api(
        self, method: str, path: list[str], query: dict[str, str], body: Any, etag: str
    ) -> tuple[int, Any]:
        if path == ["users", "me", "calendarList"]:
            return 200, {
                "kind": "calendar#calendarList",
                "items": [
                    {"id": CALENDAR, "summary": "Sales", "accessRole": "owner"},
                    {"id": "de.german#holiday@group.v.calendar.google.com", "summary": "Holidays",
                     "accessRole": "reader"},
                ],
            }  # fmt: skip
        if path == ["freeBusy"]:
            return 200, {"kind": "calendar#freeBusy", "calendars": self._busy(body)}
        if path[:1] == ["calendars"] and unquote(path[1]) != CALENDAR:
            return 404, _error(404, "notFound")
        if len(path) == 3:
            return self._list(query) if method == "GET" else self._insert(body)
        return self._one(method, path[3], body, etag)

    def _busy(self, body: Any) -> Any:
        found = {}
        for one in body["items"]:
            if one["id"] != CALENDAR:
                found[one["id"]] = {"errors": [{"domain": "global", "reason": "notFound"}], "busy": []}
                continue
            busy = [
                {"start": event["start"]["dateTime"], "end": event["end"]["dateTime"]}
                for event in self._within(body["timeMin"], body["timeMax"])
                if event.get("transparency") != "transparent"
            ]
            found[one["id"]] = {"busy": busy}
        return found

    def _list(self, query: dict[str, str]) -> tuple[int, Any]:
        items = self._within(query["timeMin"], query["timeMax"])
        return 200, {"kind": "calendar#events", "timeZone": "UTC", "items": items}

    def _within(self, low: str, high: str) -> list[dict[str, Any]]:
        return [
            event
            for event in self.events.values()
            if event["status"] != "cancelled"
            and _at(event["start"]) < datetime.fromisoformat(high)
            and _at(event["end"]) > datetime.fromisoformat(low)
        ]

    def _insert(self, body: Any) -> tuple[int, Any]:
        event_id = body.get("id") or uuid.uuid4().hex
        if event_id in self.events:
            return 409, _error(409, "duplicate")
        return 200, self._put(event_id, body, 0)

    def _one(self, method: str, event_id: str, body: Any, etag: str) -> tuple[int, Any]:
        known = self.events.get(event_id)
        if known is None:
            return 404, _error(404, "notFound")
        if method == "GET":
            return 200, known
        if etag not in ("", "*", known["etag"]):
            return 412, _error(412, "conditionNotMet")
        if method == "DELETE":
            if known["status"] == "cancelled":
                return 410, _error(410, "deleted")
            known["status"] = "cancelled"
            return 204, None
        return 200, self._put(event_id, body, known["sequence"] + 1)

    def _put(self, event_id: str, body: Any, sequence: int) -> dict[str, Any]:
        self.events[event_id] = {
            "kind": "calendar#event",
            "status": "confirmed",
            "htmlLink": f"https://www.google.com/calendar/event?eid={event_id}",
            **body,
            "id": event_id,
            "iCalUID": f"{event_id}@google.com",
            "etag": f'"{uuid.uuid4().int % 10**16}"',
            "sequence": sequence,
        }
        return self.events[event_id]

    def somebody_else(self, starts_at: datetime, ends_at: datetime, **fields: Any) -> None:
        """An event that is not ours."""
        body = {
            "summary": "Theirs",
            "start": {"dateTime": starts_at.isoformat()},
            "end": {"dateTime": ends_at.isoformat()},
            **fields,
        }
        self._put(uuid.uuid4().hex, body, 0)

    @property
    def standing(self) -> list[dict[str, Any]]:
        return [event for event in self.events.values() if event["status"] != "cancelled"]


def _at(told: dict[str, Any]) -> datetime:
    at = datetime.fromisoformat(told.get("dateTime") or told["date"])
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _error(status: int, reason: str) -> Any:
    detail = {"domain": "global", "reason": reason, "message": reason}
    return {"error": {"code": status, "message": reason, "errors": [detail]}}


def _handler(google: FakeGoogle) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            raw = self.rfile.read(length)
            parts = urlsplit(self.path)
            with google.lock:
                google.asked.append((self.command, parts.path))
                if parts.path in ("/token", "/revoke"):
                    form = {name: values[0] for name, values in parse_qs(raw.decode()).items()}
                    if parts.path == "/revoke":
                        google.revoked.append(form["token"])
                        self._answer(200, {})
                    else:
                        self._answer(*google.token(form))
                    return
                if self.headers.get("authorization", "").removeprefix("Bearer ") not in google.tokens:
                    self._answer(401, _error(401, "authError"))
                    return
                if google.fail:
                    status, reason = google.fail.pop(0)
                    self._answer(status, _error(status, reason))
                    return
                path = parts.path.removeprefix("/calendar/v3/").split("/")
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                done = google.api(
                    self.command,
                    path,
                    query,
                    json.loads(raw) if raw else None,
                    self.headers.get("if-match", ""),
                )
                if google.lose:
                    google.lose -= 1
                    self.close_connection = True
                    return
            self._answer(*done)

        do_GET = do_POST = do_PUT = do_DELETE = _serve

        def _answer(self, status: int, body: Any) -> None:
            text = json.dumps(body).encode() if body is not None else b""
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    return Handler


@contextmanager
def running() -> Iterator[FakeGoogle]:
    google = FakeGoogle()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(google))
    google.base = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield google
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
