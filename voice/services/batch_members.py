"""Who is in a batch: leads come in by portions, each with its variables and its version."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from crm.models import FollowUpStatus, Lead
from crm.services import follow_ups
from tenex.errors import Conflict, InvalidInput
from tenex.lib import limits
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit
from voice.models import Batch, BatchVersion, DecisionStage, Recipient, RecipientStatus
from voice.services import decisions
from voice.services.decisions import About, Decided
from voice.services.eligibility import Judged, Rejection, judge_many

MAX_LEADS = limits.BULK_ITEMS
"""In one request (contract.md 3); more are appended."""


@dataclass(frozen=True, slots=True)
class Member:
    """A lead that is to be in a batch; `variables` are its own, for `{{variables.…}}`."""

    lead: Lead
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sorted:
    """Who would be called, and who not."""

    accepted: list[Member]
    rejected: list[Rejection]


def members(
    workspace: Workspace,
    lead_ids: Sequence[uuid.UUID | str],
    leads: Sequence[tuple[uuid.UUID, Mapping[str, Any]]] = (),
) -> list[Member]:
    """The leads in the order asked for, repeats included. All must be this workspace's.

    Raises:
        InvalidInput: none, too many, not an id, or nobody's here.
    """
    given: list[tuple[uuid.UUID, Mapping[str, Any], tuple[str | int, ...]]] = [
        *((_uuid(raw, index), {}, ("lead_ids", index)) for index, raw in enumerate(lead_ids)),
        *((lead_id, said, ("leads", index, "lead_id")) for index, (lead_id, said) in enumerate(leads)),
    ]
    if not given:
        raise InvalidInput("at least one lead", loc=("body", "lead_ids"), type_="too_short")
    if len(given) > MAX_LEADS:
        place = "leads" if leads else "lead_ids"
        raise InvalidInput(f"at most {MAX_LEADS} leads in one request", loc=("body", place), type_="too_long")
    found = Lead.objects.filter(workspace=workspace).in_bulk({lead_id for lead_id, _, _ in given})
    for lead_id, _, place_of in given:
        if lead_id not in found:
            raise InvalidInput("no such lead", loc=("body", *place_of), type_="missing")
    return [Member(found[lead_id], said) for lead_id, said, _ in given]


def _uuid(raw: uuid.UUID | str, index: int) -> uuid.UUID:
    if isinstance(raw, uuid.UUID):
        return raw
    try:
        return uuid.UUID(raw)
    except ValueError as exc:
        raise InvalidInput("not an id", loc=("body", "lead_ids", index), type_="uuid_parsing") from exc


def add(batch: Batch, given: Sequence[Member], *, keep_refused: bool = False) -> tuple[int, list[Rejection]]:
    """Put leads into a batch: how many are to be called, and why the others are not.

    The batch's row is new or locked by the caller. `keep_refused`: they are in it all the same, as refused.
    """
    ids = [one.lead.pk for one in given]
    known = set(batch.recipients.filter(lead__in=ids, callback_of=None).values_list("lead_id", flat=True))
    judged = judge(batch, [one.lead for one in given if one.lead.pk not in known])
    found = sort(given, judged, known=known)
    reasons = {one.lead_id: one for one in found.rejected if one.code != "duplicate"} if keep_refused else {}
    wanted = {one.lead.pk for one in found.accepted} | {uuid.UUID(lead_id) for lead_id in reasons}
    rows: dict[uuid.UUID, Recipient] = {}
    split = weights(batch)
    for one in given:
        if one.lead.pk in wanted and one.lead.pk not in rows:
            rows[one.lead.pk] = _recipient(batch, one, reasons.get(str(one.lead.pk)), split)
    for position, row in enumerate(rows.values(), next_position(batch) if rows else 1):
        row.position = position
    Recipient.objects.bulk_create(rows.values())
    _record(batch, judged, rows)
    return len(found.accepted), found.rejected


def judge(batch: Batch, leads: Sequence[Lead]) -> dict[uuid.UUID, Judged]:
    """The dialer's decision about each, as if the batch ran."""
    version = batch.agent_version or batch.agent.current_version
    return judge_many(batch.workspace, leads, number=batch.number, version=version, batch=batch)


