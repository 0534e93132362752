"""The writer against a database that is slow, away, or refuses, and media that must not notice."""

import asyncio
import time
import uuid
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.utils import DataError

from tests.bridge.conftest import World, make_call
from voice.bridge import rounds as rounds_module
from voice.bridge import threads
from voice.bridge import writer as writer_module
from voice.models import Call, CallEvent, Turn
from voice.services import journal, live, live_store
from voice.services.live import CallContext
from voice.services.live_store import Batch

pytestmark = pytest.mark.django_db(transaction=True)


class Database:
    """`live_store.store` with trouble in front of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._real = live_store.store
        self.away = False
        self.slow_s = 0.0
        self.refuses = ""
        self.tries = 0
        self._many = live_store.store_many
        monkeypatch.setattr(live_store, "store", self.store)
        monkeypatch.setattr(live_store, "store_many", self.store_many)

    def store_many(self, writes: Sequence[tuple[CallContext, Batch]]) -> dict[uuid.UUID, bool]:
        if self.away:
            raise OperationalError("connection refused")
        if self.refuses and any(line.type == self.refuses for _, batch in writes for line in batch.lines):
            raise DataError("not in this database")
        return self._many(writes)

    def store(self, context: CallContext, batch: Batch) -> bool:
        self.tries += 1
        if self.slow_s:
            time.sleep(self.slow_s)
        if self.away:
            raise OperationalError("connection refused")
        if self.refuses and any(line.type == self.refuses for line in batch.lines):
            raise DataError("not in this database")
        return self._real(context, batch)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    return Database(monkeypatch)


async def test_a_slow_database_does_not_slow_the_audio(world: World, database: Database) -> None:
    database.slow_s = 0.4
    async with world.talking() as talk:
        await talk.session.wait_for("response.create")
        await talk.agent_says()
        slowest = 0.0
        for number in range(1, 60):
            began = time.monotonic()
            await talk.phone.speak()
            await talk.session.wait_for("input_audio_buffer.append", number)
            slowest = max(slowest, time.monotonic() - began)
            await asyncio.sleep(0.01)
        assert slowest < 0.2
        await talk.phone.stop()
        await talk.over()
    assert await world.orm(lambda: Turn.objects.filter(call=talk.call).count()) == 1


async def test_a_database_that_is_away_costs_nothing_but_time(world: World, database: Database) -> None:
    async with world.talking() as talk:
        await talk.session.wait_for("response.create")
        database.away = True
        await talk.agent_says()
        await talk.heard()
        await talk.caller_says("I want to buy.", previous="item_a")
        await asyncio.sleep(0.8)
        assert database.tries >= 2
        await talk.phone.speak()
        database.away = False
        await talk.phone.stop()
        row = await talk.over()
    turns = await world.orm(lambda: list(Turn.objects.filter(call=row).order_by("position")))
    assert [turn.text for turn in turns] == ["Hello there.", "I want to buy."]
    seqs = await world.orm(lambda: list(CallEvent.objects.filter(call=row).values_list("seq", flat=True)))
    assert sorted(seqs) == list(range(1, row.journal_seq + 1))


async def test_the_end_waits_for_the_database_but_not_for_ever(
    world: World, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "FINISH_WAIT_S", 0.5)
    async with world.talking() as talk:
        await talk.session.wait_for("response.create")
        database.away = True
        await talk.phone.stop()
        assert await talk.phone.closed() == 1000
    row = await world.orm(lambda: type(talk.call).objects.get(pk=talk.call.pk))
    assert row.lease_until is not None  # nobody gave it back: the sweeper will find it


async def test_one_bad_line_does_not_cost_the_others(world: World, database: Database) -> None:
    async with world.talking() as talk:
        await talk.session.wait_for("response.create")
        database.refuses = "turn.updated"
        await talk.agent_says()
        await talk.phone.stop()
        row = await talk.over()
    types = await world.orm(lambda: list(CallEvent.objects.filter(call=row).values_list("type", flat=True)))
    assert "turn.updated" not in types
    assert "call.live_ended" in types
    assert await world.orm(lambda: Turn.objects.filter(call=row).count()) == 1


async def test_characters_that_postgresql_refuses(world: World) -> None:
    async with world.talking() as talk:
        await talk.session.wait_for("response.create")
        await talk.caller_says("nul \x00 and a literal \\u0000")
        await talk.phone.stop()
        row = await talk.over()
    turn: Any = await world.orm(lambda: Turn.objects.get(call=row))
    assert turn.text == "nul  and a literal \\u0000"


def test_usage_is_summed_member_by_member() -> None:
    total: dict[str, Any] = {}
    for _ in range(2):
        writer_module.add_usage(total, {"total": 3, "input": {"cached": 1, "note": "x"}, "odd": None})
    assert total == {"total": 6, "input": {"cached": 2}}


def _line(text: str) -> Batch:
    return Batch(lines=[journal.Line("note", {"text": text})], renew=True)


def _texts(call_id: uuid.UUID) -> list[str]:
    lines = CallEvent.objects.filter(call_id=call_id, type="note").order_by("seq")
    return [line.data["text"] for line in lines]


@pytest.fixture
def contexts() -> list[CallContext]:
    """Three live calls, each with a stream here."""
    return _live_calls(range(3))


def _live_calls(numbers: range) -> list[CallContext]:
    made = []
    for number in numbers:
        call = make_call(from_number=f"+1415555010{number}")
        sid = call.provider_sid or ""
        made.append(live.open_stream(live.issue_token(call), sid, f"MZ{number}", f"stream-{number}"))
    return made


def test_one_statement_writes_for_several_calls(contexts: list[CallContext]) -> None:
    first, second, third = contexts
    Call.objects.filter(pk=second.call_id).update(lease_owner="another process")
    before = {call.pk: call.journal_seq for call in Call.objects.all()}
    usage = Batch(lines=[journal.Line("note", {"text": "u"})], usage={"total": 3})
    held = live_store.store_many([(first, _line("a")), (second, _line("b")), (third, usage)])
    assert held == {first.call_id: True, second.call_id: False, third.call_id: True}
    assert [_texts(context.call_id) for context in contexts] == [["a"], ["b"], ["u"]]
    for call in Call.objects.all():
        assert call.journal_seq == before[call.pk] + 1
        assert list(
            CallEvent.objects.filter(call=call).values_list("seq", flat=True).order_by("seq")
        ) == list(range(1, call.journal_seq + 1))
    assert Call.objects.get(pk=third.call_id).usage == {"total": 3}


def test_a_call_whose_row_is_held_keeps_none_of_the_others_waiting(contexts: list[CallContext]) -> None:
    first, second, third = contexts
    other = connection.copy()
    with closing(other), other.cursor() as holder:
        holder.execute("BEGIN")
        holder.execute("SELECT 1 FROM voice_call WHERE id = %s FOR UPDATE", [first.call_id])
        held = live_store.store_many([(first, _line("a")), (second, _line("b")), (third, _line("c"))])
        assert set(held) == {second.call_id, third.call_id}
        assert _texts(first.call_id) == []
        holder.execute("ROLLBACK")
    assert live_store.store(first, _line("a"))
    assert _texts(first.call_id) == ["a"]


async def test_a_round_writes_for_many_and_one_that_fails_fails_alone(
    world: World, contexts: list[CallContext], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rings: list[int] = []
    monkeypatch.setattr(live_store, "ring", lambda contexts: rings.append(len(list(contexts))))
    rounds = rounds_module.Rounds(asyncio.get_running_loop())

    async def write(*batches: tuple[CallContext, Batch]) -> list[bool | BaseException]:
        written = [rounds.write(*write, partial(live_store.store, *write)) for write in batches]
        return await asyncio.gather(*written, return_exceptions=True)

    first, second, third = contexts
    assert await write((first, _line("a")), (second, _line("b")), (third, _line("c"))) == [True] * 3
    assert database.tries == 0  # together
    # Two writers of one call, and a line that the database refuses: together they cannot be written.
    bad = Batch(lines=[journal.Line("refused", {"text": "x"})])
    database.refuses = "refused"
    results = await write((first, _line("d")), (second, bad), (first, _line("e")), (third, _line("f")))
    assert [result for result in results if not isinstance(result, DataError)] == [True] * 3
    assert isinstance(results[1], DataError)
    assert await world.orm(lambda: [_texts(context.call_id) for context in contexts]) == [
        ["a", "d", "e"],
        ["b"],
        ["c", "f"],
    ]
    assert rings[0] == 3
    assert sorted(rings[1:]) == [1, 1, 2]


async def test_nobody_waits_for_calls_whose_rows_are_held(world: World) -> None:
    rounds = rounds_module.Rounds(asyncio.get_running_loop())
    contexts = await world.orm(lambda: _live_calls(range(threads.WRITER_THREADS + 3)))
    held, free = contexts[:-2], contexts[-2:]
    other = connection.copy()
    other.inc_thread_sharing()

    def hold() -> None:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            ids = [context.call_id for context in held]
            cursor.execute("SELECT 1 FROM voice_call WHERE id = ANY(%s) FOR UPDATE", [ids])

    def write(some: list[CallContext], text: str) -> list["asyncio.Future[bool]"]:
        return [rounds.write(one, _line(text), partial(live_store.store, one, _line(text))) for one in some]

    try:
        await world.orm(hold)
        waiting, done = write(held, "a"), write(free, "a")
        assert await asyncio.wait_for(asyncio.gather(*done), 5) == [True, True]
        for some, text in ((free, "b"), (free[:1], "c")):
            assert all(await asyncio.wait_for(asyncio.gather(*write(some, text)), 5))
        assert not any(one.done() for one in waiting)
    finally:
        await world.orm(other.close)
    assert await asyncio.wait_for(asyncio.gather(*waiting), 5) == [True] * len(held)
    texts = await world.orm(lambda: [_texts(context.call_id) for context in contexts])
    assert texts == [["a"]] * len(held) + [["a", "b", "c"], ["a", "b"]]


async def test_words_are_one_row_a_write_however_slow_writing_is(world: World, database: Database) -> None:
    async with world.talking() as talk:
        await talk.session.wait_for("response.create")
        await asyncio.sleep(0.5)
        database.slow_s = 1.5
        await talk.caller_says("Yes.", item="item_u")
        await asyncio.sleep(0.4)  # the write under way takes until after the next words
        say = talk.session.say
        await say(type="input_audio_buffer.committed", item_id="item_v", previous_item_id="item_u")
        kind = "conversation.item.input_audio_transcription.delta"
        for word in ("I ", "would ", "like ", "to ", "buy. "):
            await say(type=kind, item_id="item_v", content_index=0, delta=word)
            await asyncio.sleep(0.3)
        database.slow_s = 0.0
        await talk.phone.stop()
        row = await talk.over()
    lines = CallEvent.objects.filter(call=row, type="transcript.delta", data__item_id="item_v")
    told = await world.orm(lambda: [line.data["text"] for line in lines.order_by("seq")])
    assert "".join(told) == "I would like to buy. "
    assert len(told) <= 3, told
