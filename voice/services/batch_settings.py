"""What can be set on a batch, when it may still be changed, and what makes no sense together."""

from collections.abc import Mapping, Sequence
from datetime import time
from typing import Any, Final, TypedDict

from tenex.errors import Conflict, InvalidInput
from voice.models import AgentVersion, Batch, BatchStatus, VoicemailPolicy
from voice.services import templates

MAX_VERSIONS: Final = 10


class Settings(TypedDict, total=False):
    """Columns that a client sets beside the objective; absent means the standard, or as it is."""

    name: str
    concurrency: int
    calls_per_second: float | None
    max_attempts: int
    retry_after_s: int
    retry_policy: dict[str, list[int]]
    machine_detection: bool
    voicemail_policy: str
    voicemail_message: str
    purpose: str
    window_start: time | None
    window_end: time | None
    window_days: list[int] | None
    priority: int
    budget_soft_minor: int | None
    budget_hard_minor: int | None


ONLY_IN_DRAFT: Final = frozenset(
    {"agent", "agent_version", "versions", "number", "calendar", "purpose", "machine_detection"}
)
"""Who calls, from where and on what ground: what was promised to those who are called already."""
UNTIL_STARTED: Final = ONLY_IN_DRAFT | {"starts_at"}
"""`starts_at` may also be moved while the batch waits for it."""

type Weighted = Sequence[tuple[AgentVersion, int]]
"""Versions of one agent, each with its weight."""


def check_changeable(batch: Batch, names: Mapping[str, Any]) -> None:
    """
    Raises:
        Conflict: `batch_over`; `batch_started` with the `fields` that cannot be changed any more.
    """
    if batch.status in (BatchStatus.COMPLETED, BatchStatus.CANCELED):
        raise Conflict("The batch is over.", code="batch_over")
    if batch.status == BatchStatus.DRAFT:
        return
    waits = batch.status == BatchStatus.QUEUED and batch.started_at is None
    fixed = sorted((ONLY_IN_DRAFT if waits else UNTIL_STARTED) & names.keys())
    if fixed:
        raise Conflict(
            f"Only a draft can change {', '.join(fixed)}.", code="batch_started", extra={"fields": fixed}
        )


def check(batch: Batch) -> None:
    """What the columns say together.

    Raises:
        InvalidInput: a template that nothing fills, half a window, a message that is not left, …
    """
    templates.check(batch.objective, "objective")
    templates.check(batch.voicemail_message, "voicemail_message")
    if (batch.window_start is None) != (batch.window_end is None):
        raise _wrong("window_end", "give window_start and window_end, or neither", "missing")
    if batch.voicemail_policy == VoicemailPolicy.LEAVE_MESSAGE:
        if not batch.voicemail_message.strip():
            raise _wrong("voicemail_message", "needed to leave a message", "missing")
        if not batch.machine_detection:
            raise _wrong("machine_detection", "needed to leave a message after the beep", "one_of")
    soft, hard = batch.budget_soft_minor, batch.budget_hard_minor
    if soft is not None and hard is not None and soft > hard:
        raise _wrong("budget_soft_minor", "must not be above budget_hard_minor", "max_value")


def check_versions(batch: Batch, versions: Weighted) -> None:
    """
    Raises:
        InvalidInput: beside a pinned version, of another agent, one twice, or too many.
    """
    if not versions:
        return
    if batch.agent_version_id is not None:
        raise _wrong("versions", "give either agent_version or versions", "one_of")
    if len(versions) > MAX_VERSIONS:
        raise _wrong("versions", f"at most {MAX_VERSIONS} versions", "max_length")
    seen = set()
    for index, (version, _) in enumerate(versions):
        if version.agent_id != batch.agent_id:
            raise InvalidInput("of another agent", loc=("body", "versions", index, "agent_version_id"))
        if version.pk in seen:
            raise InvalidInput(
                "given twice", loc=("body", "versions", index, "agent_version_id"), type_="duplicate"
            )
        seen.add(version.pk)


def _wrong(field: str, why: str, type_: str) -> InvalidInput:
    return InvalidInput(why, loc=("body", field), type_=type_)
