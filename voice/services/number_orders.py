"""Numbers at the carrier: bought, set up, given back. Never bought twice for one answer (promises.md R3).

A number is a thing of its own: it can be sold once, and the account's list says whether we have it. So the
order is a row first; `asked_at` is committed before the carrier is asked; an answer that is not clear leaves
it set, and after the grace the list decides. Only "twice not in the list" makes us ask again. Setting up and
giving back are safe to repeat and are repeated until the carrier has answered.
"""

from datetime import timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from tenex.lib import failpoint
from tenex.lib.backoff import delay_s
from tenex.lib.phone import mask
from tenex.workspaces.services import audit
from voice.models import NumberSource, NumberStatus, PhoneNumber
from voice.services import accounts
from voice.services.numbers import announce
from voice.services.timing import timing
from voice.telephony import addresses
from voice.telephony.client import Carrier, CarrierNumber, NumberUrls
from voice.telephony.errors import (
    CarrierError,
    CarrierGone,
    CarrierRejected,
    CarrierThrottled,
)

log = structlog.get_logger(__name__)

_PER_RUN = 50
_LOOKUPS = 2
MAX_TRIES = 6
"""How often a number is asked for, or set up, before it is given up as failed."""
_LONGEST_WAIT_S = 3600.0
_ACTOR = "system:numbers"


def settle() -> int:
    """Take the next step of every number whose step is due; how many steps were taken."""
    due = PhoneNumber.objects.filter(next_at__lte=Now()).order_by("next_at")
    taken = 0
    for number in list(due.select_related("workspace")[:_PER_RUN]):
        asks = number.source == NumberSource.BOUGHT and number.asked_at is None
        if not _take(number, asking=asks and number.status == NumberStatus.PENDING):
            continue
        taken += 1
        failpoint.hit("number.taken")
        carrier = accounts.asker(number.workspace_id, number.account_sid)
        if carrier is None:  # its account's credentials were taken away; looked at again after the grace
            continue
        if number.status == NumberStatus.RELEASING:
            _give_back(number, carrier)
        elif number.source != NumberSource.BOUGHT:
            _set_up(number, carrier)
        elif asks:
            _buy(number, carrier)
        else:
            _look_up(number, carrier)
    return taken


def urls() -> NumberUrls:
    """Our addresses, as a number has them."""
    return NumberUrls(addresses.voice(), addresses.fallback(), addresses.number_status())


def _take(number: PhoneNumber, *, asking: bool) -> bool:
    """One worker takes the step: whoever moves `next_at` on. Committed before the carrier hears of it."""
    fields: dict[str, Any] = {"next_at": Now() + timing().grace}
    if asking:
        fields["asked_at"] = Now()
    mine = PhoneNumber.objects.filter(
        pk=number.pk, status=number.status, next_at=number.next_at, asked_at=number.asked_at
    )
    return bool(mine.update(**fields))


def _buy(number: PhoneNumber, carrier: Carrier) -> None:
    """The one request. After an earlier one that was lost for good, a refusal may mean that we have it."""
    try:
        bought = carrier.buy_number(
            number.e164, urls(), label=number.label, timeout_s=timing().post_timeout_s
        )
    except CarrierThrottled as exc:
        _again(number, exc, asked_at=None)
        return
    except CarrierRejected as exc:
        if number.tries and (found := _found(number, carrier)):
            _activate(number, found)
        else:
            _fail(number, exc.provider_code or exc.code, exc.detail)
        return
    except CarrierError as exc:
        log.warning("answer to an order unknown", number=mask(number.e164), code=exc.code)
        return  # asked_at stands: the list decides after the grace
    failpoint.hit("number.bought")
    _activate(number, bought)


