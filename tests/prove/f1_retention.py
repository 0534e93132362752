"""F1: what has been kept long enough is gone, whoever dies while it is deleted; nothing else is touched.

Calls old and new in two workspaces, with files, turns, tools, journal and verdicts; some of the old ones are
under a legal hold. Processes that purge are killed at random instants and at failpoints, two at a time, and
more calls become due meanwhile. In the end nothing that is due is left, every file has its row and every row
its file, all others are byte for byte as before, and the receipts add up to what went. Then once without
kills, for the time that it takes.
"""

import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from tenex.engines.bootstrap import ensure_environment
from tests.prove.dial_rig import PROJECT, database, main

_POINTS = ("retention.file", "retention.receipt", "retention.deleted")
_RNG = random.Random(2)
_CANARY = "my sister lives in Reykjavik"
_TABLES = ("recording", "turn", "toolcall", "callevent", "verdict")


def prove(full: bool) -> dict[str, Any]:
    calls, kills, timed = (6000, 50, 10_000) if full else (600, 5, 1500)
    ensure_environment(throwaway=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "tenex.settings",
            "TENEX_DATA_DIR": folder,
            "TENEX_REHEARSAL": "1",
            "SECRET_KEY": "prove",
            "TENEX_TIME_SCALE": "60",
            "LOG_LEVEL": "ERROR",
        }
        with database():
            return _prove(calls, kills, timed)


def _prove(calls: int, kills: int, timed: int) -> dict[str, Any]:
    from tests import rows
    from voice.services import retention

    spaces = [rows.workspace("one"), rows.workspace("two")]
    old, others = _calls(spaces, calls)
    before = _state(others)
    due = _due(spaces)
    killed = 0
    while killed < kills:
        killed += _purge_and_kill()
        known = _due(spaces)
        old += _bulk(spaces[killed % 2], [400] * 100)
        due += _due(spaces) - known
    _purge_to_the_end()
    broken: Counter[str] = Counter()
    broken["left"] = sum(_due(spaces).values())
    broken["others_touched"] = sum(1 for pk, state in _state(others).items() if state != before[pk])
    broken["files"] = _files_and_rows_differ()
    broken["canaries"] = _canaries(old)
    went = _sums()
    broken["receipts"] = sum(abs(went[name] - count) for name, count in due.items())
    broken["chain"] = sum(retention.first_forged(space) is not None for space in spaces)
    took_s = _timed(spaces[0], timed)
    return {
        "trials": len(old) + len(others) + timed,
        "violations": sum(broken.values()),
        "kills": killed,
        "broken": {name: count for name, count in broken.items() if count},
        "purged": dict(due),
        "untouched": len(others),
        "recordings_timed": timed,
        "recordings_s": took_s,
        "within_60_s_for_10000": took_s * 10_000 / timed <= 60,
    }


