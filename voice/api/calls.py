"""Calls: list, detail, transcript, recording."""

import uuid
from typing import Any, ClassVar

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from tenex.errors import InvalidInput
from tenex.rest import filters as strict
from tenex.rest.pagination import page
from tenex.rest.schema import filter_parameters, operation, page_of
from tenex.rest.views import ApiView, no_content
from voice.api import media, transcripts
from voice.api.filters import CallFilters
from voice.api.outputs import CallDetailOut, CallOut, RecordingOut, TranscriptOut
from voice.selectors import calls as read
from voice.services import recording_files

TAG = "Calls"


class CallList(ApiView):
    scopes: ClassVar = {"GET": "calls:read"}

    @operation(
        "calls_list",
        "List calls",
        "Calls, the newest first.",
        tag=TAG,
        response=page_of(CallOut),
        parameters=filter_parameters(CallFilters),
    )
    def get(self, request: Request) -> Response:
        rows = strict.apply(CallFilters, self.query, read.listed(self.workspace))
        q = self.query.get("q", "").strip()
        found = page(read.matching(rows, q) if q else rows, self.query, bound_to=f"calls:{self.workspace.pk}")
        return Response(found.as_json(CallOut))


class CallDetail(ApiView):
    scopes: ClassVar = {"GET": "calls:read"}

    @operation(
        "calls_get",
        "Get a call",
        "One call with its verdict, sessions, latencies and usage.",
        tag=TAG,
        response=CallDetailOut,
        errors=(404,),
    )
    def get(self, request: Request, call_id: uuid.UUID) -> Response:
        self.known_query()
        return Response(CallDetailOut(read.one(self.workspace, call_id)).data)


class CallTranscript(ApiView):
    scopes: ClassVar = {"GET": "calls:read"}

    @operation(
        "calls_transcript",
        "Get the transcript",
        "What was said and which tools ran, in order. `text` and `vtt` (WebVTT) show what the caller heard.",
        tag=TAG,
        response={
            (200, "application/json"): TranscriptOut,
            (200, "text/plain"): OpenApiTypes.STR,
            (200, "text/vtt"): OpenApiTypes.STR,
        },
        parameters=[
            OpenApiParameter("format", str, enum=["json", "text", "vtt"], default="json", description="Form.")
        ],
        errors=(404,),
    )
    def get(self, request: Request, call_id: uuid.UUID) -> HttpResponseBase:
        self.known_query(("format",))
        form = self.query.get("format", "json")
        if form not in ("json", "text", "vtt"):
            raise InvalidInput("must be json, text or vtt", loc=("query", "format"), type_="enum")
        call = read.bare(self.workspace, call_id)
        told = read.conversation(call)
        match form:
            case "text":
                return HttpResponse(transcripts.as_text(told), content_type="text/plain; charset=utf-8")
            case "vtt":
                return HttpResponse(transcripts.as_vtt(told), content_type="text/vtt; charset=utf-8")
            case _:
                items: list[dict[str, Any]] = [transcripts.as_item(one) for one in told]
                return Response({"call_id": str(call.id), "status": call.status, "items": items})


class CallRecording(ApiView):
    scopes: ClassVar = {"GET": "recordings:read", "DELETE": "recordings:write"}

    @operation(
        "calls_recording",
        "Get the recording",
        "About the recording, with a link that plays it for five minutes. The link takes range requests.",
        tag=TAG,
        response=RecordingOut,
        errors=(404, 410),
    )
    def get(self, request: Request, call_id: uuid.UUID) -> Response:
        self.known_query()
        recording = read.recording(self.workspace, call_id)
        link = media.link(recording, by=self.principal.rate_key) if recording.file else None
        return Response(RecordingOut(recording, context={"link": link}).data)

    @operation(
        "calls_recording_delete",
        "Delete the recording",
        "Deletes the recording here and at the carrier. Getting it afterwards answers 410.",
        tag=TAG,
        status=204,
        errors=(404, 410),
    )
    def delete(self, request: Request, call_id: uuid.UUID) -> Response:
        recording_files.delete(read.recording(self.workspace, call_id), self.principal.actor)
        return no_content()
