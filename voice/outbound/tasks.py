"""Celery doors of the outbound side. They carry nothing: each looks for what is due (promises.md R1)."""

import uuid

from celery import shared_task

from voice.outbound import breaker, dialer
from voice.outbound import reconcile as reconciler
from voice.outbound import sweep as sweeper
from voice.services import accounts, openings
from voice.telephony.errors import CarrierGone

_NOBODY = str(uuid.UUID(int=0))
"""In messages of an earlier release, which had one account."""

"""Entries for Celery's beat; periods and expiries in seconds of the rehearsal's clock."""


@shared_task(name="voice.outbound.tick")
def tick() -> None:
    dialer.tick()


@shared_task(name="voice.outbound.reconcile")
def reconcile() -> None:
    reconciler.reconcile()


@shared_task(name="voice.outbound.judge")
def judge() -> None:
    breaker.look()


@shared_task(name="voice.outbound.judge_month")
def judge_month() -> None:
    breaker.look_for_abandoned()


@shared_task(name="voice.lines")
def lines() -> None:
    """What callers are asked before they are recorded is ready before they call."""
    openings.make_inbound_ready()


@shared_task(name="voice.sweep")
def sweep() -> None:
    sweeper.sweep()


@shared_task(name="voice.outbound.drop")
def drop(sid: str, workspace_id: str = "", account_sid: str = "") -> None:
    """End a call that a superseded attempt left at the carrier. If this is lost, its answer URL does it.

    The carrier's ids of call and account; without an account it is that of the settings.
    """
    asker = accounts.asker(uuid.UUID(workspace_id or _NOBODY), account_sid)
    if asker is not None:
        try:
            asker.hang_up(sid)
        except CarrierGone:
            return
