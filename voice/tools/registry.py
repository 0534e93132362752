"""Running the tools that a model asks for. Whatever it sends, it gets JSON and never an exception.

A run is a row (unique per call and tool call id). Its effects and its output commit together, and only while
the row still says `running`: a second run of the same id finds the stored output, a run that was given up
(:func:`time_out`) rolls its effects back, and what is announced as done is done.
"""

import json
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone
from pydantic import ValidationError

from tenex.errors import TenexError
from tenex.lib import limits, storable
from voice.models import Call, ToolCall, ToolStatus
from voice.models.calls import OVER
from voice.services import journal
from voice.tools import scope as scopes
from voice.tools.catalog import NAMES, TOOLS, Tool
from voice.tools.scope import Answer, Effect, GivenUp, Scope

log = structlog.get_logger(__name__)

OUTPUT_BYTES = limits.TOOL_OUTPUT_BYTES
ARGUMENTS_BYTES = 16_384
BUDGET = 60
"""Tool calls per call; the ways out (end_call, note_opt_out) go beyond it, up to twice as many."""
_STATEMENT_TIMEOUT_MS = round(limits.TOOL_DEADLINE_S * 1000)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """`output_json` is for the model (at most OUTPUT_BYTES); the effect is for the live session."""

    output_json: str
    ok: bool
    effect: Effect = "none"
    effect_data: dict[str, Any] = field(default_factory=dict)


