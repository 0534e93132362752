"""A call for somebody who has a link and no account: words and verdict, with sound if the link allows it.

The link is the credential. Nothing else of the workspace is shown: no numbers, no costs, no tools' data.
"""

import zoneinfo
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views import View

from tenex.errors import NotFound, TenexError
from tenex.lib import limits
from tenex.lib.wake import wake
from tenex.rest import throttling
from tenex.rest.errors import RateLimited
from voice.console import call as pages
from voice.models import CallShare
from voice.selectors import call_page as read
from voice.services import shares

_HEADERS = {
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Referrer-Policy": "no-referrer",  # the address is the credential
}


class SharedView(View):
    """Opens the link, or says why it does not open."""

    counts = False
    needs_audio = False

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            throttling.admit(
                f"shared:{throttling.address_key(request)}", limit=limits.SHARED_OPENS_PER_MINUTE
            )
            share = shares.opened(kwargs["token"], count=self.counts and request.method == "GET")
            if self.needs_audio and not share.with_audio:
                raise NotFound("this link shows no recording")
            with timezone.override(zoneinfo.ZoneInfo(share.workspace.time_zone)):
                kwargs["share"] = share
                answer = super().dispatch(request, *args, **kwargs)
        except RateLimited:
            answer = _refusal(request, "Too many tries. Wait a minute.", 429)
        except TenexError as exc:
            answer = _refusal(request, exc.detail[:1].upper() + exc.detail[1:] + ".", exc.status)
        for name, value in _HEADERS.items():
            answer[name] = value
        return answer


def _refusal(request: HttpRequest, text: str, status: int) -> HttpResponseBase:
    return render(request, "console/shared_refused.html", {"text": text}, status=status)


class SharedCall(SharedView):
    counts = True

    def get(self, request: HttpRequest, token: str, share: CallShare) -> HttpResponseBase:
        call = read.one(share.workspace, share.call_id)
        context = {**pages.conversation(call), "share": share, "token": token}
        sound: read.Sound = context["sound"]
        if share.with_audio and sound.state == "stored" and sound.recording is not None:
            context["audio"] = pages.playable(sound.recording, by=share.issuer)
            if sound.waveform is None:
                wake("voice.postcall.waveform", str(sound.recording.pk))
        return render(request, "console/shared_call.html", context)


class SharedPeaks(SharedView):
    needs_audio = True

    def get(self, request: HttpRequest, token: str, share: CallShare) -> HttpResponseBase:
        return pages.peaks(read.waveform(share.workspace, share.call_id))


class SharedRecordingLink(SharedView):
    needs_audio = True

    def get(self, request: HttpRequest, token: str, share: CallShare) -> HttpResponseBase:
        recording = read.stored(share.workspace, share.call_id)
        return JsonResponse({"url": pages.playable(recording, by=share.issuer)})
