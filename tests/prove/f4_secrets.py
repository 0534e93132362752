"""F4: secrets stay where they are used. Canaries of every kind go through a real system, and none is found.

A system of processes in rehearsal, logging at DEBUG. Workspaces entrust it with an account at the carrier and
a key of the model; calls, recordings, verdicts and webhooks go over them; keys are rotated meanwhile; things
fail with tracebacks, in a worker and in a command that has the secrets in its hands; every page of the admin
and the console, every list of the API and the exports are read. Then every row of every table, the files of
the database server and of the broker as they are on the disk, every command that the broker was sent, the
logs, the media folder and all answers are searched for each canary: plain, in base64 and in hexadecimal.
"""

import base64
import json
import re
import secrets
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2

from tests.flows import tenants
from tests.flows.tenants import OwnTenant
from tests.flows.world import V, World
from tests.prove.dial_rig import PROJECT, main
from tests.rig import Shape, start_system

_SPEED = 6.0
_PASSWORD = "correct horse battery staple"
_PAGES = 400
_OUTSIDE = ("rehearsal", "traceback.in")
"""Files of the rig that are not the system's: the doubles are the outside world."""

_ROWS = """
import base64, json, sys
from django.db import connection
needles = [one.encode() for one in NEEDLES]
found = {}
with connection.cursor() as cursor:
    for table in connection.introspection.table_names(cursor):
        with cursor.copy(f'COPY (SELECT r::text FROM "{table}" r) TO STDOUT') as rows:
            for row in rows:
                raw = bytes(row).replace(b'\\\\\\\\', b'\\\\')
                # bytea columns stand as \\x… in the text of a row
                for one in needles:
                    if one in raw or one.hex().encode() in raw:
                        found.setdefault(one.decode(), []).append(table)
print(json.dumps(found))
"""

_FAIL = """
import sys, threading, traceback
from voice.services import entrusted, model_access
from voice.models import Credential
from tenex.webhooks.models import WebhookSubscription
from tenex.webhooks.services import secrets
import structlog
log = structlog.get_logger("f4")
held = [entrusted.open_row(row).secrets for row in Credential.objects.all()]
held += [secrets.of_subscription(row) for row in WebhookSubscription.objects.all()]
held += [secrets.of_workspace(row.workspace) for row in WebhookSubscription.objects.all()]
try:
    raise ValueError(f"the provider said no to {held}")
except ValueError:
    log.exception("it failed", held=held, auth=("AC1", held))
def die():
    raise RuntimeError(f"nobody catches this: {held}")
thread = threading.Thread(target=die)
thread.start()
thread.join()
from django.test import RequestFactory
from django.views.debug import technical_500_response
try:
    die()
except RuntimeError:
    request = RequestFactory().post("/x", {"note": str(held)}, headers={"Authorization": f"Bearer {held}"})
    print(technical_500_response(request, *sys.exc_info()).content.decode())
die()
"""


def prove(full: bool) -> dict[str, Any]:
    settings = {
        "TENEX_TIME_SCALE": str(_SPEED),
        "LOG_LEVEL": "DEBUG",
        "LOG_FORMAT": "json",
        "FAILPOINT": "webhook.answered:raise@2",  # a traceback in the middle of a delivery
    }
    with start_system(Shape.SINGLE, settings=settings) as system:
        world = World(system, password=_PASSWORD)
        broker = _Broker(system.env["REDIS_URL"])
        try:
            return _prove(world, broker, people=3 if full else 1)
        finally:
            broker.stop()
            world.close()


