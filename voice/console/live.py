"""Calls in progress, one of them, and what may be done to it. The sockets beside: `sockets` and `audio`."""

import uuid
from typing import Any, ClassVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import reverse

from tenex.errors import InvalidInput, TenexError
from tenex.pages.views import PageView
from voice.models import Call
from voice.models.calls import LIVE
from voice.selectors import calls as read
from voice.selectors import live as read_live
from voice.services import live as live_service
from voice.services import operator

RIGHTS = ("listen", "whisper", "say", "mute", "takeover", "transfer", "hangup")
_MOST_WORDS = 1000


class Live(PageView):
    """The board. Without JavaScript it is a list of what is live now."""

    scope = "calls:read"
    nav = "live"

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.page("console/live.html", {"calls": read.live(self.workspace)})


class LiveCall(PageView):
    """One call: its transcript as it is spoken, and the buttons of whoever may step in."""

    scope = "calls:read"
    nav = "live"

    def get(self, request: HttpRequest, call_id: uuid.UUID) -> HttpResponse:
        call = read.one(self.workspace, call_id)
        context = {
            "call": call,
            "is_live": call.status in LIVE,
            "before": read_live.before(self.workspace, call),
            "may": {right: self.principal.allows(f"live:{right}") for right in RIGHTS},
            "by_phone": live_service.channel_of(call.pk) == "phone",
            "me": self.principal.actor,
        }
        return self.page("console/live_call.html", context)


class Action(PageView):
    """A button of the call's page: a form, which leads back there, or a script that wants a line of JSON."""

    done: ClassVar[str]
    """What is said when it was handed on."""

    def post(self, request: HttpRequest, call_id: uuid.UUID) -> HttpResponse:
        call = read.bare(self.workspace, call_id)
        by_script = request.headers.get("Accept") == "application/json"
        try:
            self.act(call)
        except TenexError as exc:
            if by_script:
                return JsonResponse({"error": exc.detail, "code": exc.code}, status=exc.status)
            messages.error(request, exc.detail)
        else:
            if by_script:
                return JsonResponse({"done": self.done})
            messages.success(request, self.done)
        return HttpResponseRedirect(reverse("live_call", args=[call_id]))

    def act(self, call: Call) -> None:
        """
        Raises:
            TenexError: it cannot be done now.
        """
        raise NotImplementedError

    def words(self) -> str:
        """
        Raises:
            InvalidInput: there are none, or too many.
        """
        text = self.request.POST.get("text", "").strip()
        if not text:
            raise InvalidInput("write something first", loc=("body", "text"), type_="too_short")
        if len(text) > _MOST_WORDS:
            raise InvalidInput(f"at most {_MOST_WORDS} characters", loc=("body", "text"), type_="too_long")
        return text

    @property
    def who(self) -> dict[str, Any]:
        return {"actor": self.principal.actor}


class Whisper(Action):
    scope = "live:whisper"
    done = "The agent has been told. The caller does not hear it."

    def act(self, call: Call) -> None:
        operator.whisper(call, self.words(), **self.who)


class Say(Action):
    scope = "live:say"
    done = "The agent says it as soon as it may speak. The caller hears it."

    def act(self, call: Call) -> None:
        operator.say(call, self.words(), **self.who)


class Mute(Action):
    scope = "live:mute"
    done = "The agent is silent now. The caller hears nothing."

    def act(self, call: Call) -> None:
        operator.mute(call, **self.who)


class Unmute(Action):
    scope = "live:mute"
    done = "The agent may speak again."

    def act(self, call: Call) -> None:
        operator.unmute(call, **self.who)


class Transfer(Action):
    scope = "live:transfer"
    done = "The call is being transferred. The caller hears that."

    def act(self, call: Call) -> None:
        operator.transfer(call, self.request.POST.get("to", "").strip(), **self.who)


class HangUp(Action):
    scope = "live:hangup"
    done = "The call is being ended."

    def act(self, call: Call) -> None:
        operator.hang_up(call, **self.who)
