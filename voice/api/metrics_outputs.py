"""Figures as integrators see them: each number with what it is a part of (docs/metrics.md)."""

from typing import Any

from rest_framework import serializers as f

from tenex.lib.periods import Granularity
from tenex.rest.serializers import Output
from voice.models import Outcome
from voice.selectors.measures import OUTCOMES, percentile_ms
from voice.selectors.metrics import Tally


class RateOut(Output):
    """A part of a whole."""

    value = f.FloatField(allow_null=True, help_text="`numerator` / `denominator`; null if there is none.")
    numerator = f.IntegerField()
    denominator = f.IntegerField()


class DurationOut(Output):
    """How long connected calls lasted, from answer to end."""

    calls = f.IntegerField(help_text="The connected calls.")
    total_ms = f.IntegerField()
    average_ms = f.IntegerField(allow_null=True)


class ResponseLatencyOut(Output):
    """From the end of the caller's speech to the sound of the answer."""

    turns = f.IntegerField(help_text="Answers that were measured.")
    average_ms = f.IntegerField(allow_null=True)
    p50_ms = f.IntegerField(allow_null=True, help_text="Right to 5 %, over all answers of these calls.")
    p95_ms = f.IntegerField(allow_null=True, help_text="Right to 5 %, over all answers of these calls.")


class ModelUsageOut(Output):
    """What the speech model counted. Cached tokens are part of the input, audio tokens of both."""

    calls = f.IntegerField(help_text="Calls that used the model.")
    input_tokens = f.IntegerField()
    cached_input_tokens = f.IntegerField()
    input_audio_tokens = f.IntegerField()
    output_tokens = f.IntegerField()
    output_audio_tokens = f.IntegerField()


OutcomesOut = type(
    "OutcomesOut",
    (Output,),
    {
        "__doc__": "Finalized calls by outcome. They add up to `calls`.",
        **{outcome.value: f.IntegerField(help_text=outcome.label + ".") for outcome in Outcome},
    },
)


class FiguresOut(Output):
    """Figures of calls that are finalized; `open` counts the others."""

    calls = f.IntegerField(help_text="Finalized calls: every figure is about these.")
    open = f.IntegerField(help_text="Calls that are not finalized yet, and not in any other figure.")
    dialed = f.IntegerField(help_text="Outbound calls that the carrier was asked to place.")
    answered = f.IntegerField(help_text="Picked up, by whomever.")
    connected = f.IntegerField(help_text="Answered by a person: no answering machine, no fax.")
    outcomes = OutcomesOut()
    meetings_booked = f.IntegerField(help_text="Calls in which a meeting was booked.")
    handed_over = f.IntegerField(help_text="Calls that a person took over, whatever their outcome.")
    connect_rate = RateOut(help_text="Dialed and answered by a person / dialed.")
    qualified_rate = RateOut(help_text="Qualified / connected.")
    meeting_rate = RateOut(help_text="Meetings booked / connected.")
    duration = DurationOut()
    response_latency = ResponseLatencyOut()
    usage = ModelUsageOut()


class PreviousOut(FiguresOut):
    """The period before."""

    locals()["from"] = f.DateTimeField()
    to = f.DateTimeField()


class MetricsOut(FiguresOut):
    """Figures of one stretch of time."""

    company_id = f.UUIDField(help_text="Your workspace.")
    locals()["from"] = f.DateTimeField()
    to = f.DateTimeField()
    time_zone = f.CharField()
    previous = PreviousOut(allow_null=True, help_text="With `compare=previous`.")


class BucketOut(FiguresOut):
    """One bucket. The first and the last are cut at `from` and `to`."""

    start = f.DateTimeField(help_text="With the zone's offset at that instant.")
    end = f.DateTimeField()


class SeriesOut(Output):
    """All buckets of a stretch of time, also those without calls."""

    company_id = f.UUIDField(help_text="Your workspace.")
    locals()["from"] = f.DateTimeField()
    to = f.DateTimeField()
    time_zone = f.CharField()
    granularity = f.ChoiceField(choices=[one.value for one in Granularity])
    buckets = BucketOut(many=True)


def figures(tally: Tally) -> dict[str, Any]:
    """A tally as :class:`FiguresOut`."""
    sums, connected, dialed = tally.sums, tally.sums["connected"], tally.sums["dialed"]
    return {
        "calls": sums["calls"],
        "open": tally.open,
        "dialed": dialed,
        "answered": sums["answered"],
        "connected": connected,
        "outcomes": {outcome.value: sums[column] for outcome, column in OUTCOMES.items()},
        "meetings_booked": sums["meetings_booked"],
        "handed_over": sums["handed_over"],
        "connect_rate": _rate(sums["connected_dialed"], dialed),
        "qualified_rate": _rate(sums["qualified"], connected),
        "meeting_rate": _rate(sums["meetings_booked"], connected),
        "duration": {
            "calls": connected,
            "total_ms": sums["duration_ms"],
            "average_ms": _average(sums["duration_ms"], connected),
        },
        "response_latency": {
            "turns": sums["turns"],
            "average_ms": _average(sums["turns_ms"], sums["turns"]),
            "p50_ms": percentile_ms(tally.histogram, 0.50),
            "p95_ms": percentile_ms(tally.histogram, 0.95),
        },
        "usage": {
            "calls": sums["with_usage"],
            "input_tokens": sums["input_tokens"],
            "cached_input_tokens": sums["cached_tokens"],
            "input_audio_tokens": sums["input_audio_tokens"],
            "output_tokens": sums["output_tokens"],
            "output_audio_tokens": sums["output_audio_tokens"],
        },
    }


def _rate(part: int, whole: int) -> dict[str, Any]:
    return {"value": round(part / whole, 6) if whole else None, "numerator": part, "denominator": whole}


def _average(total: int, count: int) -> int | None:
    return round(total / count) if count else None