def _prove(world: World, broker: "_Broker", *, people: int) -> dict[str, Any]:
    canaries: dict[str, str] = _of_the_settings(world)
    seen: list[tuple[str, bytes]] = []
    owners = [tenants.make(world.system, f"own{n}", f"+1415555012{n}") for n in range(people)]
    for one in owners:
        canaries |= {f"{name} of {one.number}": value for name, value in one.secrets.items()}
        canaries |= _entrust(world, one)
    calls = [_call(world, one) for one in owners]
    world.system.manage("rotate_keys", "--data-keys")
    calls += [_call(world, one) for one in owners]  # over what was sealed anew
    browser, tokens = _sign_in(world, owners[0], calls[0])
    canaries |= tokens
    _fail(world)
    seen += _look_around(world, browser, owners)
    checked = world.system.manage("rotate_keys", "--check")
    places = {
        "database": _in_rows(world, list(canaries.values())),
        "files": _in_files(world, canaries),
        "broker": _in_bytes(broker.said, canaries),
        "answers": _in_bytes(seen, canaries),
    }
    found = {
        f"{name} in {place}": where
        for place, hits in places.items()
        for name, value in canaries.items()
        if (where := hits.get(value))
    }
    controls = _controls(world, broker, owners, calls)
    for one in owners:
        one.api.close()
    return {
        "trials": len(canaries) * len(places),
        "violations": len(found)
        + sum(not hit for hit in controls.values())
        + ("every secret" not in checked),
        "found": {name: where[:3] for name, where in found.items()},
        "controls": controls,
        "canaries": dict(Counter(name.partition(" of ")[0] for name in canaries)),
        "answers": len(seen),
        "broker_commands": len(broker.said),
        "workspaces": people,
        "calls": len(calls),
    }


# --- canaries ---------------------------------------------------------------------------------------


def _of_the_settings(world: World) -> dict[str, str]:
    env = world.system.env
    found = {name: env[name] for name in ("SECRET_KEY", "TWILIO_AUTH_TOKEN", "OPENAI_API_KEY")}
    found["key encryption key"] = (world.system.folder / "secrets_keys").read_text().partition(":")[2]
    found["api key"] = world.key
    return found


def _entrust(world: World, one: OwnTenant) -> dict[str, str]:
    """All that a workspace gives us or gets from us; what is shown once is a canary from then on."""
    one.credentials()
    one.import_number()
    made = one.api.post(f"{V}/webhooks", {"url": world.receiver.url})
    one.api.post(f"{V}/webhooks", {"url": "http://127.0.0.1:9/nobody"})
    rotated = one.api.post(f"{V}/webhooks/{made['id']}/rotate-secret", {"overlap_s": 600})
    ours = one.api.post(f"{V}/webhooks/workspace-secret/rotate", {"overlap_s": 600})
    connector = "caldav-" + secrets.token_urlsafe(24)
    world.system.manage("shell", "-v0", "--no-imports", "-c", _seal(one.workspace_id, connector))
    number = one.number
    return {
        f"webhook secret of {number}": made["secret"],
        f"workspace secret of {number}": made["workspace_secret"],
        f"rotated secret of {number}": rotated["secret"],
        f"rotated workspace secret of {number}": ours["workspace_secret"],
        f"connector password of {number}": connector,
    }


def _seal(workspace_id: str, text: str) -> str:
    """A password that a connector's row would hold, and the line of a log in which it is opened elsewhere."""
    return (
        "from uuid import UUID; from tenex.workspaces.services import audit, vault;"
        f"w = UUID('{workspace_id}'); s = vault.seal(w, 'crm_connector.credentials:1', {text!r});"
        "audit.record(w, 'system:f4', 'connector.set', data={'sealed': s});"
        "assert vault.unseal(w, 'crm_connector.credentials:1', s)"
    )


def _call(world: World, one: OwnTenant) -> str:
    """Somebody rings; the call's id when it is finalized and its recording is ours."""
    known = {call["id"] for call in one.api.get(f"{V}/calls")["items"]}
    told = {"scenario": "inbound-qualified", "to": one.number}
    world.carrier("POST", f"calls?account={one.account_sid}", told)

    def over() -> str | None:
        calls = one.api.get(f"{V}/calls")["items"]
        new = [call for call in calls if call["id"] not in known]
        return next((str(call["id"]) for call in new if call["status"] == "finalized"), None)

    call_id = world.until(over, "the call was not finalized", 120)
    recorded = f"{V}/calls/{call_id}/recording"
    world.until(lambda: one.api._http.get(recorded).status_code == 200 or None, "no recording came", 60)
    return call_id


