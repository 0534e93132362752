"""F2: a person is forgotten within a day, provably: nothing of them is left, anywhere, and nobody else's is.

A real system of processes in rehearsal. Somebody is imported from a file, agrees, is dialed by a batch with
variables of their own, tells the agent a phrase, has it written into the CRM, and calls back; another person
does the same. Then the first one is exported and erased over the API, as an integrator does it. Every row of
every table, the media folder, the broker's memory and the logs are searched for name, number, e-mail and
phrase; the carrier must have been told to delete.
"""

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

from tests.flows.world import V, World
from tests.prove.dial_rig import PROJECT, main
from tests.rig import Shape, start_system

_SPEED = 6.0
_NAMES = ("Xiomara", "Quetzalcoatl", "xiomara.q@example.org", "my sister lives in Reykjavik")
_OTHER = ("Ottoline", "Popocatepetl", "ottoline.p@example.org", "my brother lives in Ulan Bator")

_SCAN = """
import json, sys
from django.db import connection
found = {}
with connection.cursor() as cursor:
    for table in connection.introspection.table_names(cursor):
        cursor.execute(f'SELECT count(*) FROM "{table}" r WHERE r::text ILIKE ANY(%s)', [NEEDLES])
        found[table] = cursor.fetchone()[0]
        cursor.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND atttypid = 'bytea'::regtype"
            " AND attnum > 0 AND NOT attisdropped", [f'"{table}"'])
        for (column,) in cursor.fetchall():
            cursor.execute(
                f'SELECT count(*) FROM "{table}" r WHERE encode(r."{column}", $$escape$$) ILIKE ANY(%s)',
                [NEEDLES])
            found[table] += cursor.fetchone()[0]
import redis
from django.conf import settings
broker = redis.Redis.from_url(settings.REDIS_URL)
plain = [one.strip('%').encode().lower() for one in NEEDLES]
for key in broker.scan_iter():
    value = (broker.dump(key) or b'') + key
    found['broker'] = found.get('broker', 0) + any(one in value.lower() for one in plain)
print(json.dumps({name: count for name, count in found.items() if count}))
"""


def prove(full: bool) -> dict[str, Any]:
    people = 4 if full else 1
    with start_system(Shape.SINGLE, settings={"TENEX_TIME_SCALE": str(_SPEED)}) as system:
        world = World(system)
        try:
            return _prove(world, people)
        finally:
            world.close()


def _prove(world: World, people: int) -> dict[str, Any]:
    erased = [_Person(world, _NAMES, number) for number in range(people)]
    kept = _Person(world, _OTHER, 90)
    _live([*erased, kept], world)
    planted = _found(world, [needle for one in erased for needle in one.needles])
    of_the_other = _found(world, kept.needles)
    sids = {sid for one in erased for sid in one.recordings()}
    began_s = time.monotonic()
    asked = [_ask(world, one) for one in erased]
    certificates = [_done(world, one) for one in asked]
    took_s = time.monotonic() - began_s
    world.until(lambda: not sids & _at_carrier(world) or None, "the carrier has copies", timeout_s=90)
    left = _found(world, [needle for one in erased for needle in one.needles])
    files = _files(world, [needle for one in erased for needle in (*one.needles, *one.calls())])
    dialed = sum(world.dials_to(one.phone) for one in erased)
    for one in erased:
        _refused(world, one)
    again = sum(world.dials_to(one.phone) for one in erased) - dialed
    there = _found(world, kept.needles)
    lost = {name: count for name, count in of_the_other.items() if there.get(name) != count}
    return {
        "trials": sum(planted.values()),
        "violations": sum(left.values()) + len(files) + len(lost) + again + (0 if planted and sids else 1),
        "planted": planted,
        "left": left,
        "files": files[:5],
        "lost_of_the_other": lost,
        "dialed_again": again,
        "recordings_at_carrier": len(sids),
        "erased_s": round(took_s, 1),
        "receipts": sorted(one["receipt_number"] for one in certificates),
        "people": people,
    }


class _Person:
    def __init__(self, world: World, names: tuple[str, str, str, str], number: int) -> None:
        self.world = world
        self.first, self.last, email, self.phrase = names
        self.email = email.replace("@", f"{number}@")
        self.phone = world.number(f"{1500 + number}")  # where it is day
        self.lead = ""
        self.needles = [self.first, self.last, self.email, self.phone[1:], self.phrase]

    def _calls(self) -> list[dict[str, Any]]:
        return [call for call in self.world.calls() if self.phone in (call["from"], call["to"])]

    def calls(self) -> list[str]:
        return [str(call["id"]) for call in self._calls()]

    def recordings(self) -> set[str]:
        code = (
            "import json; from voice.models import Recording; print(json.dumps(list("
            f"Recording.objects.filter(call__in={self.calls()!r}).values_list('provider_sid', flat=True))))"
        )
        return set(json.loads(self.world.system.manage("shell", "--no-imports", "-c", code).splitlines()[-1]))


