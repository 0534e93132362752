"""Examples of bodies and answers, made out of their own schemas: so there is one everywhere, and it fits.

A value comes from the schema if that allows few (enum, const, default), else from what fields of that name
hold in this product, else from the type. Pure.
"""

import itertools
import re
import uuid
from typing import Any, Final

from jsonschema import Draft202012Validator

_NAMESPACE: Final = uuid.UUID("6f2f7c1e-9d0a-4a57-9b1f-3c5f0c6f4a10")
_AT: Final = "2026-11-02T15:04:05Z"
_LATER: Final = "2031-11-02T16:00:00Z"
_PHONE: Final = "+14155550123"
_OURS: Final = "+14155550100"
_HASH: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_MAX_DEPTH: Final = 12

_TEXTS: Final[dict[str, str]] = {
    "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.…",
    "arguments": "{}",
    "asked_by": "key:9gLa9WLN",
    "auth_token": "0f2b7c1d9e8f4a6b8c7d6e5f4a3b2c1d",
    "auth_token_secondary": "7d6e5f4a3b2c1d0f2b7c1d9e8f4a6b8c",
    "api_key": "sk-0f2b7c1d9e8f4a6b8c7d6e5f4a3b2c1d",
    "api_key_secret": "9e8f4a6b8c7d6e5f4a3b2c1d0f2b7c1d",
    "held_by": "key:9gLa9WLN",
    "confirm": _PHONE,
    "digest": _HASH,
    "receipt_digest": _HASH,
    "subject_hash": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "keyword": "budget",
    "qualification": "qualified",
    "undetermined_because": "too-short",
    "transfer_state": "answered",
    "close_reason": "completed",
    "answered_by": "human",
    "address": "https://cloud.brightwell.example/dav/calendars/ada/work/",
    "address_name": "Work",
    "authorization_url": "https://accounts.google.com/o/oauth2/v2/auth?…",
    "at": "fields.phone",
    "calling_window_end": "20:00",
    "window_end": "20:00",
    "window_start": "09:00",
    "calling_window_start": "09:00",
    "client_reference": "crm-2026-11-02",
    "code": "not_found",
    "country": "US",
    "created_by": "user:owner@example.com",
    "default_region": "US",
    "description": "Has a budget for this year.",
    "domain": "brightwell.example",
    "e164": _OURS,
    "email": "ada@brightwell.example",
    "error": "rate_limited",
    "event_id": "evt_2c2f0f0ac0d94d3a8a6b0f1f1c7a9a53",
    "fallback_number": "+14155550180",
    "first_name": "Ada",
    "greeting": "Hello, this is Ava of Brightwell.",
    "heard_text": "We have a budget of ten thousand.",
    "item_id": "item_BXq1",
    "join_url": "https://meet.brightwell.example/k2f",
    "language": "en",
    "last_name": "Park",
    "lead_name": "Ada Park",
    "model": "gpt-realtime-2.1",
    "name": "November follow-up",
    "next_cursor": "7kq0mB3…",
    "note": "Asked for the slides.",
    "notes": "Met at the fair.",
    "objective": "Find out whether they have a project this year, and book a demo.",
    "organization": "Brightwell Ltd",
    "organizer_email": "sales@brightwell.example",
    "password": "a long enough password",
    "phone": _PHONE,
    "phone_hint": "+1…0123",
    "prefix": "9gLa9WLN",
    "provider_sid": "CA0f2b7c1d9e8f4a6b8c7d6e5f4a3b2c1d",
    "quote": "a budget of ten thousand",
    "reason": "asked to talk to a person",
    "secret": "tnx_9gLa9WLN_…",
    "sha256": _HASH,
    "slug": "ava",
    "source": "api",
    "summary": "Has a budget and wants a demo next week.",
    "system_prompt": "You are Ava. You find out whether {{ lead.first_name }} has a project.",
    "text": "We have a budget of ten thousand.",
    "time_zone": "America/New_York",
    "timezone": "America/New_York",
    "title": "Head of Operations",
    "to": _PHONE,
    "from": _OURS,
    "default_model": "gpt-realtime-2.1",
    "default_transcription_model": "gpt-transcribe",
    "locality": "San Francisco",
    "postal_code": "94103",
    "prompt_diff": "--- v1\n+++ v2\n@@ -1 +1,2 @@\n You qualify leads.\n+Be brief.",
    "region": "CA",
    "retired_at": "2027-01-20",
    "transcription_model": "gpt-transcribe",
    "transcription_prompt": "A call about robots for warehouses.",
    "transfer_number": "+14155550181",
    "transfer_to": "+14155550181",
    "url": "https://brightwell.example/hooks/tenex",
    "user_name": "ada",
    "voice": "marin",
}
_KEYS: Final = {"outcomes": "qualified", "counts": "calls", "custom": "plan", "variables": "plan"}
"""Of objects that may have any: one that there is."""
_NUMBERS: Final[dict[str, float]] = {
    "confidence": 0.9,
    "duration_ms": 93_400,
    "expires_in": 3600,
    "size_bytes": 1_494_444,
    "speed": 1.0,
    "start_ms": 4_200,
    "end_ms": 7_900,
    "vad_threshold": 0.5,
}

