"""How values look on every page: instants, durations, numbers, money, states."""

from datetime import datetime, timedelta
from typing import Any, Literal

from django import template
from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import QueryDict
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from tenex.lib import phone as phones

register = template.Library()

_TONES = {
    # what came of a call
    "qualified": "good", "callback": "info", "transferred": "info", "unqualified": "quiet",
    "undetermined": "warn", "voicemail": "quiet", "no-answer": "quiet", "busy": "quiet", "canceled": "quiet",
    "opted-out": "bad", "failed": "bad",
    # where a thing is
    "queued": "quiet", "dialing": "info", "ringing": "info", "in_progress": "live", "ended": "quiet",
    "finalizing": "info", "finalized": "quiet", "draft": "quiet", "scheduled": "info", "running": "live",
    "paused": "warn", "completed": "good", "refused": "warn", "pending": "quiet", "delivered": "good",
    "dead": "bad", "requested": "warn", "booking": "info", "booked": "good", "ok": "good", "failing": "bad",
    "unfinished": "warn", "stored": "good", "deleted": "quiet", "active": "good", "published": "good",
    "indexed": "good",
    "verified": "good", "unreachable": "warn", "unknown": "quiet",
}  # fmt: skip


_NONE = SafeString('<span class="muted">–</span>')


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """A picture of static/tenex/icons.svg; without a label it is decoration."""
    href = staticfiles_storage.url("tenex/icons.svg")
    if label:
        return format_html(
            '<svg class="icon" role="img" aria-label="{}"><use href="{}#{}"></use></svg>', label, href, name
        )
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>', href, name)


@register.filter
def badge(value: Any, label: str = "") -> SafeString:
    """A closed word (outcome, status) with its tone. Colour is never all that tells: the word is there."""
    text = str(value or "")
    if not text:
        return _NONE
    shown = label or text.replace("_", " ").replace("-", " ").capitalize()
    return format_html('<span class="badge" data-tone="{}">{}</span>', _TONES.get(text, "quiet"), shown)


@register.filter
def moment(at: datetime | None, form: str = "short") -> SafeString:
    """An instant in the workspace's zone; the exact one is in the title. `ago` ticks in the browser."""
    if at is None:
        return _NONE
    here = timezone.localtime(at)
    exact = f"{here:%Y-%m-%d %H:%M:%S} {here.tzname()} (UTC{here:%z})"
    same_year = here.year == timezone.localtime().year
    text = here.strftime("%b %-d, %H:%M" if same_year else "%b %-d %Y, %H:%M")
    extra = SafeString(" data-ago") if form == "ago" else ""
    return format_html(
        '<time datetime="{}" title="{}"{}>{}</time>', at.isoformat(timespec="seconds"), exact, extra, text
    )


@register.filter
def duration(value: float | timedelta | None) -> str:
    """Seconds as `1:02:03` or `2:03`."""
    if value is None or value == "":
        return "–"
    seconds = round(value.total_seconds() if isinstance(value, timedelta) else value)
    hours, rest = divmod(max(0, seconds), 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


@register.filter
def clock_ms(value: float | None) -> str:
    """Milliseconds from the start of a call as `2:03`."""
    return "–" if value is None else duration(value / 1000)


@register.filter
def ms(value: float | Literal[""] | None) -> str:
    """A latency: `640 ms`, `2.1 s`. What is not there is empty in a template."""
    if value is None or value == "":
        return "–"
    return f"{value / 1000:.1f} s" if value >= 1000 else f"{value:.0f} ms"


@register.filter
def share(value: float | None) -> str:
    """A ratio as `42 %`; below ten per cent with a decimal."""
    if value is None:
        return "–"
    return f"{value * 100:.1f} %" if 0 < abs(value) < 0.1 else f"{value * 100:.0f} %"


@register.filter
def money(minor: float | None) -> str:
    """Minor units (cents of USD) as `$1.23`."""
    return "–" if minor is None else f"${minor / 100:,.2f}"


@register.filter
def usd(microusd: float | None) -> str:
    """Microdollars as `$1.23`; below a dollar with what a single call costs still to be seen."""
    if microusd is None:
        return "–"
    dollars = microusd / 1_000_000
    return f"${dollars:,.2f}" if dollars >= 1 or not dollars else f"${dollars:.3f}"


@register.filter
def phone(number: str | None) -> str:
    """E.164 as people write it, with the country's code."""
    return phones.pretty(number) if number else "–"


@register.simple_tag(takes_context=True)
def query(context: template.Context, **changes: Any) -> str:
    """The page's own query string with some parameters changed; None takes one away."""
    parameters: QueryDict = context["request"].GET.copy()
    for name, value in changes.items():
        if value is None or value == "":
            parameters.pop(name, None)
        else:
            parameters[name] = str(value)
    return f"?{parameters.urlencode()}"