class _BadCall(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def definitions(names: Iterable[str]) -> list[dict[str, Any]]:
    """Function definitions for `session.update`, in a fixed order; unknown names are left out.

    Every agent gets the ways out of a call, listed or not.
    """
    wanted = set(names)
    return [tool.definition for name, tool in TOOLS.items() if name in wanted or tool.always]


def run(call_id: uuid.UUID, tool_call_id: str, name: str, arguments_json: str) -> ToolResult:
    """Run one tool call to its end. Blocking; for a worker thread. Never raises for what the model sent."""
    try:
        return _run(call_id, tool_call_id[:80], name[:80], arguments_json)
    except Exception:  # the top of a tool run: the call must go on whatever happened
        log.exception("tool run failed", call_id=str(call_id), tool=name[:80])
        return _failure("internal_error", _said(name))


def time_out(call_id: uuid.UUID, tool_call_id: str) -> ToolResult:
    """Give a running tool call up. If it finished just in time, its answer is given instead."""
    result = _given_up(call_id, tool_call_id[:80])
    changed = ToolCall.objects.filter(
        call_id=call_id, tool_call_id=tool_call_id[:80], status=ToolStatus.RUNNING
    ).update(status=ToolStatus.TIMED_OUT, output=json.loads(result.output_json))
    row = ToolCall.objects.filter(call_id=call_id, tool_call_id=tool_call_id[:80]).first()
    if row is None:
        return result
    if changed:
        _log_finish(row, result)
        return result
    return _stored(row)


def _given_up(call_id: uuid.UUID, tool_call_id: str) -> ToolResult:
    """What the model is told of a run that took too long: not done, or that nobody knows yet."""
    names = ToolCall.objects.filter(call_id=call_id, tool_call_id=tool_call_id).values_list("name", flat=True)
    name = names.first()
    tool = TOOLS.get(name or "")
    said = tool.given_up(call_id) if tool is not None and tool.given_up is not None else ""
    if said:
        return _failure("not_confirmed", said)
    return _failure("timeout", _said(name, late=True))


def _run(call_id: uuid.UUID, tool_call_id: str, name: str, arguments_json: str) -> ToolResult:
    call = Call.objects.filter(pk=call_id).only("workspace_id", "answered_at", "created_at").first()
    if call is None:
        return _failure("call_over", "There is no such call.")
    known = ToolCall.objects.filter(call_id=call_id, tool_call_id=tool_call_id).first()
    if known is None:
        if _over_budget(call_id, TOOLS.get(name)):
            return _failure("budget_exhausted", "Too many tool calls in this call. Go on without tools.")
        known = _start(call, tool_call_id, name, arguments_json)
    if known.status != ToolStatus.RUNNING:
        return _stored(known)
    started = time.monotonic()
    try:
        result = _execute(known, arguments_json, started)
    except GivenUp:
        known.refresh_from_db()
        return _stored(known)
    _log_finish(known, result)
    return result


def _start(call: Call, tool_call_id: str, name: str, arguments_json: str) -> ToolCall:
    """The row and the journal line, committed before anything is done."""
    now = timezone.now()
    at_ms = int((now - (call.answered_at or call.created_at)).total_seconds() * 1000)
    try:
        with transaction.atomic():
            row = ToolCall.objects.create(
                call_id=call.pk,
                tool_call_id=tool_call_id,
                workspace_id=call.workspace_id,
                name=storable.text(name),
                arguments=_readable(arguments_json),
                at_ms=max(0, at_ms),
            )
            line = {"tool_call_id": tool_call_id, "name": row.name, "arguments": row.arguments}
            journal.append(call.pk, [journal.Line("tool.started", line, at=now)])
    except IntegrityError:  # another runner of the same id was faster: nothing of ours is kept
        return ToolCall.objects.get(call_id=call.pk, tool_call_id=tool_call_id)
    return row


def _execute(row: ToolCall, arguments_json: str, started: float) -> ToolResult:
    """Effects and output in one transaction; on an error the effects are undone and the error is stored."""
    try:
        ahead = _ahead(row, arguments_json)
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {_STATEMENT_TIMEOUT_MS}")
            answer = _call_tool(row, arguments_json, ahead)
            result = _success(row, answer)
            _finish(row, result, ToolStatus.SUCCEEDED, started)
        return result
    except _BadCall as exc:
        result = _failure(exc.code, str(exc))
    except TenexError as exc:
        code = getattr(exc, "type_", "") or exc.code
        result = _failure(code, exc.detail, exc.extra)
    except DatabaseError:
        log.exception("tool failed in the database", call_id=str(row.call_id), tool=row.name)
        result = _failure("internal_error", _said(row.name))
    except GivenUp:
        raise
    except Exception:  # a fault of ours inside one tool: the model is told, the row says so
        log.exception("tool failed", call_id=str(row.call_id), tool=row.name)
        result = _failure("internal_error", _said(row.name))
    with transaction.atomic():
        _finish(row, result, ToolStatus.FAILED, started)
    return result


def _ahead(row: ToolCall, arguments_json: str) -> Any:
    """What a tool does before its transaction, with ones of its own: wait for somebody else's server."""
    named = TOOLS.get(row.name)
    if named is None or named.ahead is None:
        return None
    scope, _, arguments = _admitted(row, arguments_json)

    def still_wanted() -> None:
        rows = ToolCall.objects.select_for_update().filter(pk=row.pk, status=ToolStatus.RUNNING)
        if not rows.exists():
            raise GivenUp

    scope.still_wanted = still_wanted
    return named.ahead(scope, arguments)


def _admitted(row: ToolCall, arguments_json: str) -> tuple[Scope, Tool, Any]:
    scope = scopes.of(row.call_id)
    tool = TOOLS.get(row.name)
    if tool is None or not _allowed(scope, tool):
        raise _BadCall("unknown_tool", f"There is no tool {row.name!r}.")
    if scope.call.status in OVER and not tool.after_end:
        raise _BadCall("call_over", "The call is over.")
    return scope, tool, _arguments(tool, arguments_json)


def _call_tool(row: ToolCall, arguments_json: str, ahead: Any) -> Answer:
    scope, tool, arguments = _admitted(row, arguments_json)
    scope.found_ahead = ahead
    if not scope.call.is_test:
        return tool.run(scope, arguments)
    with transaction.atomic():
        answer = tool.run(scope, arguments)
        transaction.set_rollback(True)  # tried out: what it would have answered, and nothing written
    return Answer({**answer.output, "dry_run": True})


def _allowed(scope: Scope, tool: Tool) -> bool:
    version = scope.call.spoken
    return tool.always or (version is not None and tool.name in version.tools)


def _arguments(tool: Tool, arguments_json: str) -> Any:
    if len(arguments_json) > ARGUMENTS_BYTES:
        raise _BadCall("bad_arguments", "The arguments are too long.")
    try:
        value = json.loads(arguments_json or "{}")
    except (ValueError, RecursionError) as exc:
        raise _BadCall("bad_json", "The arguments are not JSON.") from exc
    try:
        # In JSON mode `strict` still reads what JSON can't hold otherwise; text is made storable first.
        return tool.arguments.model_validate_json(json.dumps(storable.json_value(value)))
    except ValidationError as exc:
        raise _BadCall("bad_arguments", _explain(exc)) from exc


def _explain(error: ValidationError) -> str:
    """Where and what, without echoing the input."""
    parts = []
    for item in error.errors(include_input=False, include_url=False)[:5]:
        where = ".".join(str(part) for part in item["loc"]) or "arguments"
        parts.append(f"{where}: {item['msg']}")
    return "; ".join(parts)[:600]


def _over_budget(call_id: uuid.UUID, tool: Tool | None) -> bool:
    budget = BUDGET * 2 if tool is not None and tool.always else BUDGET
    return ToolCall.objects.filter(call_id=call_id).count() >= budget


def _finish(row: ToolCall, result: ToolResult, status: ToolStatus, started: float) -> None:
    """Store the answer if the row still runs. The row lock makes two runners of one id queue up here."""
    output, duration_ms = json.loads(result.output_json), int((time.monotonic() - started) * 1000)
    changed = ToolCall.objects.filter(pk=row.pk, status=ToolStatus.RUNNING).update(
        status=status, output=output, duration_ms=duration_ms
    )
    if not changed:
        raise GivenUp
    row.status, row.output, row.duration_ms = status, output, duration_ms


def _stored(row: ToolCall) -> ToolResult:
    """The answer of an earlier run, with its effect: a session that lost the first answer needs it again."""
    return _result(row, _dump(row.output or {}), ok=row.status == ToolStatus.SUCCEEDED)


def _success(row: ToolCall, answer: Answer) -> ToolResult:
    return _result(row, _dump(storable.json_value(answer.output)), ok=True)


def _result(row: ToolCall, output_json: str, *, ok: bool) -> ToolResult:
    tool = TOOLS.get(row.name)
    if not ok or tool is None or tool.effect == "none":
        return ToolResult(output_json, ok)
    data = {"reason": row.arguments.get("reason", "")}
    if tool.effect == "transfer":
        data["number"] = Call.objects.values_list("transfer_to", flat=True).get(pk=row.call_id)
    return ToolResult(output_json, ok, tool.effect, data)


def _failure(code: str, message: str, extra: dict[str, Any] | None = None) -> ToolResult:
    output = {"error": {"code": code, "message": message, **(extra or {})}}
    return ToolResult(output_json=_dump(storable.json_value(output)), ok=False)


def _said(name: str | None, *, late: bool = False) -> str:
    """What the model is told about a run that broke, or came late."""
    tool = TOOLS.get(name or "", TOOLS["end_call"])
    return tool.late if late else tool.failed


def _dump(output: dict[str, Any]) -> str:
    """JSON of at most OUTPUT_BYTES. What is too long loses its longest texts first, and says so."""
    limit = OUTPUT_BYTES
    text = json.dumps(output, ensure_ascii=False, separators=(",", ":"))
    room = 2000
    while len(text.encode()) > limit and room >= 1:
        text = json.dumps({**_cut(output, room), "clipped": True}, ensure_ascii=False, separators=(",", ":"))
        room //= 2
    if len(text.encode()) > limit:
        return '{"error":{"code":"too_long","message":"The result is too long to be given."},"clipped":true}'
    return text


def _cut(value: Any, room: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= room else value[:room] + "…"
    if isinstance(value, list):
        return [_cut(item, room) for item in value[: max(1, room // 20)]]
    if isinstance(value, dict):
        return {key: _cut(item, room) for key, item in value.items()}
    return value


def _readable(arguments_json: str) -> Any:
    """Arguments for the row and the journal; what is not JSON is kept as a clipped text."""
    try:
        value = json.loads(arguments_json or "{}") if len(arguments_json) <= ARGUMENTS_BYTES else None
    except (ValueError, RecursionError):
        value = None
    if value is None:
        return {"_raw": storable.text(arguments_json[:500])}
    return storable.json_value(value)


def _log_finish(row: ToolCall, result: ToolResult) -> None:
    journal.append(
        row.call_id,
        [
            journal.Line(
                "tool.finished",
                {
                    "tool_call_id": row.tool_call_id,
                    "name": row.name,
                    "ok": result.ok,
                    "status": row.status,
                    "output": json.loads(result.output_json),
                    "duration_ms": row.duration_ms,
                },
            )
        ],
    )


__all__ = ["BUDGET", "NAMES", "OUTPUT_BYTES", "ToolResult", "definitions", "run", "time_out"]
