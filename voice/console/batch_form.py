"""The form of a batch: what it shows, and what was typed as the API takes it. The API's rules check it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.http import QueryDict
from django.utils import timezone

from tenex.errors import Conflict, InvalidInput
from voice.api.batch_inputs import BatchPatchIn, UploadedBatchIn
from voice.models import Agent, AgentVersion, Batch

DAYS: Final = ((1, "Mon"), (2, "Tue"), (3, "Wed"), (4, "Thu"), (5, "Fri"), (6, "Sat"), (7, "Sun"))
_TEXTS: Final = ("name", "objective", "purpose", "voicemail_policy", "voicemail_message")
_CHOICES: Final = ("purpose", "voicemail_policy")
_IDS: Final = ("agent_id", "number_id")
_WHOLE: Final = ("concurrency", "max_attempts", "priority")
_DOLLARS: Final = ("budget_soft_minor", "budget_hard_minor")
ONLY_IN_DRAFT: Final = frozenset({"agent_id", "number_id", "purpose", "machine_detection", "versions"})


class FormInvalid(Exception):
    """What is wrong, by the name of the field."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__()
        self.errors = errors


@dataclass(slots=True)
class BatchForm:
    """What was typed, by field, and what is wrong with it."""

    given: dict[str, Any]
    days: list[int] = field(default_factory=list)
    weights: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


def fresh(agent: Agent | None, purpose: str) -> BatchForm:
    """A form with the standards."""
    return BatchForm(
        {
            "agent_id": str(agent.pk) if agent else "",
            "concurrency": "5",
            "max_attempts": "1",
            "retry_after_h": "2",
            "machine_detection": True,
            "purpose": purpose,
            "leads_from": "segment",
            "priority": "0",
        }
    )


def of_batch(batch: Batch) -> BatchForm:
    """What the form of a batch holds at first."""
    start, end = batch.window_start, batch.window_end
    given: dict[str, Any] = {name: str(getattr(batch, name)) for name in (*_TEXTS, *_IDS, *_WHOLE)}
    given |= {
        "machine_detection": batch.machine_detection,
        "retry_after_h": f"{batch.retry_after_s / 3600:g}",
        "calls_per_second": "" if batch.calls_per_second is None else f"{batch.calls_per_second:g}",
        "window_start": f"{start:%H:%M}" if start else "",
        "window_end": f"{end:%H:%M}" if end else "",
        "starts_at": f"{timezone.localtime(batch.starts_at):%Y-%m-%dT%H:%M}" if batch.starts_at else "",
    }
    given |= {
        name: "" if (minor := getattr(batch, name)) is None else f"{minor / 100:.2f}" for name in _DOLLARS
    }
    weights = {str(one.agent_version_id): str(one.weight) for one in batch.versions.all()}
    return BatchForm(given, list(batch.window_days or ()), weights)


def typed(sent: QueryDict, errors: Mapping[str, str]) -> BatchForm:
    """The form as it was sent, with what is wrong."""
    given: dict[str, Any] = {name: sent.get(name, "") for name in sent}
    given["machine_detection"] = "machine_detection" in sent
    days = [int(day) for day in sent.getlist("window_days") if day.isdigit()]
    weights = {
        name.removeprefix("weight-"): sent.get(name, "") for name in sent if name.startswith("weight-")
    }
    return BatchForm(given, days, weights, dict(errors))


def checked(sent: QueryDict, *, patch: bool, fixed: frozenset[str] = frozenset()) -> dict[str, Any]:
    """What was typed, as `POST` (or `PATCH`, if it changes a batch) `/batches` would have read it.

    `fixed`: fields that this batch cannot change any more.

    Raises:
        FormInvalid: by the name of the field.
    """
    errors: dict[str, str] = {}
    body = _body(sent, errors, patch=patch)
    body = {name: value for name, value in body.items() if name not in fixed}
    form = (BatchPatchIn if patch else UploadedBatchIn)(data=body)
    if not form.is_valid():
        for name, texts in form.errors.items():
            errors.setdefault(str(name), _first(texts))
    if errors:
        raise FormInvalid(errors)
    data: dict[str, Any] = form.validated_data
    return data


