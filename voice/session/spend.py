"""What the model costs, from the usage of `response.done` (cached tokens are a part of the input tokens)."""

from dataclasses import dataclass
from typing import Any

from voice.session.limits import Prices


def _count(usage: dict[str, Any], key: str) -> int:
    value = usage.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else 0


def _object(usage: dict[str, Any], key: str) -> dict[str, Any]:
    value = usage.get(key)
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class Part:
    """Tokens of one kind; `millionths` of a dollar times a thousand, so that nothing is rounded."""

    kind: str
    tokens: int
    millionths: int


def parts(usage: dict[str, Any], prices: Prices) -> list[Part]:
    """What a response's cost is made of. Any member may be missing."""
    into, out = _object(usage, "input_token_details"), _object(usage, "output_token_details")
    cached = _object(into, "cached_tokens_details")
    text_in, audio_in = _count(into, "text_tokens"), _count(into, "audio_tokens")
    text_cached = min(_count(cached, "text_tokens"), text_in)
    audio_cached = min(_count(cached, "audio_tokens"), audio_in)
    tokens = {
        "audio_in": audio_in - audio_cached,
        "audio_cached": audio_cached,
        "text_in": text_in - text_cached,
        "text_cached": text_cached,
        "audio_out": _count(out, "audio_tokens"),
        "text_out": _count(out, "text_tokens"),
    }
    return [Part(kind, count, count * getattr(prices, kind)) for kind, count in tokens.items()]


def cost_microusd(usage: dict[str, Any], prices: Prices) -> int:
    """Cost of one response. Any member may be missing; cancelled and failed responses cost as well."""
    return sum(part.millionths for part in parts(usage, prices)) // 1000