def _sign_in(world: World, one: OwnTenant, call_id: str) -> tuple[httpx2.Client, dict[str, str]]:
    """A browser that is signed in, and the tokens that people and streams get."""
    base = world.system.base_url
    browser = httpx2.Client(base_url=base, trust_env=False, timeout=60, follow_redirects=True)
    form = browser.get("/console/login").text
    csrf = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
    assert csrf is not None
    given = {"csrfmiddlewaretoken": csrf[1], "email": world.email, "password": _PASSWORD}
    assert browser.post("/console/login", data=given, headers={"Referer": base}).status_code == 200
    login = httpx2.post(
        f"{base}/api/v1/users/login",
        json={"email": world.email, "password": _PASSWORD},
        trust_env=False,
    )
    assert login.status_code == 200, login.text
    token = next(
        str(value) for name, value in login.json().items() if "token" in name and len(str(value)) > 40
    )
    session = one.api.post(f"{V}/sessions", {"agent_id": one.agent_id, "direction": "browser"})
    stream = one.api.post(f"{V}/calls/{call_id}/shares", {"hours": 1})
    return browser, {
        "session cookie": str(browser.cookies["sessionid"]),
        "token of a person": token,
        "password": _PASSWORD,
        "media token": _last_part(json.dumps(session)),
        "share token": _last_part(json.dumps(stream)),
    }


def _last_part(told: str) -> str:
    """The token in the address that an answer has."""
    found = re.search(r"/(?:sessions/media|shared)/([^\"/?]+)", told)
    assert found is not None, told
    return found[1]


# --- what happens with them -------------------------------------------------------------------------


def _fail(world: World) -> None:
    """A command that dies with all secrets in its hands, as the log of a process."""
    with (world.system.folder / "traceback.log").open("wb") as log:
        done = subprocess.run(
            [sys.executable, "manage.py", "shell", "-v0", "--no-imports", "-c", _FAIL],
            cwd=PROJECT, env=world.system.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            timeout=120, check=False,
        )  # fmt: skip
    said = (world.system.folder / "traceback.log").read_text()
    assert done.returncode == 1, said[-2000:]
    for line in ("it failed", "nobody catches this", "the provider said no to"):
        assert line in said, f"{line!r} was not said"


def _look_around(world: World, browser: httpx2.Client, owners: list[OwnTenant]) -> list[tuple[str, bytes]]:
    """Every page, list and export that can be reached."""
    seen: list[tuple[str, bytes]] = []
    todo = ["/console/", "/admin/", "/console/credentials"]
    known: set[str] = set()
    while todo and len(known) < _PAGES:
        path = todo.pop(0)
        if path in known or re.search(r"logout|/join|/delete|/sw", path):
            continue
        known.add(path)
        answer = browser.get(path)
        seen.append((path, answer.content))
        if "html" in answer.headers.get("content-type", ""):
            links = re.findall(r'href="(/(?:console|admin)/[^"#]*)"', answer.text)
            todo += [link.replace("&amp;", "&") for link in links]
    spec = browser.get("/openapi.json").json()
    paths = [path for path, item in spec["paths"].items() if "get" in item and "stream" not in path]
    for one in owners:
        for path in paths:
            if "{" not in path:
                answer = one.api._http.get(path)
                seen.append((path, answer.content))
        for webhook in one.api.get(f"{V}/webhooks")["items"]:
            for part in ("", "/deliveries", "/replays"):
                path = f"{V}/webhooks/{webhook['id']}{part}"
                seen.append((path, one.api._http.get(path).content))
        for call in one.api.get(f"{V}/calls")["items"]:
            for part in ("", "/transcript", "/recording"):
                path = f"{V}/calls/{call['id']}{part}"
                seen.append((path, one.api._http.get(path).content))
        checks = [one.api._http.post(f"{V}/credentials/{kind}/check") for kind in ("twilio", "openai")]
        assert all(answer.json()["state"] == "verified" for answer in checks)
        seen += [("check", answer.content) for answer in checks]
    exported = world.system.folder / "person.zip"
    lead = world.lead(world.phones["0102"])
    slug = str(world.api.get(f"{V}/settings")["slug"])
    world.system.manage("person", "export", f"--workspace={slug}", f"--lead={lead['id']}", f"--to={exported}")
    assert len(seen) > 60, "hardly anything was read"
    return seen


