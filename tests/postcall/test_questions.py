"""A call that could not look something up: what the agent is told, what is kept, what is found afterwards."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from crm.models import Corpus, FollowUp
from crm.services import knowledge
from crm.services import questions as kept
from tests import rows
from tests.crm.knowledge_work import settle
from voice.models import Call, CallEvent, ToolCall, ToolStatus
from voice.postcall import questions
from voice.tools import registry
from voice.tools.knowledge import UNAVAILABLE

TEXT = "# Refunds\nWe refund within thirty days of the purchase."


def ask(call: Call, query: str) -> dict[str, Any]:
    made = registry.run(call.pk, uuid.uuid4().hex, "search_knowledge", json.dumps({"query": query}))
    output: dict[str, Any] = json.loads(made.output_json)
    return output


def a_call(**fields: Any) -> Call:
    space = rows.workspace()
    return rows.call(space, lead=rows.lead(space), **fields)


@contextmanager
def passages_locked() -> Iterator[None]:
    """Somebody holds the table of passages: searches wait, and run out of time."""
    settings = connection.settings_dict
    with psycopg.connect(
        dbname=str(settings["NAME"]), host=str(settings["HOST"]), port=str(settings["PORT"] or ""),
        user=str(settings["USER"]), password=str(settings["PASSWORD"]),
    ) as other:  # fmt: skip
        other.execute("LOCK TABLE crm_chunk IN ACCESS EXCLUSIVE MODE")
        yield
        other.rollback()


@pytest.mark.django_db(transaction=True)
def test_a_slow_search_is_told_plainly_kept_and_answered_after_the_call() -> None:
    call = a_call()
    knowledge.put(call.workspace, "Terms", TEXT)
    settle()
    with passages_locked():
        told = ask(call, "do you give refunds")
        assert told == {"results": [], "unavailable": True, "note": UNAVAILABLE}
    health = Corpus.objects.get(pk=call.workspace_id)
    assert (health.faults, health.fault) == (1, "OperationalError")
    rows.end(call)
    assert questions.settle(call.pk) == {"questions": 1}
    assert questions.settle(call.pk) == {"questions": 1}
    row = FollowUp.objects.get(call_id=call.pk)
    assert (row.kind, row.note, row.status) == ("question_unanswered", "do you give refunds", "open")
    line = CallEvent.objects.get(call=call, type="knowledge.unanswered")
    assert line.data["questions"] == [{"question": "do you give refunds", "because": "unavailable"}]
    with passages_locked():
        connection.cursor().execute("SET statement_timeout = 500")
        assert not kept.answer(row.pk)
        connection.cursor().execute("RESET statement_timeout")
    row.refresh_from_db()
    assert row.answer_at
    assert row.answer_at > timezone.now()
    FollowUp.objects.update(answer_at=timezone.now())
    assert kept.due() == [row.pk]
    assert kept.answer(row.pk)
    row = FollowUp.objects.get(pk=row.pk)
    [answered] = row.data["questions"]
    assert answered["passages"][0]["text"].startswith("We refund within thirty days")
    assert row.answer_at is None
    assert kept.due() == []


@pytest.mark.django_db
def test_what_is_kept_and_what_is_not() -> None:
    call = a_call()

    def ran(query: str, status: str, output: dict[str, Any] | None) -> None:
        ToolCall.objects.create(
            workspace=call.workspace, call=call, tool_call_id=uuid.uuid4().hex, name="search_knowledge",
            arguments={"query": query}, output=output, status=status, at_ms=ToolCall.objects.count(),
        )  # fmt: skip

    ran("found", ToolStatus.SUCCEEDED, {"results": [{"text": "x"}]})
    ran("in vain", ToolStatus.SUCCEEDED, {"results": [], "note": "Nothing found."})
    ran("late", ToolStatus.TIMED_OUT, {"error": {"code": "timeout", "message": "x"}})
    ran("died", ToolStatus.RUNNING, None)
    ran("mended", ToolStatus.FAILED, {"error": {"code": "internal_error", "message": "x"}})
    ran("Mended", ToolStatus.SUCCEEDED, {"results": [{"text": "x"}]})
    ran("nonsense", ToolStatus.FAILED, {"error": {"code": "bad_arguments", "message": "x"}})
    rows.end(call)
    questions.settle(call.pk)
    told = FollowUp.objects.get(call_id=call.pk).data["questions"]
    assert [(one["question"], one["because"]) for one in told] == [
        ("in vain", "not_found"),
        ("late", "unavailable"),
        ("died", "unavailable"),
    ]


@pytest.mark.django_db
def test_a_caller_whom_nobody_knows_becomes_a_lead_for_it() -> None:
    call = rows.call(rows.workspace(), from_number="+14155550199")
    assert ask(call, "do you sell zebras")["results"] == []
    rows.end(call)
    questions.settle(call.pk)
    call.refresh_from_db()
    assert FollowUp.objects.get().lead == call.lead


@pytest.mark.django_db
@pytest.mark.parametrize("fields", [{"is_test": True}, {"off_record_at": timezone.now()}])
def test_nothing_is_kept_of_a_test_or_after_an_objection(fields: dict[str, Any]) -> None:
    call = a_call(**fields)
    ask(call, "do you sell zebras")
    rows.end(call)
    assert questions.settle(call.pk) == {}
    assert not FollowUp.objects.exists()


@pytest.mark.django_db
def test_what_breaks_outside_of_the_search_is_told_in_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    call = a_call()

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("voice.tools.knowledge.retrieval.search", broken)
    assert ask(call, "prices")["error"] == {"code": "internal_error", "message": UNAVAILABLE}
    row = ToolCall.objects.create(
        workspace=call.workspace, call=call, tool_call_id="slow", name="search_knowledge", status="running",
        at_ms=1,
    )  # fmt: skip
    assert (
        json.loads(registry.time_out(call.pk, row.tool_call_id).output_json)["error"]["message"]
        == UNAVAILABLE
    )
