"""What the model costs, from the usage of `response.done` (cached tokens are a part of the input tokens)."""

from typing import Any

from voice.session.limits import Prices


def _count(usage: dict[str, Any], key: str) -> int:
    value = usage.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else 0


def _object(usage: dict[str, Any], key: str) -> dict[str, Any]:
    value = usage.get(key)
    return value if isinstance(value, dict) else {}


def cost_microusd(usage: dict[str, Any], prices: Prices) -> int:
    """Cost of one response. Any member may be missing; cancelled and failed responses cost as well."""
    into, out = _object(usage, "input_token_details"), _object(usage, "output_token_details")
    cached = _object(into, "cached_tokens_details")
    text_in, audio_in = _count(into, "text_tokens"), _count(into, "audio_tokens")
    text_cached = min(_count(cached, "text_tokens"), text_in)
    audio_cached = min(_count(cached, "audio_tokens"), audio_in)
    per_thousand = (
        (text_in - text_cached) * prices.text_in
        + text_cached * prices.text_cached
        + (audio_in - audio_cached) * prices.audio_in
        + audio_cached * prices.audio_cached
        + _count(out, "text_tokens") * prices.text_out
        + _count(out, "audio_tokens") * prices.audio_out
    )
    return per_thousand // 1000
