"""F3: yesterday's backup of a workspace whose key was deleted says nothing; the others come back whole.

Workspaces with calls, transcripts, verdicts, tool results, journals, leads, events and webhooks are backed
up. The key of some is deleted. Then the backup is searched for every word that they said and every name (also
unpacked), and restored into fresh databases: once without these keys, where nothing of them may be there and
all of the others must be, row for row; and once with all keys, where everything must be. Parts that were
changed, cut off or put in the place of others must not be restored.
"""

import gzip
import os
import secrets
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tenex.engines.bootstrap import ensure_environment
from tests.prove.dial_rig import database, main

WORDS = ("my mother is in hospital", "we have eighty thousand dollars", "call me after my divorce")


def prove(full: bool) -> dict[str, Any]:
    spaces, calls = (24, 60) if full else (4, 6)
    ensure_environment(throwaway=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "tenex.settings",
            "TENEX_DATA_DIR": folder,
            "TENEX_REHEARSAL": "1",
            "SECRET_KEY": "prove",
            "LOG_LEVEL": "ERROR",
        }
        with database():
            return _prove(Path(folder), spaces, calls)


def _prove(folder: Path, spaces: int, calls: int) -> dict[str, Any]:
    from tenex.backup.keys import KeyFolder
    from tenex.backup.make import make
    from tenex.backup.restore import restore

    said = _fill(spaces, calls)
    forgotten = sorted(said)[: spaces // 2]
    keys, backup = KeyFolder(folder / "keys"), folder / "backup"
    made = make(backup, keys)
    before = _rows()
    all_keys = folder / "all-keys"
    shutil.copytree(folder / "keys", all_keys)
    for one in forgotten:
        keys.forget(one)
    needles = [text for texts in said.values() for text in texts]
    readable = _search(backup, needles)
    broken: Counter[str] = Counter({"readable in the backup": len(readable)})
    with _fresh():
        done = restore(backup, keys)
        after = _rows()
        broken["forgotten but there"] = sum(
            count for (owner, _), (count, _) in after.items() if owner in map(str, forgotten) and count
        )
        kept = {key: value for key, value in before.items() if key[0] not in map(str, forgotten)}
        broken["of the others, not as before"] = sum(after.get(key) != value for key, value in kept.items())
        broken["not told"] = len(set(map(str, forgotten)) ^ set(done.forgotten))
        broken["words in the database"] = len(_in_rows([t for one in forgotten for t in said[one]]))
        there = _in_rows([t for one in said if one not in forgotten for t in said[one]])
        broken["words of the others missing"] = sum(
            text not in there for one in said if one not in forgotten for text in said[one]
        )
        broken["works on"] = _works_on()
    with _fresh():
        restore(backup, KeyFolder(all_keys))
        broken["with all keys, not as before"] = sum(
            _rows().get(key) != value for key, value in before.items()
        )
    broken["restored although changed"] = _tampered(backup, folder, KeyFolder(all_keys))
    return {
        "trials": len(needles) + len(before),
        "violations": sum(broken.values()),
        "broken": {name: count for name, count in broken.items() if count},
        "workspaces": made.workspaces,
        "forgotten": len(forgotten),
        "rows": made.rows,
        "bytes": made.bytes_,
        "readable_transcripts": len(readable),
    }


# --- what is there ----------------------------------------------------------------------------------


def _fill(spaces: int, calls: int) -> dict[Any, list[str]]:
    """Workspaces with everything that people said; id -> texts that only it has."""
    from django.db import transaction

    from crm.services import leads
    from tenex.events import services as events
    from tenex.webhooks.services import subscriptions
    from tenex.workspaces.services import vault, workspaces
    from tests import rows
    from voice.models import PhoneNumber, ToolCall, Verdict
    from voice.services import journal

    found: dict[Any, list[str]] = {}
    for index in range(spaces):
        space = workspaces.create({"name": f"Space {index}", "slug": f"space-{index}"}, "system:prove")
        subscriptions.create(space, url="http://127.0.0.1:9/hook", actor="system:prove")
        vault.data_key(space.pk, "recordings")
        number = PhoneNumber.objects.create(workspace=space, e164=f"+1415555{index:04}")
        version, texts = rows.version(space), found.setdefault(space.pk, [])
        for nth in range(calls):
            mark = secrets.token_hex(6)
            words, name = [f"{text} {mark}" for text in WORDS], f"Xiomara{mark}"
            texts += [*words, name]
            about: dict[str, Any] = {
                "first_name": name,
                "phone": f"+1628{index:03}{nth:04}",
                "notes": words[0],
            }
            lead = leads.create(space, actor="system:prove", **about)
            call = rows.call(space, agent=version, lead=lead, number=number)
            rows.say(call, *[("caller", text) for text in words])
            ToolCall.objects.create(
                workspace=space, call=call, tool_call_id=f"t{mark}", name="update_lead",
                arguments={"notes": words[1]}, output={"said": words[2]},
            )  # fmt: skip
            Verdict.objects.create(
                workspace=space, call=call, qualification="qualified", summary=words[1], confidence=1.0
            )
            journal.append(call.pk, [journal.Line("turn.final", {"text": words[2]})])
            with transaction.atomic():
                events.record(workspace_id=space.pk, type="lead.updated", data={"text": words[0]})
    return found


def _rows() -> dict[tuple[str, str], tuple[int, str]]:
    """(workspace or "", table) -> rows and a digest of all that is in them."""
    from django.db import connection

    from tenex.backup.tables import all_tables

    found: dict[tuple[str, str], tuple[int, str]] = {}
    with connection.cursor() as cursor:
        for table in all_tables():
            owner = f"{table.owner}::text" if table.owner else "''"
            lines = f'SELECT {owner} AS owner, t::text AS line FROM "{table.name}" t{table.joins}'  # noqa: S608
            cursor.execute(
                f"SELECT owner, count(*), md5(string_agg(line, '|' ORDER BY line))"  # noqa: S608
                f" FROM ({lines}) r GROUP BY owner"
            )
            for who, count, digest in cursor.fetchall():
                found[who, table.name] = (count, digest)
    connection.close()
    return found


def _in_rows(needles: list[str]) -> set[str]:
    from django.db import connection

    found: set[str] = set()
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            with cursor.copy(f'COPY (SELECT r::text FROM "{table}" r) TO STDOUT') as rows:  # noqa: S608
                body = b"".join(bytes(part) for part in rows)
            found |= {one for one in needles if one.encode() in body or one.encode().hex().encode() in body}
    connection.close()
    return found


def _search(backup: Path, needles: list[str]) -> list[str]:
    """Words that can be read in the backup, packed or unpacked."""
    found = []
    for path in backup.rglob("*"):
        if not path.is_file():
            continue
        body = path.read_bytes()
        if path.suffix == ".gz":
            body += gzip.decompress(body)
        found += [f"{one} in {path.name}" for one in needles if one.encode() in body]
    return found


@contextmanager
def _fresh() -> Iterator[None]:
    """Another database, migrated and empty, in place of ours."""
    import psycopg
    from django.core.management import call_command
    from django.db import connection

    server = urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path="/postgres"))
    usual, name = str(connection.settings_dict["NAME"]), f"restored_{secrets.token_hex(4)}"
    template = f"{usual}_empty"
    with psycopg.connect(server, autocommit=True) as admin:
        if not admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [template]).fetchone():
            admin.execute(f'CREATE DATABASE "{template}"')
            _go_over(template)
            call_command("migrate", interactive=False, verbosity=0)
            _go_over(usual)
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    _go_over(name)
    try:
        yield
    finally:
        _go_over(usual)
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _go_over(name: str) -> None:
    from django.db import connection

    connection.close()
    close_pool = getattr(connection, "close_pool", None)
    if close_pool is not None:
        close_pool()
    connection.settings_dict["NAME"] = name


