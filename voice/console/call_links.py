"""Addresses of the calls behind a figure."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC
from urllib.parse import urlencode

from tenex.lib.periods import Period
from voice.models import Outcome
from voice.selectors.metrics import Which

CALLS = "/console/calls"


def calls(
    period: Period | None = None,
    which: Which | None = None,
    *,
    outcomes: Iterable[Outcome] = (),
    more: Mapping[str, object] | None = None,
) -> str:
    """The list of calls that were created in `period` and fit; `more` are filters of that list by name."""
    asked: dict[str, object] = dict(which.conditions()) if which else {}
    if wanted := ",".join(outcomes):
        asked["outcome"] = wanted
    asked |= {name: value for name, value in (more or {}).items() if value is not None}
    if period is not None:
        asked["from"] = f"{period.start.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        asked["to"] = f"{period.end.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}".replace(".000000Z", "Z")
    return f"{CALLS}?{urlencode(_texts(asked), safe=':,')}" if asked else CALLS


def _texts(asked: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in asked.items()}


def batch(batch_id: uuid.UUID) -> str:
    return f"/console/batches/{batch_id}"


def lead(lead_id: uuid.UUID) -> str:
    return f"/console/leads/{lead_id}"


def call(call_id: uuid.UUID) -> str:
    return f"{CALLS}/{call_id}"
