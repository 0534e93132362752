"""The page of one call."""

import uuid
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.utils import timezone

from tenex.lib.wake import wake
from tenex.pages.views import PageView
from tenex.rest.pagination import page_in_order
from voice.api import media, transcripts
from voice.console import call_lines
from voice.models import Call, KeptClass, Recording, RecordingProblem, Waveform
from voice.models.calls import LIVE
from voice.selectors import call_clock
from voice.selectors import call_page as read
from voice.selectors import calls as read_calls
from voice.selectors import retention as read_retention
from voice.services import costs, retention

LIFETIMES = ((1, "1 hour"), (8, "8 hours"), (24, "1 day"), (72, "3 days"), (168, "7 days"), (720, "30 days"))


class CallView(PageView):
    """What all doors of one call have."""

    scope = "calls:read"
    nav = "calls"

    def shown(
        self, call_id: uuid.UUID, *, status: int = 200, correction: Any = None, sharing: Any = None
    ) -> HttpResponse:
        """The page; `correction` and `sharing` are forms that were sent and did not go through, or did."""
        call = read.one(self.workspace, call_id)
        context = {
            **(said := conversation(call)),
            **self._around(call),
            "state": state_of(call, said["sound"]),
            "correction": correction or {},
            "sharing": sharing or {},
            "lifetimes": LIFETIMES,
        }
        if call.status in LIVE:
            return self.page("console/call_live.html", context, status=status)
        sound: read.Sound = context["sound"]
        if sound.recording is not None and sound.recording.problem:
            context["problem"] = RecordingProblem(sound.recording.problem).label
        if (
            sound.state == "stored"
            and sound.recording is not None
            and self.principal.allows("recordings:read")
        ):
            context["audio"] = playable(sound.recording, by=self.principal.rate_key)
            if sound.waveform is None:
                wake("voice.postcall.waveform", str(sound.recording.pk))
        return self.page("console/call.html", context, status=status)

    def _around(self, call: Call) -> dict[str, Any]:
        """What only members of the workspace see."""
        items = costs.by_kind(call.usage, call.duration_ms)
        return {
            "may_correct": self.principal.allows("verdicts:write"),
            "may_share": self.principal.allows("calls:share"),
            "may_listen": self.principal.allows("recordings:read"),
            "may_delete": self.principal.allows("recordings:write"),
            "may_hold": self.principal.allows("settings:write"),
            "may_forget": self.principal.allows("persons:admin"),
            "holds": read_retention.holds_of_call(call),
            "costs": items,
            "cost_microusd": costs.of_call(call.usage, call.duration_ms),
            "shares": list(read.shares(call)[:50]) if self.principal.allows("calls:share") else [],
            "now": timezone.now(),
            "decisions": read.decisions(call),
            "history": read.history(call),
            "deliveries": read.deliveries(call) if self.principal.allows("webhooks:read") else None,
            "earlier": read.earlier(call),
            "journal_lines": call.journal_seq,
        }


class CallPage(CallView):
    def get(self, request: HttpRequest, call_id: uuid.UUID) -> HttpResponse:
        return self.shown(call_id)


def conversation(call: Call) -> dict[str, Any]:
    """What a page of a call shows to members and to those who have a link: words, verdict, sound."""
    sound = read.sound(call)
    zero_at = call_clock.zero(call)
    if sound.waveform is not None:
        zero_ms = sound.waveform.offset_ms
    else:
        zero_ms = call_clock.guess_ms(sound.recording) if sound.recording is not None else 0
    answered_at = call.answered_at or call.created_at
    told = read_calls.conversation(call)
    shown = call_lines.lines(
        told,
        zero_ms=zero_ms,
        tools_ms=round((answered_at - zero_at).total_seconds() * 1000),
        shifts=call_clock.shifts(call),
        latency=read.answer_latency(call),
    )
    verdict, corrections = getattr(call, "verdict", None), read.corrections(call)
    described = call.agent_version.criteria if call.agent_version else []
    return {
        "call": call,
        "lines": shown,
        "words_deleted": retention.is_gone(call, KeptClass.TRANSCRIPT),
        "sound": sound,
        "zero_ms": zero_ms,
        "verdict": verdict,
        "corrections": corrections,
        "judged": verdict and call_lines.verdict(verdict, corrections, shown, described),
        "barge_ins": sum(1 for line in shown if line.interrupted and line.speaker == "agent"),
    }


def playable(recording: Recording, *, by: str) -> str:
    """Where the browser hears it, for five minutes: on this host if the file is ours."""
    link, _ = media.link(recording, by=by)
    return link.removeprefix(settings.PUBLIC_BASE_URL)


def state_of(call: Call, sound: read.Sound) -> str:
    """Changes when the page has something new to show: the end of post-call, a recording that came."""
    return f"{call.status}:{sound.state}"


class CallState(CallView):
    """Asked by a page that waits for something."""

    def get(self, request: HttpRequest, call_id: uuid.UUID) -> HttpResponseBase:
        call = read_calls.bare(self.workspace, call_id)
        return JsonResponse({"state": state_of(call, read.sound(call))})


class CallPeaks(CallView):
    """The levels of the recording: two bytes a step (caller, agent). 202 while they are being made."""

    scope = "recordings:read"

    def get(self, request: HttpRequest, call_id: uuid.UUID) -> HttpResponseBase:
        return peaks(read.waveform(self.workspace, call_id))


def peaks(made: Waveform | None) -> HttpResponse:
    if made is None:
        return JsonResponse({"state": "pending"}, status=202)
    if made.problem:
        return JsonResponse({"state": "failed", "problem": made.problem}, status=200)
    return HttpResponse(
        bytes(made.peaks),
        content_type="application/octet-stream",
        headers={
            "Cache-Control": "no-store",
            "X-Peaks-Per-Second": str(made.peaks_per_s),
            "X-Offset-Ms": str(made.offset_ms),
        },
    )


class CallRecordingLink(CallView):
    """A fresh link for a player whose link has run out."""

    scope = "recordings:read"

    def get(self, request: HttpRequest, call_id: uuid.UUID) -> HttpResponseBase:
        recording = read.stored(self.workspace, call_id)
        return JsonResponse({"url": playable(recording, by=self.principal.rate_key)})


class CallTranscript(CallView):
    """To keep: plain text or WebVTT, of what was heard."""

    def get(self, request: HttpRequest, call_id: uuid.UUID, form: str) -> HttpResponseBase:
        call = read_calls.bare(self.workspace, call_id)
        told = read_calls.conversation(call)
        text, kind = {
            "txt": (transcripts.as_text, "text/plain"),
            "vtt": (transcripts.as_vtt, "text/vtt"),
        }[form]
        return HttpResponse(
            text(told),
            content_type=f"{kind}; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="{call.pk}.{form}"',
                "Cache-Control": "no-store",
            },
        )


class CallJournal(CallView):
    """The raw lines, for engineers, a page at a time."""

    def get(self, request: HttpRequest, call_id: uuid.UUID) -> HttpResponse:
        call = read.one(self.workspace, call_id)
        found = page_in_order(
            read.journal(call), request.GET, by="seq", bound_to=f"console-journal:{call.pk}"
        )
        context = {"call": call, "lines": found.items, "next_cursor": found.next_cursor}
        if request.headers.get("HX-Request"):
            return self.page("console/call_journal_part.html", context)
        return self.page("console/call_journal.html", context)