def _look_up(number: PhoneNumber, carrier: Carrier) -> None:
    try:
        found = next(iter(carrier.numbers(number.e164)), None)
        if found is not None:
            _activate(number, carrier.route_number(found.sid, urls()))
            return
    except CarrierError as exc:
        log.warning("carrier's list not read", number=mask(number.e164), code=exc.code)
        return
    lookups = number.lookups + 1
    fields: dict[str, Any] = {"lookups": lookups, "next_at": Now() + timing().grace / 3}
    if lookups >= _LOOKUPS:
        tries = number.tries + 1
        if tries >= MAX_TRIES:
            _fail(number, "carrier_ambiguous", "the carrier never answered clearly, and never had it")
            return
        fields = {"lookups": 0, "tries": tries, "asked_at": None, "next_at": Now()}
    PhoneNumber.objects.filter(pk=number.pk, status=NumberStatus.PENDING).update(**fields)


def _found(number: PhoneNumber, carrier: Carrier) -> CarrierNumber | None:
    try:
        return next(iter(carrier.numbers(number.e164)), None)
    except CarrierError:
        return None


def _set_up(number: PhoneNumber, carrier: Carrier) -> None:
    try:
        _activate(number, carrier.route_number(number.provider_sid, urls()))
    except CarrierRejected as exc:
        _fail(number, exc.provider_code or exc.code, exc.detail)
    except CarrierError as exc:
        _again(number, exc)


def _give_back(number: PhoneNumber, carrier: Carrier) -> None:
    try:
        sid = number.provider_sid
        if not sid:
            found = next(iter(carrier.numbers(number.e164)), None)
            sid = found.sid if found else ""
        if sid:
            carrier.release_number(sid)
    except CarrierGone:
        pass  # given back before
    except CarrierRejected as exc:
        _finish(number, NumberStatus.RELEASED, "number.release_refused", exc.provider_code, exc.detail)
        return
    except CarrierError as exc:
        _again(number, exc, forever=True)
        return
    _finish(number, NumberStatus.RELEASED, "number.given_back")


def _activate(number: PhoneNumber, found: CarrierNumber) -> None:
    number.provider_sid, number.capabilities = found.sid, found.capabilities
    _finish(number, NumberStatus.ACTIVE, "number.activated")


def _fail(number: PhoneNumber, code: str, detail: str) -> None:
    log.warning("number not had", number=mask(number.e164), provider_code=code)
    _finish(number, NumberStatus.FAILED, "number.failed", code, detail)


def _finish(number: PhoneNumber, status: NumberStatus, action: str, code: str = "", detail: str = "") -> None:
    """`pending` or `releasing` -> `status`, unless somebody else was faster."""
    with transaction.atomic():
        row = PhoneNumber.objects.select_for_update().get(pk=number.pk)
        if row.status != number.status:
            return
        row.status, row.next_at = status, None
        row.released_at = timezone.now() if status == NumberStatus.RELEASED else None
        row.provider_sid, row.capabilities = number.provider_sid, number.capabilities
        row.problem_code, row.problem_detail = code[:40], detail[:300]
        row.save()
        audit.record(
            row.workspace_id,
            _ACTOR,
            action,
            object_type="number",
            object_id=row.id,
            data={"e164": row.e164, "sid": row.provider_sid, "code": code},
        )
        announce(row)


def _again(number: PhoneNumber, exc: CarrierError, *, forever: bool = False, **fields: Any) -> None:
    """Later, more and more so; what was not processed, or may be repeated, is not failed by one bad day."""
    tries = number.tries + 1
    if tries >= MAX_TRIES and not forever:
        _fail(number, exc.provider_code or exc.code, exc.detail)
        return
    times = timing()
    wait_s = delay_s(tries, first_s=times.throttle_first_s * 4, longest_s=_LONGEST_WAIT_S)
    PhoneNumber.objects.filter(pk=number.pk, status=number.status).update(
        tries=min(tries, 30_000), next_at=Now() + timedelta(seconds=wait_s), **fields
    )
    log.info("number step put off", number=mask(number.e164), code=exc.code, wait_s=round(wait_s, 1))
