"""What a schema cannot say, for the requests that Schemathesis makes (tests/prove/d4_any_request.py).

Ids in valid requests are of things that exist; an Idempotency-Key is new; an opaque text that
only we can make (a cursor, a token) is left out. Requests that are meant to be wrong stay as they are, and
what is lent fits its schema: else Schemathesis would take the request for one that is meant to be wrong.
"""

import json
import os
import random
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

from tenex.lib import storable

IDS_VARIABLE = "TENEX_D4_IDS"
_OPAQUE = ("cursor", "token", "last_event_id")
_OURS = ("provider_sid", "transcription_prompt", "api_key_sid", "api_key_secret")
"""Fields that hang on an account of the carrier, or on the model."""
_ENDS = ("/archive", "/release", "/cancel", "/revoke")
"""What ends things does not get the known ones: other requests need them."""
_API = "/api/v1"
_LISTS = {
    "lead_id": "/crm/leads",
    "agent_id": "/voice/agents",
    "profile_id": "/voice/profiles",
    "number_id": "/voice/numbers",
    "call_id": "/voice/calls",
    "batch_id": "/voice/batches",
    "webhook_id": "/voice/webhooks",
    "connector_id": "/connectors",
    "meeting_id": "/connectors/meetings",
}
ACCOUNTS = {
    "account_sid": "TWILIO_ACCOUNT_SID",
    "auth_token": "TWILIO_AUTH_TOKEN",
    "auth_token_secondary": "TWILIO_AUTH_TOKEN",
    "api_key": "OPENAI_API_KEY",
}
"""Field -> setting: what the providers' doubles take."""
_SAME = {"calendar_connector_id": "calendar_id"}
"""Other names of the same thing."""


def reading_key(base_url: str, key: str) -> str:
    """A key that may read everything and change nothing."""
    from tenex.workspaces.scopes import SCOPES

    scopes = [scope for scope in SCOPES if scope.endswith(":read")]
    answer = httpx2.post(
        f"{base_url}{_API}/admin/api-keys",
        json={"name": "reader", "scopes": scopes},
        headers={"Authorization": f"Bearer {key}"},
        timeout=30,
        trust_env=False,
    )
    secret: str = answer.raise_for_status().json()["secret"]
    return secret


def known_ids(base_url: str, key: str) -> dict[str, list[str]]:
    """Ids of things that exist, by the name of the field that takes them."""
    found: dict[str, set[str]] = {}
    for name, path in _LISTS.items():
        answer = httpx2.get(
            f"{base_url}{_API}{path}", headers={"Authorization": f"Bearer {key}"}, timeout=30, trust_env=False
        )
        for item in answer.raise_for_status().json()["items"]:
            found.setdefault(name, set()).add(item["id"])
            for field, value in item.items():
                if field.endswith("_id") and value:
                    found.setdefault(field, set()).add(value)
    for other, name in _SAME.items():
        found[other] = found.get(name, set())
    return {name: sorted(values) for name, values in found.items()}


def _ends(case: Any) -> bool:
    return bool(case.method == "DELETE" or case.operation.path.endswith(_ENDS))


def spare(case: Any, ids: dict[str, list[str]]) -> None:
    """What is lent to other requests is not ended by this one, be it right or wrong."""
    if _ends(case):
        for name, value in (case.path_parameters or {}).items():
            if value in ids.get(name, ()):
                case.path_parameters[name] = str(uuid.uuid4())


def lend(case: Any, ids: dict[str, list[str]], rng: random.Random) -> None:
    """Make a valid request one that could succeed."""
    if not _ends(case):
        for name in case.path_parameters or {}:
            if ids.get(name) and rng.random() < 0.5:
                case.path_parameters[name] = rng.choice(ids[name])
    for name in _OPAQUE:
        (case.query or {}).pop(name, None)
    headers = case.headers or {}
    for name in [one for one in headers if one.lower() in ("idempotency-key", "last-event-id")]:
        del headers[name]
        if name.lower() == "idempotency-key":
            headers[name] = uuid.uuid4().hex
    if case.query:
        case.query = {
            name: _QUERY.get(name, _real(name, value, ids, rng)) for name, value in case.query.items()
        }
    if isinstance(case.body, dict):
        case.body = {
            name: _real(name, value, ids, rng)
            for name, value in case.body.items()
            if name not in _OURS
            and (not re.search(r"_ids?$", name) or name in ids or re.sub(r"s$", "", name) in ids)
        }
    _sense(case, ids, rng)


def _sense(case: Any, ids: dict[str, list[str]], rng: random.Random) -> None:
    """Fields that hang on what is there, or on one another in a way that no schema says."""
    where = case.method, case.operation.path.removeprefix(_API)
    if where[0] == "GET" and case.query:
        _sense_of_query(where[1], case)
    _sense_of_file(where[1], case)
    if isinstance(case.body, dict):
        _sense_of_crm(where, case.body)
        _sense_of_settings(where, case.body)
        _sense_of_voice(where, case.body, ids, rng)


