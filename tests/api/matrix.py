"""Every place where a request can name a row, out of the OpenAPI document itself (promises.md D1).

A path parameter, a query parameter or a field of a body, at any depth, that is called `…_id` or `…_ids` or is
a UUID. A new route is tried without anybody doing anything for it; where a name is not known, or no valid
body can be made up, it fails and says what to add.
"""

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from urllib.parse import urlencode

import orjson
from django.urls import resolve

NOWHERE = "01900000-0000-7000-8000-000000000000"
NO_KEY = "zzzzzzzz"
_METHODS = ("get", "post", "put", "patch", "delete")
_COUNTERS = {"ratelimit-remaining", "ratelimit-reset", "date", "retry-after"}
"""Headers that differ from one request to the next."""

SAME_AS = {"calendar_connector_id": "calendar_id", "owner_id": "user_id"}
"""Fields that name a row of a kind that goes by another name elsewhere."""

ITEM_BY_ITEM = {"leads_bulk_create"}
"""Their answer is 200 with a result for each item; the wrong id is in the item's errors."""

NO_ROWS = {"last_event_id"}
"""Called so, but numbers of a stream."""

# Where what the schema says does not suffice: operation id -> fields that belong to a valid body.
BODIES: dict[str, dict[str, Any]] = {
    "connectors_create": {"kind": "built_in"},
    "sessions_create": {"phone": "+14155550166"},
    "invitations_accept": {"password": "a long enough password"},
    "knowledge_documents_create": {"title": "Terms", "text": "We refund within thirty days."},
    "persons_known": {"phone": "+14155550177"},
    "persons_export": {"phone": "+14155550177"},
    "persons_erase": {"phone": "+14155550177", "confirm": "+14155550177"},
    "retention_holds_create": {"everything": True},
    "numbers_create": {"e164": "+14155550188", "configure": False},
}
_FORM = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nHello.\r\n--b--\r\n'
_RAW = {
    "text/csv": (b"first_name\nAda\n", "text/csv"),
    "multipart/form-data": (_FORM, "multipart/form-data; boundary=b"),
}
"""Bodies of what takes no JSON, with their whole content type."""
_SAMPLES = {
    "phone": "+14155550177",
    "e164": "+14155550188",
    "to": "+14155550199",
    "email": "somebody@matrix.example",
    "url": "http://127.0.0.1:9/x",
    "time_zone": "Europe/Berlin",
    "country": "US",
    "region": "CA",
}