class _Broker:
    """Every command that the broker is sent, from now on."""

    def __init__(self, url: str) -> None:
        import redis

        self.said: list[tuple[str, bytes]] = []
        self._client = redis.Redis.from_url(url)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        client: Any = self._client  # its monitor is not typed
        with client.monitor() as monitor:
            for told in monitor.listen():
                if self._over.is_set():
                    return
                self.said.append(("command", str(told["command"]).encode()))

    def stop(self) -> None:
        self._over.set()
        self._client.ping()
        self._thread.join(5)


# --- the search -------------------------------------------------------------------------------------


def _written(value: str) -> list[bytes]:
    """Plain; in base64, whatever stands before it; in hexadecimal."""
    raw = value.encode()
    shifted = [base64.b64encode(b"x" * shift + raw)[4:-4] for shift in range(3)]
    return [raw, *shifted, raw.hex().encode()]


def _in_bytes(said: list[tuple[str, bytes]], canaries: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    everything = b"\n".join(body for _, body in said)
    for value in canaries.values():
        for form in _written(value):
            if form in everything:
                found.setdefault(value, []).extend(name for name, body in said if form in body)
    return found


def _in_rows(world: World, values: list[str]) -> dict[str, list[str]]:
    forms = {form.decode(): value for value in values for form in _written(value)}
    code = f"NEEDLES = {list(forms)!r}\n{_ROWS}"
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "-v0", "--no-imports", "-c", code],
        cwd=PROJECT, env=world.system.env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, list[str]] = {}
    for form, tables in json.loads(done.stdout.splitlines()[-1]).items():
        found.setdefault(forms[form], []).extend(tables)
    return found


def _in_files(world: World, canaries: Mapping[str, str]) -> dict[str, list[str]]:
    """All files of the system: logs, media, exports, and those of the two servers as they are on the disk."""
    found: dict[str, list[str]] = {}
    forms = [(value, form) for value in canaries.values() for form in _written(value)]
    for path, body in _files(world):
        for value, form in forms:
            if form in body:
                found.setdefault(value, []).append(path)
    return found


def _files(world: World) -> Iterator[tuple[str, bytes]]:
    root = Path(world.system.folder)
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        # Their own files hold these two, readable by their owner only.
        if name in ("secret_keys", "secret_key", "secrets_keys") or any(one in path.name for one in _OUTSIDE):
            continue
        if path.is_file() and path.stat().st_size:
            yield name, path.read_bytes()


def _controls(world: World, broker: _Broker, owners: list[OwnTenant], calls: list[str]) -> dict[str, bool]:
    """What must be found, or the search finds nothing at all."""
    one = owners[0]
    sid, call = one.account_sid, calls[0]
    files = dict(_files(world))
    logs = b"".join(body for name, body in files.items() if name.endswith(".log"))
    return {
        "account in rows": bool(_in_rows(world, [sid])),
        "account in the database's files": any(
            sid.encode() in body for name, body in files.items() if name.startswith("postgres")
        ),
        "workspace in logs": one.workspace_id.encode() in logs,
        "traceback in logs": b"FailpointReached" in logs,
        "call in broker": any(call.encode() in body for _, body in broker.said),
        "own key was used": tenants.uses(world.system, one.openai_key).get("/v1/realtime", 0) >= 1,
    }


if __name__ == "__main__":
    main("F4", prove)