def _sense_of_query(path: str, case: Any) -> None:
    match path:
        case "/connectors/{connector_id}/slots":
            case.query = {name: _QUERY[name] for name in ("from", "to")}
        case "/voice/batches/{batch_id}/results" if case.query.get("format") == "csv":
            case.query.pop("limit", None)  # a CSV has no pages
        case "/voice/numbers/available":
            case.query.pop("type", None)  # not every country sells all


def _sense_of_file(path: str, case: Any) -> None:
    """Columns that are known; a document that is what it says it is."""
    match path, case.body:
        case "/crm/leads/imports" | "/voice/batches/upload" | "/voice/batches/{batch_id}/upload", {}:
            case.body["file"] = _CSV
            (case.query or {}).pop("batch", None)  # it is in the form
        case "/crm/leads/imports" | "/voice/batches/{batch_id}/upload", str() | bytes():
            case.body = _CSV
        case "/voice/batches/upload", str() | bytes():
            case.body = _CSV
            case.query = {**(case.query or {}), "batch": _QUERY["batch"]}
        case "/knowledge/documents" | "/knowledge/documents/{document_id}/file", {"file": _}:
            case.body["file"] = _DOCUMENT
            case.multipart_content_types = {"file": "text/plain"}
        case "/knowledge/documents", {"url": _}:  # no name resolves here
            case.body = {"title": "Prices", "text": _DOCUMENT}


def _sense_of_crm(where: tuple[str, str], body: dict[str, Any]) -> None:
    match where:
        case "POST" | "PATCH", "/connectors" | "/connectors/{connector_id}":
            _sense_of_connector(body)
        case "POST", "/crm/custom-fields" if "choices" in body:
            each = {one.strip().lower(): one for one in body["choices"] if one.strip()}
            body["choices"] = list(each.values())
        case "PATCH", "/crm/custom-fields/{field_id}":
            body.pop("choices", None)
        case "POST" | "PATCH", "/crm/leads" | "/crm/leads/{lead_id}" if body.get("region"):
            body["country"] = "US"
        case "PATCH", "/crm/segments/{segment_id}":
            body.pop("rules", None)  # it may be a static one
        case "PATCH", "/knowledge/documents/{document_id}":
            for name in ("text", "url", "entry_kind"):  # each of one kind of document only
                body.pop(name, None)


def _sense_of_settings(where: tuple[str, str], body: dict[str, Any]) -> None:
    """Places that there are. Models that take what only some take: the profile may have keywords already."""
    match where:
        case "PATCH", "/voice/settings":
            if "calling_countries" in body:
                body["calling_countries"] = ["US", "GB"]
            if modes := list(body.get("recording_consent_places", {}).values()):
                body["recording_consent_places"] = {"US-CA": modes[0]}
        case "POST" | "PATCH", "/voice/profiles" | "/voice/profiles/{profile_id}":
            body |= {name: value for name, value in _MODELS.items() if name in body}
            if "keywords" in body:
                body["transcription_model"] = _MODELS["transcription_model"]
            if "noise_reduction_strength" in body:
                body["noise_reduction"] = _MODELS["noise_reduction"]
            if "idle_timeout_ms" in body:
                body["turn_detection"] = _MODELS["turn_detection"]
        case "POST", "/voice/webhooks/{webhook_id}/replay":
            body.pop("until", None)


def _sense_of_voice(
    where: tuple[str, str], body: dict[str, Any], ids: dict[str, list[str]], rng: random.Random
) -> None:
    match where:
        case "POST", "/voice/numbers":
            body |= {"e164": _TEXTS["phone"](rng), "buy": False, "configure": False}
        case "POST", "/voice/batches" | "/voice/sessions" as path:
            body["agent_id"] = rng.choice(ids["agent_id"])  # there is no only one any more
            body["number_id"] = rng.choice(ids["number_id"])
            _sense_of_batch(body, ids, rng)
            if path == "/voice/batches" and not body.get("draft") and not _WHOM & set(body):
                body["lead_ids"] = rng.sample(ids["lead_id"], 1)  # its segment is not there
        case "PATCH" | "POST", "/voice/batches/{batch_id}" | "/voice/batches/{batch_id}/leads":
            _sense_of_batch(body, ids, rng)
        case "POST", "/voice/persons/erase":
            for name in ("lead_id", "call_id"):
                body.pop(name, None)
            body["phone"] = body["confirm"] = _TEXTS["phone"](rng)  # who is meant is named twice
        case "POST", "/voice/retention/holds" | "/voice/persons/known" | "/voice/persons/export":
            if not _ABOUT & set(body):  # it was about a call, and there is none yet
                body["lead_id"] = rng.choice(ids["lead_id"])


def _sense_of_connector(body: dict[str, Any]) -> None:
    """A built-in one: no server is there that another kind could be of. Hours that end after they begin."""
    for name in ("url", "user_name", "password", "address"):
        body.pop(name, None)
    if "kind" in body:
        body["kind"] = "built_in"
    if "hours" in body:
        body["hours"] = {"1": [["09:00", "17:00"]]}