type Schema = dict[str, Any]


def example(schema: Schema, components: dict[str, Schema], *, name: str = "", depth: int = 0) -> Any:
    """A value of `schema`; `name` is the field that holds it, `components` are the named schemas."""
    if "$ref" in schema:
        schema = {**components[schema["$ref"].rpartition("/")[2]], **_beside(schema)}
    said = [schema.get(key) for key in ("example", "const", "default")]
    said += [*schema.get("examples", ()), *schema.get("enum", ())]
    for value in said:
        if value not in (None, ""):
            return value
    for several in ("allOf", "oneOf", "anyOf"):
        if several in schema:
            return _of_several(several, schema, components, name, depth)
    match _kind(schema):
        case "object":
            return _object(schema, components, name, depth)
        case "array":
            return _array(schema, components, name, depth)
        case "string":
            return _string(schema, name)
        case "boolean":
            return False
        case "integer" | "number" as kind:
            return _number(schema, name, whole=kind == "integer")
        case _:
            return None


def _beside(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key != "$ref"}


def _kind(schema: Schema) -> str:
    """The type; of several the one that is not null."""
    said = schema.get("type")
    if isinstance(said, list):
        said = next((one for one in said if one != "null"), "null")
    return said or ("object" if "properties" in schema else "")


def _of_several(several: str, schema: Schema, components: dict[str, Schema], name: str, depth: int) -> Any:
    parts = [one for one in schema[several] if one.get("type") != "null"]
    made = [example(one, components, name=name, depth=depth + 1) for one in parts]
    if several == "allOf" and all(isinstance(one, dict) for one in made):
        return {key: value for one in made for key, value in one.items()}
    return made[0] if made else None


def _object(schema: Schema, components: dict[str, Schema], name: str, depth: int) -> dict[str, Any]:
    if depth > _MAX_DEPTH:
        return {}
    fields = {
        field: example(inner, components, name=field, depth=depth + 1)
        for field, inner in schema.get("properties", {}).items()
    }
    more = schema.get("additionalProperties")
    if not fields and isinstance(more, dict) and more:
        fields[_KEYS.get(name, "key")] = example(more, components, depth=depth + 1)
    return _consistent(fields, schema)


def _consistent(made: dict[str, Any], schema: Schema) -> dict[str, Any]:
    """`made` without the fields that may not stand together: as few as can be, the last ones first."""
    together = {key: schema[key] for key in ("if", "then", "else") if key in schema}
    if not together:
        return made
    rule = Draft202012Validator(together)
    optional = [name for name in reversed(made) if name not in schema.get("required", ())]
    for count in range(3):
        for without in itertools.combinations(optional, count):
            left = {name: value for name, value in made.items() if name not in without}
            if rule.is_valid(left):
                return left
    return made


def _array(schema: Schema, components: dict[str, Schema], name: str, depth: int) -> list[Any]:
    if depth > _MAX_DEPTH:
        return []
    one = example(schema.get("items", {}), components, name=name.removesuffix("s"), depth=depth + 1)
    return [one] if one is not None else []


def _number(schema: Schema, name: str, *, whole: bool) -> float:
    low, high = schema.get("minimum"), schema.get("maximum")
    value: float = _NUMBERS.get(name, 1)
    value = max(value, low) if low is not None else value
    value = min(value, high) if high is not None else value
    return int(value) if whole else float(value)


def _string(schema: Schema, name: str) -> str:
    match schema.get("format"):
        case "uuid":
            return str(uuid.uuid5(_NAMESPACE, name or "id"))
        case "date-time":
            return _LATER if name == "expires_at" else _AT
        case "date":
            return _AT[:10]
        case "time":
            return "09:00"
    if name == "id" or (name.endswith("_id") and name not in _TEXTS):
        return str(uuid.uuid5(_NAMESPACE, name))
    text = _TEXTS.get(name) or name.replace("_", " ") or "text"
    if (sid := re.match(r"\^([A-Z]{2})\[0-9a-f", schema.get("pattern", ""))) is not None:
        return sid[1] + uuid.uuid5(_NAMESPACE, name).hex
    if "pattern" in schema and not re.search(schema["pattern"], text):
        text = re.sub(r"[^A-Za-z0-9_]+", "-", text)  # an id: it has no spaces
    return text[: schema.get("maxLength", len(text))]