def _calls(spaces: list[Any], count: int) -> tuple[list[uuid.UUID], list[uuid.UUID]]:
    """Calls with all that is kept of one. Those of which everything is due, and those of which nothing is."""
    from voice.models import LegalHold

    rng = random.Random(1)
    old, others = [], []
    for space in spaces:
        made = _bulk(space, [rng.choice((1, 400)) for _ in range(count // len(spaces))])
        for pk, days in made.items():
            if days == 1:
                others.append(pk)
            elif rng.random() < 0.1:
                LegalHold.objects.create(workspace=space, call_id=pk, reason="court", held_by="prove")
                others.append(pk)
            else:
                old.append(pk)
    return old, others


def _bulk(space: Any, ages_days: list[int]) -> dict[uuid.UUID, int]:
    """Finalized calls that ended so many days ago."""
    from django.conf import settings
    from django.utils import timezone

    from tests import rows
    from voice import models

    number = models.PhoneNumber.objects.filter(workspace=space).first()
    number = number or models.PhoneNumber.objects.create(
        workspace=space, e164=f"+1415555{1000 + models.PhoneNumber.objects.count()}"
    )
    agent = models.AgentVersion.objects.filter(agent__workspace=space).first() or rows.version(space)
    ids = {uuid.uuid4(): days for days in ages_days}
    ended = {pk: timezone.now() - timedelta(days=days) for pk, days in ids.items()}
    models.Call.objects.bulk_create(
        models.Call(
            id=pk, workspace=space, number=number, agent_version=agent,
            direction="inbound", status="finalized", outcome="qualified", end_reason="caller-hangup",
            from_number="+14155550101", to_number="+14155550100", objective=_CANARY,
            placed_at=at - timedelta(minutes=2), answered_at=at - timedelta(minutes=1), ended_at=at,
            finalized_at=at,
        )
        for pk, at in ended.items()
    )  # fmt: skip
    root = Path(settings.MEDIA_ROOT)
    (root / "recordings").mkdir(parents=True, exist_ok=True)
    for pk in ids:
        (root / f"recordings/{pk}.wav").write_bytes(pk.bytes * 40)
    models.Recording.objects.bulk_create(
        models.Recording(
            workspace=space, call_id=pk, provider_sid=f"RE{pk.hex}", source_url="u", status="stored",
            file=f"recordings/{pk}.wav", size_bytes=640, carrier_deleted_at=at,
            purge_after=at + timedelta(days=30),
        )
        for pk, at in ended.items()
    )  # fmt: skip
    models.Turn.objects.bulk_create(
        models.Turn(
            workspace=space, call_id=pk, item_id=f"i{n}", position=n,
            start_ms=n, speaker="caller", text=_CANARY,
        )
        for pk in ids
        for n in range(3)
    )  # fmt: skip
    models.ToolCall.objects.bulk_create(
        models.ToolCall(workspace=space, call_id=pk, tool_call_id="t", name="x", arguments={"a": _CANARY})
        for pk in ids
    )
    models.CallEvent.objects.bulk_create(
        models.CallEvent(call_id=pk, seq=n, at_ms=n, type=type_, data=data)
        for pk in ids
        for n, (type_, data) in enumerate(
            [("transcript.delta", {"text": _CANARY}), ("call.status", {"status": "ended"})], 1
        )
    )
    models.Verdict.objects.bulk_create(
        models.Verdict(
            workspace=space, call_id=pk, qualification="qualified", confidence=1.0, summary=_CANARY
        )
        for pk in ids
    )
    return ids


def _due(spaces: list[Any]) -> Counter[str]:
    """What a purge would delete now, in the words of the receipts."""
    from django.utils import timezone

    from voice.models import KeptClass
    from voice.selectors import retention

    found: Counter[str] = Counter()
    for space in spaces:
        for one in retention.outlook(space, timezone.now()):
            if one.kept_class is KeptClass.AUDIO:
                found["recordings"] += one.now["recordings"]
            else:
                found[f"{one.kept_class}:calls"] += one.now["calls"]
    return found


def _sums() -> Counter[str]:
    from voice.models import KeptClass, PurgeReceipt

    found: Counter[str] = Counter()
    for row in PurgeReceipt.objects.all():
        if row.kept_class == KeptClass.AUDIO:
            found["recordings"] += row.counts["recordings"]
        else:
            found[f"{row.kept_class}:calls"] += row.counts["calls"]
    return found


def _purge_and_kill() -> int:
    """Two purging processes at a time that die soon; how many were killed in the middle of it."""
    armed = [f"{_RNG.choice(_POINTS)}:kill@{_RNG.randint(1, 4)}" for _ in "ab"]
    points = [point if _RNG.random() < 0.6 else "" for point in armed]
    running = [_spawn(point) for point in points]
    for point, process in zip(points, running, strict=True):
        if not point:
            time.sleep(_RNG.uniform(0.9, 1.8))
            process.kill()
    return sum(process.wait(timeout=300) == -9 for process in running)


def _purge_to_the_end() -> None:
    until_s = time.monotonic() + 120
    while any(_still_due()) and time.monotonic() < until_s:
        _spawn("").wait(timeout=300)
        time.sleep(0.5)  # what a dead process had claimed is free after its lease


def _still_due() -> list[int]:
    from tenex.workspaces.models import Workspace

    return list(_due(list(Workspace.objects.all())).values())


def _spawn(failpoint: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "manage.py", "retention", "run", "--step=20"],
        cwd=PROJECT,
        env={**os.environ, "FAILPOINT": failpoint},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def _state(calls: list[uuid.UUID]) -> dict[uuid.UUID, str]:
    """A hash of every row and file of these calls."""
    from django.conf import settings
    from django.db import connection

    told: dict[uuid.UUID, list[bytes]] = {pk: [] for pk in calls}
    with connection.cursor() as cursor:
        for table in _TABLES:
            cursor.execute(
                f"SELECT call_id, string_agg(r::text, '|' ORDER BY r::text) FROM voice_{table} r"  # noqa: S608
                " WHERE call_id = ANY(%s) GROUP BY call_id",
                [calls],
            )
            for pk, text in cursor.fetchall():
                told[pk].append(text.encode())
    for pk, parts in told.items():
        path = Path(settings.MEDIA_ROOT) / f"recordings/{pk}.wav"
        parts.append(path.read_bytes() if path.exists() else b"")
    return {pk: hashlib.sha256(b"\0".join(parts)).hexdigest() for pk, parts in told.items()}


def _files_and_rows_differ() -> int:
    from django.conf import settings

    from voice.models import Recording

    there = {f"recordings/{path.name}" for path in (Path(settings.MEDIA_ROOT) / "recordings").iterdir()}
    named = set(Recording.objects.exclude(file="").values_list("file", flat=True))
    return len(there ^ named)


def _canaries(calls: list[uuid.UUID]) -> int:
    """Rows of purged calls in which words are left."""
    from django.db import connection

    found = 0
    with connection.cursor() as cursor:
        for table, key in [*((table, "call_id") for table in _TABLES), ("call", "id")]:
            cursor.execute(
                f"SELECT count(*) FROM voice_{table} r WHERE {key} = ANY(%s) AND r::text LIKE %s",  # noqa: S608
                [calls, f"%{_CANARY}%"],
            )
            found += cursor.fetchone()[0]
    return found


def _timed(space: Any, count: int) -> float:
    """Seconds for so many recordings, and all else of their calls, in one process."""
    from voice.services import retention

    _bulk(space, [400] * count)
    began_s = time.monotonic()
    retention.purge(space)
    took_s = time.monotonic() - began_s
    if sum(_due([space]).values()):
        raise RuntimeError("the purge left something")
    return round(took_s, 1)


if __name__ == "__main__":
    main("F1", prove)