def _first(texts: Any) -> str:
    """The first text in what a serializer says of a field."""
    while isinstance(texts, list | tuple | dict) and texts:
        texts = next(iter(texts.values())) if isinstance(texts, dict) else texts[0]
    return str(texts)


def _body(sent: QueryDict, errors: dict[str, str], *, patch: bool) -> dict[str, Any]:
    body: dict[str, Any] = {name: sent.get(name, "").strip() for name in _TEXTS if name in sent}
    body = {name: text for name, text in body.items() if text or name not in _CHOICES}
    body |= {name: sent[name] for name in _IDS if sent.get(name)}
    body["machine_detection"] = "machine_detection" in sent
    for name in _WHOLE:
        if (number := _number(sent, name, errors)) is not None:
            body[name] = round(number)
    if (hours := _number(sent, "retry_after_h", errors)) is not None:
        body["retry_after_s"] = round(hours * 3600)
    for name in _DOLLARS:
        dollars = _number(sent, name, errors)
        if dollars is not None or patch:
            body[name] = None if dollars is None else round(dollars * 100)
    pace = _number(sent, "calls_per_second", errors)
    if pace is not None or patch:
        body["calls_per_second"] = pace
    days = [int(day) for day in sent.getlist("window_days") if day.isdigit()]
    further = {
        "window_start": sent.get("window_start", "").strip()[:5] or None,
        "window_end": sent.get("window_end", "").strip()[:5] or None,
        "window_days": days or None,
        "versions": _versions(sent, errors),
    }
    body |= {name: value for name, value in further.items() if value or patch}
    if "starts_at" in sent:
        body["starts_at"] = _instant(sent.get("starts_at", ""), errors)
    return body


def _number(sent: QueryDict, name: str, errors: dict[str, str]) -> float | None:
    text = sent.get(name, "").strip().removeprefix("$").replace(",", "")
    if not text:
        return None
    try:
        found = float(text)
    except ValueError:
        errors[name] = "not a number"
        return None
    if not -1e9 < found < 1e9:
        errors[name] = "out of range"
        return None
    return found


def _instant(text: str, errors: dict[str, str]) -> str | None:
    """What a field of date and time holds, on the workspace's clock, as ISO 8601."""
    if not text.strip():
        return None
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        errors["starts_at"] = "not a date and time"
        return None
    return (found if found.tzinfo else found.replace(tzinfo=timezone.get_current_timezone())).isoformat()


def _versions(sent: QueryDict, errors: dict[str, str]) -> list[dict[str, Any]]:
    found = []
    for name in sent:
        version_id = name.removeprefix("weight-")
        if version_id == name or not sent.get(name, "").strip():
            continue
        weight = _number(sent, name, errors)
        if weight:
            found.append({"agent_version_id": version_id, "weight": round(weight)})
    if "versions" not in errors and any(name.startswith("weight-") for name in errors):
        errors["versions"] = "weights are whole numbers from 1 to 100"
    return found


def problem(exc: InvalidInput | Conflict) -> dict[str, str]:
    """What a service found wrong, by the name of the field in the form."""
    if isinstance(exc, Conflict):
        fields = exc.extra.get("fields") or ["form"]
        return {str(name): exc.detail for name in fields}
    parts = [str(part) for part in exc.loc if part != "body"]
    name = parts[0] if parts else "form"
    return {{"agent": "agent_id", "number": "number_id"}.get(name, name): exc.detail}


@dataclass(frozen=True, slots=True)
class Weight:
    """A version of the agent, and what it weighs in the split."""

    version: AgentVersion
    weight: str


def weights(form: BatchForm, versions: list[AgentVersion]) -> list[Weight]:
    return [Weight(one, form.weights.get(str(one.pk), "")) for one in versions]


def segment_id(sent: QueryDict) -> uuid.UUID | None:
    """
    Raises:
        FormInvalid: not one.
    """
    try:
        return uuid.UUID(sent.get("segment_id", ""))
    except ValueError as exc:
        raise FormInvalid({"segment_id": "choose a segment"}) from exc
