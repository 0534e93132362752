"""What the carrier sells. Nothing is written."""

import uuid

from tenex.errors import InvalidInput
from voice.services import accounts
from voice.telephony.client import NumberForSale, NumberKind
from voice.telephony.errors import CarrierGone, CarrierRejected

_WITH_AREA_CODES = ("US", "CA")


def search(
    workspace_id: uuid.UUID,
    country: str,
    kind: NumberKind,
    *,
    area_code: str = "",
    contains: str = "",
    limit: int = 20,
) -> list[NumberForSale]:
    """Numbers for sale that take calls; `contains` may have `*` for any character.

    Raises:
        InvalidInput: no such numbers are sold in this country, or the carrier does not take the pattern.
        CarrierError: it does not answer.
    """
    if area_code and country not in _WITH_AREA_CODES:
        raise InvalidInput("only in the US and Canada; use contains", loc=("query", "area_code"))
    try:
        _, carrier = accounts.of_workspace(workspace_id)
        return carrier.numbers_for_sale(country, kind, area_code=area_code, contains=contains, limit=limit)
    except CarrierGone as exc:
        raise InvalidInput(
            f"the carrier sells no {kind} numbers in {country}", loc=("query", "type"), type_="not_sold"
        ) from exc
    except CarrierRejected as exc:
        if exc.http_status != 400:
            raise
        raise InvalidInput(exc.detail, loc=("query", "contains")) from exc