def _sense_of_batch(body: dict[str, Any], ids: dict[str, list[str]], rng: random.Random) -> None:
    """Versions that exist: none is named. Leads that exist, each once. What a change may have beside it: a
    message and its beep, hours both or not at all, one budget."""
    for name in ("agent_version", "versions", "window_start", "window_end", "budget_soft_minor"):
        body.pop(name, None)
    if "voicemail_policy" in body:
        body |= {"voicemail_message": "Please call us back.", "machine_detection": True}
    else:
        body.pop("machine_detection", None)
    if body.get("leads"):
        known = rng.sample(ids["lead_id"], min(len(body["leads"]), len(ids["lead_id"])))
        body["leads"] = [{"lead_id": one} for one in known]


_CSV = "first_name,email\nAda,ada@brightwell.example\n"
_DOCUMENT = "We have a budget of ten thousand."
_ABOUT = {"call_id", "lead_id", "phone", "everything"}
_WHOM = {"lead_ids", "leads", "segment_id"}
_MODELS = {
    "model": "gpt-realtime-2.1",
    "transcription_model": "gpt-transcribe",
    "noise_reduction": "near_field",
    "turn_detection": "server_vad",
}


def _at(*, days: int) -> str:
    """So many days from now."""
    return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"


_TEXTS: dict[str, Callable[[random.Random], str]] = {
    "phone": lambda rng: f"+1415555{rng.randrange(100, 10_000):04}",
    "time_zone": lambda rng: rng.choice(("Europe/Berlin", "America/New_York", "Asia/Kolkata")),
    "password": lambda rng: f"correct-horse-{rng.randrange(10**9)}",
    "given_at": lambda rng: f"20{rng.randrange(10, 25)}-01-01T00:00:00Z",
    "expires_at": lambda rng: f"21{rng.randrange(10, 25)}-01-01T00:00:00Z",
    "since": lambda _: (datetime.now(UTC) - timedelta(days=3)).isoformat(),
    "mapping": lambda _: "{}",
    "batch": lambda _: str(_QUERY["batch"]),
    "url": lambda rng: f"https://hooks.brightwell.example/{rng.randrange(10**6)}",
    "country": lambda _: "US",
    "default_region": lambda _: "US",
    "region": lambda _: "CA",
    "calling_window_start": lambda _: "09:00",
    "calling_window_end": lambda _: "20:00",
    "encoding": lambda _: "utf-8",
    "delimiter": lambda _: "comma",
}
"""Texts that only mean something if they are true: what no schema can say."""
_TEXTS |= dict.fromkeys(("e164", "fallback_number", "transfer_number", "to"), _TEXTS["phone"])
_RULES = {
    "all": [
        {"field": "stage", "op": "eq", "value": "new"},
        {"not": {"any": [{"field": "opted_out", "op": "eq", "value": True}]}},
    ]
}
_QUERY: dict[str, Any] = {
    "from": _at(days=-3),
    "to": _at(days=-1),
    "country": "US",
    "against": 1,
    "time_zone": "Asia/Kolkata",
    "encoding": "utf-8",
    "delimiter": "comma",
    "mapping": "{}",
    "batch": '{"objective": "Ask them."}',
}
"""In a query they always stand for these: ranges that are not too long, versions that exist."""


def _not_blank(value: Any) -> Any:
    """What is only blanks counts as empty."""
    match value:
        case str() if value and not value.strip():
            return "a" * len(value)
        case list():
            made = [_not_blank(one) for one in value]
            return [one for place, one in enumerate(made) if one not in made[:place] or one == value[place]]
        case dict():
            return {name: _not_blank(one) for name, one in value.items()}
    return value


def _real(name: str, value: Any, ids: dict[str, list[str]], rng: random.Random) -> Any:
    if isinstance(value, str) and value and name in _TEXTS:
        return _TEXTS[name](rng)
    if isinstance(value, str | dict | list):
        value = _not_blank(value)
    if name == "rules" and isinstance(value, dict):
        return _RULES
    if name in ("custom", "variables"):
        return storable.json_value(value)
    single = re.sub(r"_ids$", "_id", name)
    if value is None or not ids.get(single):
        return value
    if isinstance(value, list):
        return rng.sample(ids[single], min(len(value) or 1, len(ids[single])))
    return rng.choice(ids[single])


def _install() -> None:
    import schemathesis

    ids: dict[str, list[str]] = json.loads(Path(os.environ[IDS_VARIABLE]).read_text(encoding="utf-8"))
    rng = random.Random(4)
    whose = {name: ids[name][0] for name in ("agent_id", "number_id") if ids.get(name)}
    _QUERY["batch"] = json.dumps({"objective": "Ask them.", **whose})  # there is no only one any more

    @schemathesis.hook
    def before_call(context: Any, case: Any, kwargs: Any) -> None:
        if case.operation.path.endswith("/stream"):  # one that ends, else the tool would wait for ever
            case.query = {**(case.query or {}), "follow": "false"}
        if case.meta is None or case.meta.generation.mode.is_positive:
            lend(case, ids, rng)
        spare(case, ids)


if IDS_VARIABLE in os.environ:
    _install()
