"""Steering a live call, and opening its event stream in a browser."""

import uuid
from typing import ClassVar

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from tenex.rest import signed
from tenex.rest.idempotency import idempotent
from tenex.rest.schema import operation
from tenex.rest.views import ApiView, accepted, created
from voice.api.inputs import SayIn, TransferIn, WhisperIn
from voice.api.outputs import CommandOut, StreamTokenOut
from voice.api.stream import PURPOSE
from voice.models import Call
from voice.selectors import calls as read
from voice.services import operator

TAG = "Live control"
STREAM_TTL_S = 3 * 3600
"""Longer than the longest call: EventSource reconnects with the same address."""


def _done(call: Call, *, to: str | None = None) -> Response:
    return accepted({"call_id": str(call.id), "accepted": True, "to": to})


class CallHangup(ApiView):
    scopes: ClassVar = {"POST": "calls:write"}

    @operation(
        "calls_hangup",
        "Hang up",
        "Ends the call. One that is still queued is canceled. Safe to repeat while the call ends; one that "
        "is over answers 409 `call_over`.",
        tag=TAG,
        response=CommandOut,
        status=202,
        errors=(404, 409),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request, call_id: uuid.UUID) -> Response:
        call = read.bare(self.workspace, call_id)
        operator.hang_up(call, actor=self.principal.actor)
        return _done(call)


class CallSay(ApiView):
    scopes: ClassVar = {"POST": "calls:write"}

    @operation(
        "calls_say",
        "Say something",
        "The agent says this line as soon as it may speak. 409 `call_not_answered`, `call_over` or "
        "`call_not_connected` if nobody is there.",
        tag=TAG,
        request=SayIn,
        response=CommandOut,
        status=202,
        errors=(404, 409, 503),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request, call_id: uuid.UUID) -> Response:
        call = read.bare(self.workspace, call_id)
        operator.say(call, self.body(SayIn)["text"], actor=self.principal.actor)
        return _done(call)


class CallWhisper(ApiView):
    scopes: ClassVar = {"POST": "calls:write"}

    @operation(
        "calls_whisper",
        "Tell the agent something",
        "The agent gets this instruction; the caller does not hear it. 409 `call_not_answered`, `call_over` "
        "or `call_not_connected` if nobody is there.",
        tag=TAG,
        request=WhisperIn,
        response=CommandOut,
        status=202,
        errors=(404, 409, 503),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request, call_id: uuid.UUID) -> Response:
        call = read.bare(self.workspace, call_id)
        operator.whisper(call, self.body(WhisperIn)["text"], actor=self.principal.actor)
        return _done(call)


class CallMute(ApiView):
    scopes: ClassVar = {"POST": "calls:write"}

    @operation(
        "calls_mute",
        "Mute the agent",
        "The agent says and answers nothing until it is unmuted; the caller hears silence. Safe to repeat.",
        tag=TAG,
        response=CommandOut,
        status=202,
        errors=(404, 409, 503),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request, call_id: uuid.UUID) -> Response:
        call = read.bare(self.workspace, call_id)
        operator.mute(call, actor=self.principal.actor)
        return _done(call)


class CallUnmute(ApiView):
    scopes: ClassVar = {"POST": "calls:write"}

    @operation(
        "calls_unmute",
        "Let the agent speak again",
        "Ends a mute. Safe to repeat.",
        tag=TAG,
        response=CommandOut,
        status=202,
        errors=(404, 409, 503),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request, call_id: uuid.UUID) -> Response:
        call = read.bare(self.workspace, call_id)
        operator.unmute(call, actor=self.principal.actor)
        return _done(call)


class CallTransfer(ApiView):
    scopes: ClassVar = {"POST": "calls:write"}

    @operation(
        "calls_transfer",
        "Transfer to a person",
        "Hands the caller over. Without `to` the workspace's transfer number is called.",
        tag=TAG,
        request=TransferIn,
        response=CommandOut,
        status=202,
        errors=(404, 409, 503),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request, call_id: uuid.UUID) -> Response:
        call = read.bare(self.workspace, call_id)
        data = self.body(TransferIn)
        to = operator.transfer(call, data["to"], reason=data["reason"], actor=self.principal.actor)
        return _done(call, to=to)


class CallStreamToken(ApiView):
    scopes: ClassVar = {"POST": "calls:read"}

    @operation(
        "calls_stream_token",
        "Mint a stream token",
        "A token that opens the event stream of this one call: browsers' EventSource cannot send a header. "
        "It dies with the credential that asked for it.",
        tag=TAG,
        response=StreamTokenOut,
        status=201,
        errors=(404,),
    )
    def post(self, request: Request, call_id: uuid.UUID) -> Response:
        call = read.bare(self.workspace, call_id)
        token, expires_at = signed.issue(PURPOSE, call.id, by=self.principal.rate_key, ttl_s=STREAM_TTL_S)
        url = f"{settings.PUBLIC_BASE_URL}/api/v1/voice/calls/{call.id}/stream?token={token}"
        return created(StreamTokenOut({"token": token, "url": url, "expires_at": expires_at}).data)
