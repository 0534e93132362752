"""What wakes up by itself, and how often. Names of tasks only: the scheduler that reads it loads no app.

Every one of these tasks looks for what is due, so one that comes twice, late or not at all does no harm
(promises.md R1). One that waited longer than `expires_s` in the broker is dropped: the next one is there.
"""

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Every:
    """Seconds, both; divided by TENEX_TIME_SCALE."""

    period_s: float
    expires_s: float | None = None


TASKS: Final[dict[str, Every]] = {
    "tenex.workspaces.housekeeping": Every(3600),
    "tenex.workspaces.note_key_uses": Every(60, 60),
    "tenex.webhooks.sweep": Every(5, 10),
    "tenex.webhooks.seal": Every(600, 600),
    "crm.imports.sweep": Every(5, 10),
    "crm.imports.forget": Every(3600),
    "crm.knowledge.sweep": Every(5, 10),
    "crm.knowledge.tidy": Every(6 * 3600),
    "crm.calendars.sweep": Every(5, 10),
    "crm.calendars.mails": Every(15, 30),
    "voice.numbers.settle": Every(10, 30),
    "voice.batches.fill": Every(5, 15),
    "voice.metrics.sum_up": Every(10, 30),
    "voice.persons.erase": Every(60, 120),
    "voice.retention.purge": Every(60, 120),
    "voice.outbound.tick": Every(1, 3),
    "voice.outbound.reconcile": Every(5, 15),
    "voice.outbound.judge": Every(5, 15),
    "voice.outbound.judge_month": Every(60, 60),
    "voice.sweep": Every(5, 15),
    "voice.lines": Every(30, 30),
    "voice.postcall.sweep": Every(5, 15),
    "voice.postcall.clear_carrier": Every(60, 120),
    "voice.postcall.files": Every(60, 120),
}
_LEAST_EXPIRY_S = 1.0


def beat_schedule(time_scale: float) -> dict[str, dict[str, Any]]:
    """In Celery's form, with periods and expiries divided by `time_scale`."""
    entries: dict[str, dict[str, Any]] = {}
    for name, every in TASKS.items():
        entries[name] = {"task": name, "schedule": every.period_s / time_scale}
        if every.expires_s is not None:
            entries[name]["options"] = {"expires": max(_LEAST_EXPIRY_S, every.expires_s / time_scale)}
    return entries