def _record(batch: Batch, judged: Mapping[uuid.UUID, Judged], rows: Mapping[uuid.UUID, Recipient]) -> None:
    decisions.record_many(
        DecisionStage.ENQUEUE,
        (
            Decided(
                About(
                    batch.workspace_id,
                    lead_id=lead_id,
                    batch_id=batch.pk,
                    recipient_id=rows[lead_id].pk if lead_id in rows else None,
                ),
                one.facts,
                one.answer,
                one.at,
            )
            for lead_id, one in judged.items()
        ),
    )


def sort(given: Sequence[Member], judged: Mapping[uuid.UUID, Judged], *, known: set[uuid.UUID]) -> Sorted:
    """Who may be called and who not; `known` are in the batch already."""
    known = set(known)
    found = Sorted([], [])
    for one in given:
        lead_id = one.lead.pk
        if lead_id in known:
            found.rejected.append(Rejection(str(lead_id), "duplicate", "The lead is in the batch already."))
            continue
        known.add(lead_id)
        refusal = judged[lead_id].refused
        if refusal is not None:
            found.rejected.append(Rejection(str(lead_id), refusal.code, refusal.detail))
        else:
            found.accepted.append(one)
    return found


def next_position(batch: Batch) -> int:
    """Where the next lead stands; the batch's row is locked by the caller."""
    return (batch.recipients.aggregate(last=Max("position"))["last"] or 0) + 1


def weights(batch: Batch) -> list[tuple[uuid.UUID, int]]:
    """The split of a batch as (version, weight), in an order that stays; empty: one version for all."""
    rows = BatchVersion.objects.filter(batch=batch).order_by("agent_version_id")
    return list(rows.values_list("agent_version_id", "weight"))


def draw_version(
    batch_id: uuid.UUID, lead_id: uuid.UUID, split: Sequence[tuple[uuid.UUID, int]]
) -> uuid.UUID | None:
    """The version of a lead: by weight, and always the same for this lead, batch and split."""
    total = sum(weight for _, weight in split)
    if not total:
        return None
    digest = blake2b(batch_id.bytes + lead_id.bytes, digest_size=8).digest()
    at = int.from_bytes(digest) % total
    for version_id, weight in split:
        at -= weight
        if at < 0:
            return version_id
    return None


def redraw(batch: Batch) -> None:
    """The split has changed: draw again for everybody of a draft."""
    split = weights(batch)
    rows = list(batch.recipients.only("pk", "lead_id", "agent_version_id"))
    for row in rows:
        row.agent_version_id = draw_version(batch.pk, row.lead_id, split)
    Recipient.objects.bulk_update(rows, ["agent_version"], batch_size=1000)


def withdraw(recipient: Recipient, *, actor: str) -> Recipient:
    """Do not call this one any more. One who is out of the race already stays as they are.

    Raises:
        Conflict: `recipient_calling`: the call is under way.
    """
    with transaction.atomic():
        row = Recipient.objects.select_for_update().select_related(None).get(pk=recipient.pk)
        if row.status == RecipientStatus.CALLING:
            raise Conflict("The lead is being called.", code="recipient_calling")
        if row.status == RecipientStatus.PENDING:
            row.status, row.next_at = RecipientStatus.CANCELED, None
            row.save(update_fields=["status", "next_at"])
            if row.callback_of_id is not None:
                follow_ups.settle_callback(row.workspace_id, row.callback_of_id, FollowUpStatus.CANCELED)
            audit.record(
                row.workspace_id,
                actor,
                "batch.recipient_canceled",
                object_type="batch",
                object_id=row.batch_id,
                data={"lead_id": str(row.lead_id), "at": timezone.now().isoformat()},
            )
    return row


def _recipient(
    batch: Batch, one: Member, refusal: Rejection | None, split: Sequence[tuple[uuid.UUID, int]]
) -> Recipient:
    return Recipient(
        workspace_id=batch.workspace_id,
        batch=batch,
        lead=one.lead,
        variables=dict(one.variables),
        agent_version_id=draw_version(batch.pk, one.lead.pk, split),
        status=RecipientStatus.REFUSED if refusal else RecipientStatus.PENDING,
        refusal_code=refusal.code if refusal else "",
        refusal_detail=refusal.detail[:200] if refusal else "",
    )
