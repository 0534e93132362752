"""Whether a lead may be called at all, whatever the hour. The dialer asks again before each dial."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from crm.models import Lead
from tenex.workspaces.models import Workspace
from voice.models import AgentVersion, Batch, PhoneNumber
from voice.outbound import facts
from voice.outbound.contactability import Allow, Facts, Refuse, decide


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a lead was not accepted (contract.md 6)."""

    lead_id: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What was decided about a lead, and what of."""

    facts: Facts
    answer: Allow | Refuse
    at: datetime

    @property
    def refused(self) -> Refuse | None:
        """The reason, if it will not pass with time."""
        return self.answer if isinstance(self.answer, Refuse) and self.answer.until is None else None

    @property
    def waits_for(self) -> Refuse | None:
        """What a lead that may be called has to wait for."""
        return self.answer if isinstance(self.answer, Refuse) and self.answer.until is not None else None


def judge_many(
    workspace: Workspace,
    leads: Sequence[Lead],
    *,
    number: PhoneNumber | None,
    version: AgentVersion | None,
    batch: Batch | None = None,
) -> dict[uuid.UUID, Judged]:
    """Each lead as it stands now, as if the batch ran; in the same few queries for any number of them."""
    now = timezone.now()
    known = facts.of_many(workspace, leads, number, version, batch)
    return {lead_id: Judged(one, decide(one, now), now) for lead_id, one in known.items()}


def judge(
    workspace: Workspace,
    lead: Lead | None,
    phone: str,
    *,
    number: PhoneNumber | None,
    version: AgentVersion | None,
) -> Judged:
    """The same for one call, to a number that may have no lead yet."""
    now = timezone.now()
    known = facts.of(workspace, lead, phone, number, version, None)
    return Judged(known, decide(known, now), now)
