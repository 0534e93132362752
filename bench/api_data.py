"""A workspace with a million calls and five million turns, made inside the database. Statements, not rows.

The shares of outcomes, the spread over agents, numbers and batches and the lengths are those of an outbound
team with an inbound line; what is random comes from a seed.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection, models
from django.utils import timezone

DAYS = 120
AGENTS, NUMBERS = 12, 20
NEIGHBOUR_PART = 20
"""Another tenant, with a 20th of the calls."""


@dataclass(frozen=True, slots=True)
class Sizes:
    calls: int
    turns: int
    given_leads: int = 0

    @property
    def leads(self) -> int:
        return self.given_leads or max(100, self.calls // 5)

    @property
    def batches(self) -> int:
        return max(10, self.calls // 2000)


def fill(sizes: Sizes) -> None:
    """Make all rows, in one transaction a table; a folder that was filled before is left as it is."""
    from tenex.workspaces.models import Workspace

    if Workspace.objects.filter(slug="bench-done").exists():
        return
    _execute("SET synchronous_commit = off; SELECT setseed(0.42)")
    with _bare("voice_call", "voice_turn", "voice_verdict"):
        for slug, part in (("bench-neighbour", NEIGHBOUR_PART), ("bench", 1)):
            _workspace(slug, Sizes(sizes.calls // part, sizes.turns // part))
    Workspace.objects.create(name="Done", slug="bench-done", webhook_secret="bench")  # noqa: S106
    _say("vacuum", lambda: _execute("VACUUM ANALYZE"))


@contextmanager
def _bare(*tables: str) -> Iterator[None]:
    """While rows come in by the million: no indexes but those of keys, no foreign keys. Then all of them again."""
    tables_ = {"tables": list(tables)}
    keys = _rows(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE contype = 'f' AND conrelid::regclass::text = ANY(%(tables)s)",
        tables_,
    )
    indexes = _rows(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid::regclass::text = ANY(%(tables)s)"
        " AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)",
        tables_,
    )
    for table, name, _ in keys:
        _execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    for name, _ in indexes:
        _execute(f"DROP INDEX {name}")
    yield
    _execute("SET maintenance_work_mem = '256MB'")
    for name, definition in indexes:
        _say(name, lambda definition=definition: _execute(definition))
    for table, name, definition in keys:
        _execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')


def _workspace(slug: str, sizes: Sizes) -> None:
    from tenex.workspaces.models import Workspace
    from voice.models import Agent, AgentVersion, PhoneNumber, VoiceProfile

    if Workspace.objects.filter(slug=slug).exists():
        raise SystemExit("An earlier run was interrupted: remove the data folder.")
    space = Workspace.objects.create(
        name=slug.title(),
        slug=slug,
        webhook_secret="bench",  # noqa: S106
        time_zone="America/New_York",
    )
    profile = VoiceProfile.objects.create(workspace=space, name="Voice")
    first = 1 if slug == "bench" else 2
    for n in range(AGENTS):
        agent = Agent.objects.create(workspace=space, name=f"Agent {n}", slug=f"agent-{n}", profile=profile)
        for number in range(1, 4):
            AgentVersion.objects.create(agent=agent, number=number, system_prompt="You qualify leads.")
    for n in range(NUMBERS):
        PhoneNumber.objects.create(workspace=space, e164=f"+1415{first}555{n:03d}")
    _leads(space.pk, first, sizes)
    _batches(space.pk, sizes)
    _calls(space.pk, sizes)
    _verdicts(space.pk)
    _turns(space.pk, sizes)


_FIRST_NAMES = (
    "Maria James Wei Fatima Olga Juan Aisha Liam Chloe Noah Emma Ravi Sofia Omar Ingrid Tomas Yuki Li Bo Ana"
)
_SYLLABLES = "lo pez mar ti nez ko wal ski schu bert son ga ri di as fer nan to ya ma gu chi ber ger low en"


def _leads(space: uuid.UUID, first: int, sizes: Sizes) -> None:
    from crm.models import Lead

    syllables = "(string_to_array(%(syllables)s, ' '))"
    part = f"{syllables}[1 + mod(hashint4(n * {{0}}) & 2147483647, 26)]"
    _insert(
        "leads",
        Lead,
        {
            "workspace_id": "%(space)s",
            "created_at": "now() - interval '200 days' + n * interval '1 second'",
            "first_name": "(string_to_array(%(names)s, ' '))[1 + mod(hashint4(n) & 2147483647, 20)]",
            "last_name": f"initcap({part.format(3)} || {part.format(7)} || {part.format(11)})",
            "phone": "'+1' || (2000000000 + %(first)s * 1000000000::bigint + mod(n * 7919::bigint, 999999937))",
        },
        f"generate_series(1, {sizes.leads}) n",
        {"space": space, "first": first, "names": _FIRST_NAMES, "syllables": _SYLLABLES},
    )


def _batches(space: uuid.UUID, sizes: Sizes) -> None:
    from voice.models import Batch

    _insert(
        "batches",
        Batch,
        {
            "workspace_id": "%(space)s",
            "created_at": f"now() - n * interval '{DAYS} days' / {sizes.batches}",
            "objective": "'Book a demo'",
            "status": "'completed'",
            "completed_at": "now()",
            "agent_id": "agent.ids[1 + mod(n, agent.count)]",
            "number_id": "number.ids[1 + mod(n, number.count)]",
        },
        f"generate_series(1, {sizes.batches}) n, {_ids('voice_agent', 'agent')}, {_ids('voice_phonenumber', 'number')}",
        {"space": space},
    )


_CALL = """
WITH pick AS (
  SELECT n, now() - (1 - n::float / {calls}) * interval '{days} days' AS at, random() < 0.15 AS inbound,
    1 + floor(random() * lead.count)::int AS lead_n, random() AS luck, random() AS luck2,
    1 + floor({batches} * (1 - n::float / {calls}) * 0.98)::int + floor(random() * least(8, {batches} * 0.02))::int AS batch_n
  FROM generate_series(1, {calls}) n, {leads}
), told AS (
  SELECT pick.*, CASE
    WHEN n > {calls} - {calls} / 5000 THEN NULL
    WHEN luck < 0.0005 THEN 'canceled' WHEN inbound AND luck < 0.55 THEN 'qualified'
    WHEN luck < 0.38 THEN 'no-answer' WHEN luck < 0.60 THEN 'voicemail' WHEN luck < 0.66 THEN 'busy'
    WHEN luck < 0.69 THEN 'failed' WHEN luck < 0.77 THEN 'qualified' WHEN luck < 0.87 THEN 'unqualified'
    WHEN luck < 0.93 THEN 'undetermined' WHEN luck < 0.96 THEN 'callback' WHEN luck < 0.985 THEN 'opted-out'
    ELSE 'transferred' END AS outcome
  FROM pick
)
SELECT told.*, outcome IN ('qualified','unqualified','undetermined','callback','opted-out','transferred') AS talked
FROM told
"""


def _calls(space: uuid.UUID, sizes: Sizes) -> None:
    from voice.models import Call

    picked = _CALL.format(
        calls=sizes.calls,
        batches=sizes.batches,
        days=DAYS,
        leads=_ids("crm_lead", "lead", "count(*) AS count"),
    )
    lead = "(SELECT id, phone, row_number() OVER (ORDER BY id) AS n FROM crm_lead WHERE workspace_id = %(space)s)"
    source = (
        f"({picked}) c JOIN {lead} l ON l.n = c.lead_n, {_ids('voice_batch', 'batch')},"
        f" {_ids('voice_agentversion', 'version')}, {_ids('voice_phonenumber', 'number')}"
    )
    ours = "'+1415' || %(first)s || '555' || lpad((mod(c.batch_n, 20))::text, 3, '0')"
    reason = (
        "CASE c.outcome WHEN 'voicemail' THEN 'machine' WHEN 'no-answer' THEN 'no-answer' WHEN 'busy' THEN 'busy'"
        " WHEN 'failed' THEN 'carrier-failed' WHEN 'canceled' THEN 'canceled' WHEN 'opted-out' THEN 'opted-out'"
        " WHEN 'transferred' THEN 'transferred' ELSE 'caller-hangup' END"
    )
    answered = "(c.talked OR c.outcome = 'voicemail')"
    _execute("ALTER TABLE voice_call DISABLE TRIGGER metrics_due_insert")
    _insert(
        "calls",
        Call,
        {
            "id": "uuidv7(c.at - clock_timestamp())",
            "created_at": "c.at",
            "workspace_id": "%(space)s",
            "direction": "CASE WHEN c.inbound THEN 'inbound' ELSE 'outbound' END",
            "status": "CASE WHEN c.outcome IS NOT NULL THEN 'finalized' WHEN c.inbound THEN 'in_progress' ELSE 'queued' END",
            "outcome": "c.outcome",
            "end_reason": f"CASE WHEN c.outcome IS NOT NULL THEN {reason} END",
            "from_number": f"CASE WHEN c.inbound THEN l.phone ELSE {ours} END",
            "to_number": f"CASE WHEN c.inbound THEN {ours} ELSE l.phone END",
            "number_id": "number.ids[1 + mod(c.batch_n, number.count)]",
            "agent_version_id": "version.ids[1 + mod(c.batch_n, version.count)]",
            "lead_id": "l.id",
            "batch_id": "CASE WHEN NOT c.inbound THEN batch.ids[least(c.batch_n, batch.count)] END",
            "objective": "'Find out whether they need a new phone system, and book a demo if they do.'",
            "provider_sid": "'CA' || md5(%(space)s::text || c.n)",
            "answered_by": "CASE WHEN c.outcome = 'voicemail' THEN 'machine_start' WHEN c.talked THEN 'human' ELSE '' END",
            "placed_at": "c.at + interval '1 second'",
            "answered_at": f"CASE WHEN {answered} THEN c.at + interval '12 seconds' END",
            "ended_at": "CASE WHEN c.outcome IS NOT NULL THEN c.at + interval '15 seconds' + c.luck2 * interval '5 minutes' END",
            "finalized_at": "CASE WHEN c.outcome IS NOT NULL THEN c.at + interval '6 minutes' END",
            "duration_ms": f"CASE WHEN {answered} THEN 3000 + (c.luck2 * 300000)::int END",
            "journal_seq": "40",
            "usage": _USAGE,
            "latency": _LATENCY,
        },
        source,
        {"space": space, "first": _first(space)},
    )
    _execute("ALTER TABLE voice_call ENABLE TRIGGER metrics_due_insert")
    _execute(
        "INSERT INTO voice_metricsdue (workspace_id, hour) SELECT DISTINCT workspace_id,"
        " date_trunc('hour', created_at, 'UTC') FROM voice_call WHERE workspace_id = %(space)s",
        {"space": space},
    )


_USAGE = """CASE WHEN c.talked THEN jsonb_build_object('total_tokens', 9000, 'input_tokens', 8000 + mod(c.n, 900),
 'output_tokens', 1000 + mod(c.n, 300), 'input_token_details', jsonb_build_object('text_tokens', 3000, 'audio_tokens', 5000,
 'cached_tokens', 6000), 'output_token_details', jsonb_build_object('text_tokens', 200, 'audio_tokens', 800))
 ELSE '{}' END"""
_LATENCY = """CASE WHEN c.talked THEN jsonb_build_object('first_audio_ms', 380, 'turn_ms', jsonb_build_object('count', 8,
 'p50', 700, 'p95', 1600, 'max', 1600, 'each', (SELECT jsonb_agg((500 + 90 * k + (c.luck2 * 700))::int)
 FROM generate_series(1, 8) k))) ELSE '{}' END"""


def _verdicts(space: uuid.UUID) -> None:
    from voice.models import Verdict

    judged = "(SELECT id, created_at, outcome, row_number() OVER () AS n FROM voice_call WHERE workspace_id = %(space)s"
    _insert(
        "verdicts",
        Verdict,
        {
            "workspace_id": "%(space)s",
            "created_at": "c.created_at + interval '6 minutes'",
            "call_id": "c.id",
            "qualification": "CASE WHEN c.outcome IN ('qualified', 'unqualified') THEN c.outcome ELSE 'undetermined' END",
            "confidence": "0.8",
            "summary": "'They have forty people on an old system and want to see a demo next week.'",
            "meeting": "CASE WHEN c.outcome = 'qualified' AND mod(c.n, 3) = 0 THEN '{\"start\": \"soon\"}'::jsonb END",
        },
        f"{judged} AND outcome IN ('qualified','unqualified','undetermined','callback','transferred')) c",
        {"space": space},
    )


def _turns(space: uuid.UUID, sizes: Sizes) -> None:
    from voice.models import Turn

    talked = "workspace_id = %(space)s AND answered_at IS NOT NULL"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM voice_call WHERE {talked}", {"space": space})
        calls = cursor.fetchone()[0]
    each = -(-sizes.turns // calls)
    _insert(
        "turns",
        Turn,
        {
            "workspace_id": "%(space)s",
            "created_at": "c.created_at + k * interval '9 seconds'",
            "id": "uuidv7(c.created_at + k * interval '9 seconds' - clock_timestamp())",
            "call_id": "c.id",
            "item_id": "'item_' || k",
            "position": "k",
            "speaker": "CASE WHEN mod(k, 2) = 1 THEN 'agent' ELSE 'caller' END",
            "text": "'Yes, we have about forty people, and the present system is ten years old.'",
            "heard_text": "'Yes, we have about forty people, and the present system is ten years old.'",
            "start_ms": "k * 9000",
            "end_ms": "k * 9000 + 6000",
            "status": "'completed'",
        },
        f"(SELECT id, created_at FROM voice_call WHERE {talked}) c, generate_series(1, {each}) k"
        f" LIMIT {sizes.turns}",
        {"space": space},
    )


def _first(space: uuid.UUID) -> str:
    from voice.models import PhoneNumber

    return PhoneNumber.objects.filter(workspace_id=space).values_list("e164", flat=True)[0][5]


def _ids(
    table: str, name: str, what: str = "array_agg(id ORDER BY id) AS ids, count(*)::int AS count"
) -> str:
    """All ids of a table that belong to the workspace, as a row beside each other row."""
    own = "workspace_id = %(space)s"
    if table == "voice_agentversion":
        own = f"agent_id IN (SELECT id FROM voice_agent WHERE {own})"
    return f"(SELECT {what} FROM {table} WHERE {own}) {name}"


def _insert(
    what: str, model: type[models.Model], columns: dict[str, str], source: str, values: dict[str, Any]
) -> None:
    """Rows of `model` out of `source`; columns that are not given get the field's default."""
    for field in model._meta.concrete_fields:
        if field.column not in columns and not field.generated and field.column != "agent_id":
            default = "uuidv7()" if field.primary_key else f"%(default_{field.column})s"
            columns = {**columns, str(field.column): default}
            values = {
                **values,
                f"default_{field.column}": field.get_db_prep_save(field.get_default(), connection),
            }
    names = ", ".join(f'"{name}"' for name in columns)
    _say(
        what,
        lambda: _execute(
            f"INSERT INTO {model._meta.db_table} ({names}) SELECT {', '.join(columns.values())} FROM {source}",
            values,
        ),
    )


def _execute(sql: str, values: dict[str, Any] | None = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def _rows(sql: str, values: dict[str, Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


def _say(what: str, work: Any) -> None:
    began = time.monotonic()
    work()
    print(f"  {timezone.now():%H:%M:%S} {what}: {time.monotonic() - began:.1f} s", flush=True)