def _live(people: list[_Person], world: World) -> None:
    """All that leaves a trace: a file, a consent, a batch with variables, a call, a request with a key."""
    import httpx2

    for one in people:
        told = (one.first, one.last, one.phone, one.email, one.phrase)
        rows = f"first_name,last_name,phone,email,hobby\n{','.join(told)}\n"
        answer = httpx2.post(
            f"{world.system.base_url}/api/v1/crm/leads/imports",
            headers={"Authorization": f"Bearer {world.key}", "Idempotency-Key": f"file-{one.phone}"},
            files={"file": ("people.csv", io.BytesIO(rows.encode()), "text/csv")},
            trust_env=False,
            timeout=30,
        )
        assert answer.status_code in (200, 201, 202), answer.text
        one.lead = str(
            world.until(lambda one=one: _lead(world, one.phone), "the import made no lead", timeout_s=40)  # type: ignore[misc]
        )
        agreed = {
            "purpose": "marketing",
            "source": "form",
            "given_at": "2026-01-01T00:00:00Z",
            "proof": one.email,
        }
        world.api.post(f"/api/v1/crm/leads/{one.lead}/consents", agreed)
        world.answers(one.phone, _scenario(one))
    batch = world.api.post(
        f"{V}/batches",
        {
            "objective": "Qualify {{lead.first_name}}",
            "leads": [{"lead_id": one.lead, "variables": {"hobby": one.phrase}} for one in people],
        },
    )
    world.completed(batch["id"])
    for call in world.calls(batch_id=batch["id"]):
        world.finished(call["id"])
        world.delivered(call["id"], "agent.run.completed")
        world.until(
            lambda call=call: (  # type: ignore[misc]
                _recorded(world, call["id"]) or None
            ),
            "no recording came",
        )


def _lead(world: World, phone: str) -> str | None:
    found = world.api.get("/api/v1/crm/leads", phone=phone)["items"]
    return str(found[0]["id"]) if found else None


def _recorded(world: World, call: str) -> bool:
    import httpx2

    url = f"{world.system.base_url}{V}/calls/{call}/recording"
    answer = httpx2.get(url, headers={"Authorization": f"Bearer {world.key}"}, trust_env=False)
    return answer.status_code == 200 and answer.json()["status"] == "stored"


def _scenario(one: _Person) -> dict[str, Any]:
    return {
        "name": "erasure",
        "call": {"direction": "outbound", "to": one.phone, "ring_s": 1.0, "amd": "human", "amd_after_s": 1.0},
        "script": [
            {"caller": "Hello?"},
            {"agent": "My name is Ava. Is this a good moment?"},
            {"caller": f"Yes, and by the way, {one.phrase}."},
            {
                "agent": [
                    {"tool": "update_lead", "args": {"notes": one.phrase}},
                    {"say": f"I write down that {one.phrase}."},
                ]
            },
            {"caller": "Thank you, goodbye."},
            {"agent": [{"say": "Goodbye."}, {"tool": "end_call", "args": {"reason": "done"}}]},
        ],
    }


def _found(world: World, needles: list[str]) -> dict[str, int]:
    code = f"NEEDLES = {[f'%{one}%' for one in needles]!r}\n{_SCAN}"
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", code],
        cwd=PROJECT,
        env=world.system.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found


def _files(world: World, needles: list[str]) -> list[str]:
    """Files of the system (not of the outside world, the rehearsal) with such a text in name or content."""
    raw = [one.encode().lower() for one in needles]
    found = []
    for path in Path(world.system.folder).rglob("*"):
        outside = "rehearsal" in path.name or "postgres" in path.parts or "valkey" in path.parts
        if outside or not path.is_file():
            continue
        if any(one in str(path).encode().lower() for one in raw) or any(
            one in path.read_bytes().lower() for one in raw
        ):
            found.append(str(path.relative_to(world.system.folder)))
    return found


def _at_carrier(world: World) -> set[str]:
    import httpx2

    mine = (world.system.env["TWILIO_ACCOUNT_SID"], world.system.env["TWILIO_AUTH_TOKEN"])
    url = f"{world.system.carrier_url}/2010-04-01/Accounts/{mine[0]}/Recordings.json"
    return {one["sid"] for one in httpx2.get(url, auth=mine, trust_env=False).json()["recordings"]}


def _ask(world: World, one: _Person) -> str:
    """Take a copy, in which they must be, and ask for the erasure; its id."""
    import httpx2

    answer = httpx2.post(
        f"{world.system.base_url}{V}/persons/export",
        headers={"Authorization": f"Bearer {world.key}"},
        json={"phone": one.phone},
        trust_env=False,
        timeout=60,
    )
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        told = " ".join(archive.read(name).decode(errors="replace") for name in archive.namelist())
        sounds = [name for name in archive.namelist() if name.endswith(".wav")]
    if not sounds or any(needle.lower() not in told.lower() for needle in one.needles):
        raise RuntimeError("the export is not everything")
    body = {"lead_id": one.lead, "confirm": one.phone}
    made = world.api.post(f"{V}/persons/erase", body, **{"Idempotency-Key": f"erase-{one.phone}"})
    return str(made["id"])


def _done(world: World, erasure: str) -> dict[str, Any]:
    """Its certificate."""
    until_s = time.monotonic() + 120
    while (made := world.api.get(f"{V}/persons/erasures/{erasure}"))["status"] != "done":
        if time.monotonic() > until_s:
            raise RuntimeError(f"an erasure is not done: {made}")
        time.sleep(1)
    return dict(made)


def _refused(world: World, one: _Person) -> None:
    """Made anew by somebody who has the number, they are not dialed all the same."""
    lead = world.new_lead(one.phone)
    batch = world.batch([lead])
    world.completed(batch["id"])


if __name__ == "__main__":
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    main("F2", prove)
