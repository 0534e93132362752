"""A call of the rehearsal, asked for from a page: a caller who is not there rings a number of ours.

Only where the system talks to the offline doubles; with a real carrier there is no such door.
"""

from typing import Any
from urllib.parse import urlsplit

import httpx2
from django.conf import settings

from tenex.errors import Conflict, Unavailable
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit
from voice.models import NumberStatus, PhoneNumber

SCENARIO = "inbound-qualified"
_TIMEOUT_S = 10.0


def possible() -> bool:
    """Whether this system runs against the doubles on this machine."""
    host = urlsplit(settings.TWILIO_API_BASE_URL).hostname
    return settings.REHEARSAL and host in ("127.0.0.1", "localhost", "::1")


def ring(workspace: Workspace, number: PhoneNumber, actor: str) -> str:
    """Let somebody call `number` now; who it is and what they say is in the scenario. The carrier's call id.

    Raises:
        Conflict: no rehearsal, or the number has no agent.
        Unavailable: the doubles do not answer, or know no such number.
    """
    if not possible():
        raise Conflict("this system is no rehearsal: call the number from a phone", code="no_rehearsal")
    if number.status != NumberStatus.ACTIVE or number.agent_id is None:
        raise Conflict("no agent answers this number yet", code="number_unrouted")
    try:
        with httpx2.Client(
            base_url=settings.TWILIO_API_BASE_URL, timeout=_TIMEOUT_S, trust_env=False
        ) as door:
            answer = door.post("/control/calls", json={"scenario": SCENARIO, "to": number.e164})
    except httpx2.HTTPError as exc:
        raise Unavailable("the rehearsal does not answer: is it running?") from exc
    if answer.status_code != 201:
        raise Unavailable("the rehearsal has no such number: use +1 415 555 0100")
    told: dict[str, Any] = answer.json()
    audit.record(
        workspace.pk, actor, "rehearsal.called", object_type="number", object_id=number.pk,
        data={"scenario": SCENARIO},
    )  # fmt: skip
    return str(told["sid"])