def _works_on() -> int:
    """New rows get ids of their own, and triggers work: a call, its event, its journal."""
    from django.db import transaction

    from tenex.events import services as events
    from tenex.workspaces.models import Workspace
    from tests import rows
    from voice.models import AgentVersion, PhoneNumber

    space = Workspace.objects.order_by("pk").last()
    assert space is not None
    seq = space.event_seq
    version = AgentVersion.objects.filter(agent__workspace=space).first()
    call = rows.call(space, agent=version, number=PhoneNumber.objects.get(workspace=space))
    with transaction.atomic():
        event = events.record(workspace_id=space.pk, type="lead.updated", data={})
    call.refresh_from_db()
    agent = call.agent_version.agent_id if call.agent_version else None
    return int(event is None or event.seq <= seq or call.agent_id != agent)


def _tampered(backup: Path, folder: Path, keys: Any) -> int:
    """Changed, cut off, another workspace's, another table's: how many were taken all the same."""
    from tenex.backup.restore import restore
    from tenex.lib.sealed import NotSealed, WrongKey

    first, second = sorted(path.name for path in backup.iterdir() if path.name.count("-") == 4)[:2]
    turns, calls = "voice_turn.sealed", "voice_toolcall.sealed"

    def changed(where: Path) -> None:
        body = bytearray((where / first / turns).read_bytes())
        body[len(body) // 2] ^= 1
        (where / first / turns).write_bytes(bytes(body))

    def cut(where: Path) -> None:
        body = (where / first / turns).read_bytes()
        (where / first / turns).write_bytes(body[:-40])

    def of_another(where: Path) -> None:
        shutil.copy(where / second / turns, where / first / turns)

    def another_table(where: Path) -> None:
        shutil.copy(where / first / calls, where / first / turns)

    taken = 0
    for number, spoil in enumerate((changed, cut, of_another, another_table)):
        copy = folder / f"spoiled-{number}"
        shutil.copytree(backup, copy)
        spoil(copy)
        with _fresh():
            try:
                restore(copy, keys)
                taken += 1
            except (NotSealed, WrongKey):
                pass
    return taken


if __name__ == "__main__":
    main("F3", prove)
