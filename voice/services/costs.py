"""What calls cost, in microdollars: the model by the usage that it reported, the carrier by the minute.

By the prices of the settings, for budgets and forecasts; the bills of carrier and model are the truth.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from voice.session import spend
from voice.session.limits import Prices

MICRO_PER_MINOR = 10_000
"""Microdollars in a cent."""


def of_call(usage: Mapping[str, Any], talked_ms: int | None) -> int:
    """Microdollars of a call with this summed `usage` that was connected for `talked_ms`; None: never."""
    minutes = -(-talked_ms // 60_000) if talked_ms else 0
    carrier = minutes * round(settings.CARRIER_USD_PER_MINUTE * 1_000_000)
    return carrier + spend.cost_microusd(dict(usage), prices())


@dataclass(frozen=True, slots=True)
class Item:
    """One kind of cost: `quantity` of `unit` (minutes, tokens)."""

    label: str
    quantity: int
    unit: str
    microusd: int


def by_kind(usage: Mapping[str, Any], talked_ms: int | None) -> list[Item]:
    """What :func:`of_call` is made of (but for its rounding): what nothing was used of is left out."""
    minutes = -(-talked_ms // 60_000) if talked_ms else 0
    carrier = minutes * round(settings.CARRIER_USD_PER_MINUTE * 1_000_000)
    items = [Item("Phone line", minutes, "min", carrier)]
    for part in spend.parts(dict(usage), prices()):
        items.append(Item(_LABELS[part.kind], part.tokens, "tokens", part.millionths // 1000))
    return [item for item in items if item.quantity]


_LABELS = {
    "audio_in": "Model: listening",
    "audio_cached": "Model: listening, cached",
    "text_in": "Model: reading",
    "text_cached": "Model: reading, cached",
    "audio_out": "Model: speaking",
    "text_out": "Model: writing",
}


def prices() -> Prices:
    """The model's, as a live call counts them: microdollars per 1,000 tokens."""
    return Prices(**{name: round(usd * 1000) for name, usd in settings.MODEL_PRICES_USD.items()})


def minor(microusd: int) -> int:
    """Whole cents, rounded up: what is spent is never shown as less."""
    return -(-microusd // MICRO_PER_MINOR)


def of_sums(sums: Mapping[str, int]) -> int:
    """Microdollars of many calls, by the sums of `voice.selectors.measures`."""
    carrier = sums["carrier_minutes"] * round(settings.CARRIER_USD_PER_MINUTE * 1_000_000)
    each = prices()
    text_cached = min(sums["cached_text_tokens"], sums["input_text_tokens"])
    audio_cached = min(sums["cached_audio_tokens"], sums["input_audio_tokens"])
    per_thousand = (
        (sums["input_text_tokens"] - text_cached) * each.text_in
        + text_cached * each.text_cached
        + (sums["input_audio_tokens"] - audio_cached) * each.audio_in
        + audio_cached * each.audio_cached
        + sums["output_text_tokens"] * each.text_out
        + sums["output_audio_tokens"] * each.audio_out
    )
    return carrier + per_thousand // 1000