type Json = dict[str, Any]
type Ids = dict[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def comparable(self) -> tuple[int, bytes, dict[str, str]]:
        kept = {name.lower(): value for name, value in self.headers.items()}
        return self.status, self.body, {k: v for k, v in kept.items() if k not in _COUNTERS}


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    body: bytes = b""
    content_type: str = "application/json"


type Ask = Callable[[Request], Answer]


@dataclass(frozen=True, slots=True)
class Operation:
    id: str
    method: str
    path: str
    described: Json

    @property
    def with_token_only(self) -> bool:
        """No credential is asked for: a signed token in the query is one."""
        return not self.described["security"]

    @property
    def is_public(self) -> bool:
        return not any(self.described["security"])

    @property
    def streams(self) -> bool:
        return any(
            "text/event-stream" in one.get("content", {}) for one in self.described["responses"].values()
        )

    @property
    def runs_in_threads(self) -> bool:
        """A plain async view: it sees only what is committed."""
        path = re.sub(r"{\w+}", "1", re.sub(r"{\w+_id}", NOWHERE, self.path))
        return not hasattr(resolve(path).func, "view_class")

    def parameters(self, place: str) -> list[Json]:
        return [one for one in self.described.get("parameters", []) if one["in"] == place]

    def body_schema(self) -> Json | None:
        content = self.described.get("requestBody", {}).get("content", {})
        found: Json | None = content.get("application/json", {}).get("schema")
        return found


@dataclass(frozen=True, slots=True)
class Slot:
    """One place in one operation. `steps` lead through a body; `[]` is "in each item"."""

    operation: Operation
    place: str
    name: str
    steps: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = ".".join(self.steps) or self.name
        return f"{self.operation.method} {self.operation.path} {self.place}:{where}"

    @property
    def many(self) -> bool:
        return bool(self.steps) and self.steps[-1] == "[]"

    @property
    def kind(self) -> str:
        """The name that :func:`tests.api.test_tenants.ids` has for such a row."""
        name = re.sub(r"_ids$", "_id", self.name)
        return SAME_AS.get(name, name)


@cache
def document() -> Json:
    from tenex.api.docs import document as rendered

    found: Json = orjson.loads(rendered()[0])
    return found


@cache
def operations() -> tuple[Operation, ...]:
    return tuple(
        Operation(described["operationId"], method.upper(), path, described)
        for path, item in document()["paths"].items()
        for method, described in item.items()
        if method in _METHODS
    )


@cache
def slots() -> tuple[Slot, ...]:
    return tuple(slot for operation in operations() for slot in _slots(operation))


def _slots(operation: Operation) -> Iterator[Slot]:
    for one in operation.parameters("path"):
        if one["schema"].get("type") != "integer":  # the number of a version, for instance
            yield Slot(operation, "path", one["name"])
    for one in operation.parameters("query"):
        if _names_a_row(one["name"], one["schema"]):
            yield Slot(operation, "query", one["name"])
    schema = operation.body_schema()
    if schema is not None:
        for steps in _fields(schema, ()):
            name = next(step for step in reversed(steps) if step != "[]")
            yield Slot(operation, "body", name, steps)


def _names_a_row(name: str, schema: Json) -> bool:
    inner = resolved(schema)
    if name in NO_ROWS:
        return False
    return name.endswith(("_id", "_ids")) or inner.get("format") == "uuid"


def resolved(schema: Json) -> Json:
    """The schema behind references, and of what may be null the rest."""
    if "$ref" in schema:
        return resolved(document()["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
    for several in ("allOf", "oneOf", "anyOf"):
        if several in schema:
            parts = [one for one in map(resolved, schema[several]) if one.get("type") != "null"]
            return {**schema, **parts[0]} if parts else schema
    return schema


def type_of(schema: Json) -> str:
    kind = schema.get("type", "")
    return next((one for one in kind if one != "null"), "") if isinstance(kind, list) else str(kind)


def _fields(schema: Json, steps: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    schema = resolved(schema)
    if type_of(schema) == "array":
        yield from _fields(schema.get("items", {}), (*steps, "[]"))
    elif "properties" in schema:
        for name, inner in schema["properties"].items():
            yield from _fields(inner, (*steps, name))
    elif steps and type_of(schema) == "string":
        name = next((step for step in reversed(steps) if step != "[]"), "")
        if _names_a_row(name, schema):
            yield steps


# --- making requests up ------------------------------------------------------------------------------


def sample(schema: Json, name: str, own: Ids) -> Any:
    """A value that the schema accepts; ids are the tenant's own."""
    schema = resolved(schema)
    if "example" in schema or schema.get("examples"):
        return schema.get("example", next(iter(schema.get("examples", [None]))))
    if "enum" in schema:
        return next(value for value in schema["enum"] if value)
    if _names_a_row(name, schema) and type_of(schema) == "string":
        return known(own, SAME_AS.get(re.sub(r"_ids$", "_id", name), re.sub(r"_ids$", "_id", name)))
    match type_of(schema):
        case "array":
            return [sample(schema.get("items", {}), name, own)]
        case "object":
            needed = schema.get("required", [])
            return {one: sample(schema["properties"][one], one, own) for one in needed}
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return False
    if schema.get("format") == "date-time":
        return "2099-01-01T09:00:00Z"
    return _SAMPLES.get(name, "text")


def known(ids: Ids, kind: str) -> str:
    assert kind in ids, f"what is a {kind}? Add one to tests.api.test_tenants.ids (or a name to SAME_AS)"
    return ids[kind]


def request(slot: Slot, value: str, own: Ids) -> Request:
    """A request in which all is the tenant's own and valid, but for `value` in the slot."""
    operation = slot.operation
    names = {one["name"]: one["schema"] for one in operation.parameters("path")}
    filled = {
        name: str(sample(schema, name, own)) if schema.get("type") == "integer" else known(own, name)
        for name, schema in names.items()
    }
    if slot.place == "path":
        filled[slot.name] = value
    path = operation.path.format_map(filled)
    query = {
        one["name"]: sample(one["schema"], one["name"], own)
        for one in operation.parameters("query")
        if one.get("required") and one["name"] != "token"
    }
    if operation.path.startswith("/api/v1/voice/metrics"):
        query |= {"from": "2026-01-01", "to": "2026-01-08"}  # else it is up to now, which never is the same
    if slot.place == "query":
        query[slot.name] = value
    if query:
        path += f"?{urlencode(query)}"
    if operation.method in ("GET", "DELETE"):
        return Request(operation.method, path)
    schema = operation.body_schema()
    if schema is None:
        kind = next(iter(operation.described.get("requestBody", {}).get("content", {})), "application/json")
        raw, declared = _RAW.get(kind, (b"", kind))
        return Request(operation.method, path, raw, declared)
    body = {**sample(schema, "", own), **BODIES.get(operation.id, {})}
    if slot.place == "body":
        body.update(_with(schema, slot.steps, value, own))
        body = _only_one_of(operation, body, slot.name, own)
    return Request(operation.method, path, orjson.dumps(body))


def _with(schema: Json, steps: tuple[str, ...], value: str, own: Ids) -> Json:
    """The top field of a body that leads to `value`; what stands beside it is valid."""
    field, *rest = steps
    return {field: _inside(resolved(schema)["properties"][field], rest, value, own)}


def _inside(schema: Json, steps: list[str], value: str, own: Ids) -> Any:
    if not steps:
        return value
    schema = resolved(schema)
    if steps[0] == "[]":
        return [_inside(schema.get("items", {}), steps[1:], value, own)]
    whole = sample(schema, steps[0], own)
    return {**whole, steps[0]: _inside(schema["properties"][steps[0]], steps[1:], value, own)}


def _only_one_of(operation: Operation, body: Json, name: str, own: Ids) -> Json:
    """A call is to a lead or to a phone number; a batch is of leads or of a segment; a person is meant by
    one thing, and a hold is on one."""
    if operation.id.startswith(("persons_", "retention_holds_")):
        others = {"lead_id", "call_id", "phone", "everything"} - {name}
        return {key: value for key, value in body.items() if key not in others}
    if operation.id == "sessions_create" and name == "lead_id":
        return {key: value for key, value in body.items() if key != "phone"}
    if operation.id == "batches_create" and name not in ("lead_ids", "segment_id"):
        return {"lead_ids": [own["lead_id"]], **body}
    return body


# --- judging -----------------------------------------------------------------------------------------


def problems(slot: Slot, foreign: str, own: Ids, ask: Ask, *, secrets: list[str]) -> Iterator[str]:
    """What is wrong with the answer to an id of another workspace; nothing if it is that of no id at all.

    `secrets` are texts of the other workspace: none may come back, but for the id that was sent.
    """
    nothing = NOWHERE if _is_uuid(foreign) else NO_KEY
    theirs, nowhere = ask(request(slot, foreign, own)), ask(request(slot, nothing, own))
    if theirs.comparable() != nowhere.comparable():
        yield f"{slot}: {theirs.status} {theirs.body!r}, for no id at all {nowhere.status} {nowhere.body!r}"
    for secret in secrets:
        if secret != foreign and secret.encode() in theirs.body:
            yield f"{slot}: tells {secret}"
    expected = {
        "path": 401 if slot.operation.with_token_only else 404,
        "query": 200,
        "body": 200 if slot.operation.id in ITEM_BY_ITEM else 422,
    }[slot.place]
    if theirs.status != expected:
        yield f"{slot}: {theirs.status} and not {expected}: {theirs.body!r}"
    elif slot.place == "body":
        yield from _not_missing(slot, theirs.body)
    elif slot.place == "query" and _holds_rows(theirs.body):
        yield f"{slot}: found something"


def _holds_rows(body: bytes) -> bool:
    """A page with items, or CSV with more than its header."""
    if body.startswith(b"{"):
        return bool(orjson.loads(body).get("items"))
    return len(body.splitlines()) > 1


def _not_missing(slot: Slot, body: bytes) -> Iterator[str]:
    """A body's wrong id is `missing`, at its place."""
    place = [step for step in slot.steps if step != "[]"]
    answer = orjson.loads(body)
    wrong = answer["detail"] if "detail" in answer else answer["results"][0]["errors"]
    for one in wrong:
        loc = [step for step in one["loc"][1:] if isinstance(step, str)]
        if loc == place and one["type"] == "missing":
            return
    yield f"{slot}: not refused as missing but {body!r}"


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def in_path(operation: Operation) -> Slot | None:
    """Any slot of the path, to fill it by."""
    return next((slot for slot in _slots(operation) if slot.place == "path"), None)


def plain(operation: Operation, own: Ids) -> Request:
    """A valid request of an operation, with the tenant's own."""
    first = in_path(operation)
    if first is not None:
        return request(first, known(own, first.kind), own)
    return request(Slot(operation, "none", ""), "", own)


def with_body(asked: Request, body: Json) -> Request:
    return replace(asked, body=orjson.dumps(body))
