"""Every field that a write may not set, out of the OpenAPI document and the columns (promises.md D8)."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import orjson
from django.apps import apps

from tests.api import matrix
from tests.api.matrix import Ask, Ids, Json, Operation

_TRIED: dict[str, Any] = {"boolean": True, "integer": 1, "number": 1.0, "array": [], "object": {}}
_APPS = ("workspaces", "events", "webhooks", "crm", "voice")


@dataclass(frozen=True, slots=True)
class Push:
    """One field that is pushed into one write; `steps` lead to the object that it is pushed into."""

    operation: Operation
    steps: tuple[str, ...]
    field: str
    value: Any

    def __str__(self) -> str:
        return f"{self.operation.id}: {'.'.join((*self.steps, self.field))}"


def writes() -> list[Operation]:
    return [
        one for one in matrix.operations() if one.method in ("POST", "PUT", "PATCH") and one.body_schema()
    ]


def pushes() -> Iterator[Push]:
    """Fields that any answer shows, and columns of our tables, each into every object that we take."""
    shown = _shown()
    for operation in writes():
        for steps, schema in _objects(operation.body_schema() or {}, ()):
            taken = set(schema.get("properties", {}))
            for field, value in shown.items():
                if field not in taken:
                    yield Push(operation, steps, field, value)


def _shown() -> dict[str, Any]:
    """Name -> a value of the right type."""
    found: dict[str, Any] = {}
    for name, schema in matrix.document()["components"]["schemas"].items():
        if name.endswith("Out"):
            for field, inner in schema.get("properties", {}).items():
                kind = matrix.type_of(matrix.resolved(inner))
                found.setdefault(field, _TRIED.get(kind, "2020-01-01T00:00:00Z"))
    for model in apps.get_models():
        if model._meta.app_label in _APPS:
            for column in model._meta.concrete_fields:
                found.setdefault(column.attname, matrix.NOWHERE)
    return found


def _objects(schema: Json, steps: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Json]]:
    """Objects with fixed fields, at any depth."""
    schema = matrix.resolved(schema)
    if matrix.type_of(schema) == "array":
        yield from _objects(schema.get("items", {}), (*steps, "[]"))
    elif "properties" in schema:
        yield steps, schema
        for name, inner in schema["properties"].items():
            yield from _objects(inner, (*steps, name))


def problem(push: Push, own: Ids, ask: Ask) -> str | None:
    """What is wrong with the answer; None if the field was refused by name."""
    first = matrix.in_path(push.operation)
    slot = first or matrix.Slot(push.operation, "none", "")
    asked = matrix.request(slot, own[slot.kind] if first else "", own)
    body: Json = orjson.loads(asked.body or b"{}")
    _put(body, push, own)
    answer = ask(matrix.with_body(asked, body))
    for one in _errors(push, answer):
        names = [step for step in one["loc"] if isinstance(step, str)]
        # or the object that it stands in was refused as a whole: the rules of a segment that has none
        if names[-1] in (push.field, *push.steps) and one["type"] == "extra_forbidden":
            return None
    return f"{push}: {answer.status} {answer.body[:300]!r}"


def _errors(push: Push, answer: matrix.Answer) -> list[Json]:
    if answer.status == 422:
        return list(orjson.loads(answer.body)["detail"])
    if push.operation.id in matrix.ITEM_BY_ITEM and answer.status == 200:
        made = orjson.loads(answer.body)["results"][0]
        return list(made["errors"]) if made["result"] == "failed" else []
    return []


def _put(body: Json, push: Push, own: Ids) -> None:
    """The field into the object that the steps lead to; what is not there on the way is made up."""
    here: Any = body
    schema = push.operation.body_schema() or {}
    for step in push.steps:
        schema = matrix.resolved(schema)
        if step == "[]":
            schema = schema.get("items", {})
            if not here:
                here.append(deepcopy(matrix.sample(schema, "", own)))
            here = here[0]
        else:
            schema = schema["properties"][step]
            if not here.get(step):
                empty: Any = [] if matrix.type_of(matrix.resolved(schema)) == "array" else None
                here[step] = empty if empty is not None else deepcopy(matrix.sample(schema, step, own))
            here = here[step]
    here[push.field] = push.value
