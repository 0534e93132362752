"""Who of a batch would be called when, and who not."""

import uuid
from collections.abc import Iterator
from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from tenex.errors import InvalidInput
from tenex.rest.pagination import PAGE_PARAMETERS, page_walked
from tenex.rest.schema import PAGE, operation, page_of
from tenex.rest.views import ApiView
from voice.api.batch_outputs import PreviewOut, ProspectOut
from voice.outbound import foresight
from voice.outbound.foresight import Prospect
from voice.selectors import batches as read

TAG = "Batches"
_WHEN = ("now", "later", "never")
_CODE_CHARS = 40


def when_of(one: Prospect) -> str:
    if one.at is None:
        return "never"
    return "later" if one.code else "now"


class BatchPreview(ApiView):
    scopes: ClassVar = {"POST": "batches:read"}

    @operation(
        "batches_preview",
        "Preview",
        "What would happen to everybody who still waits, were the batch started (or resumed) now: by the "
        "dialer's own rules. Counts by reason, leads by the hour from which they can be called, expected end "
        "and cost. Nothing changes.",
        tag=TAG,
        response=PreviewOut,
        errors=(404,),
    )
    def post(self, request: Request, batch_id: uuid.UUID) -> Response:
        self.known_query()
        batch = read.whole(self.workspace, batch_id)
        return Response(PreviewOut(foresight.preview(batch, foresight.begins(batch, timezone.now()))).data)


class BatchPreviewLeads(ApiView):
    scopes: ClassVar = {"GET": "batches:read"}

    @operation(
        "batches_preview_leads",
        "List the leads of a preview",
        "Lead by lead, in the order of the batch: when it can be called, or why it is not.",
        tag=TAG,
        response=page_of(ProspectOut),
        parameters=[
            OpenApiParameter("when", str, enum=list(_WHEN), description="Only these."),
            OpenApiParameter(
                "code",
                {"type": "string", "minLength": 1, "maxLength": _CODE_CHARS},
                description="Only this reason.",
            ),
            *PAGE,
        ],
        errors=(404,),
    )
    def get(self, request: Request, batch_id: uuid.UUID) -> Response:
        self.known_query({*PAGE_PARAMETERS, "when", "code"})
        when, code = self.query.get("when"), self.query.get("code")
        if when is not None and when not in _WHEN:
            raise InvalidInput(f"must be one of {', '.join(_WHEN)}", loc=("query", "when"), type_="enum")
        if code is not None and not 0 < len(code) <= _CODE_CHARS:
            raise InvalidInput(f"1 to {_CODE_CHARS} characters", loc=("query", "code"), type_="value_error")
        batch = read.whole(self.workspace, batch_id)
        at = foresight.begins(batch, timezone.now())

        def walk(after: int) -> Iterator[tuple[int, Any]]:
            for one in foresight.prospects(batch, at, after=after):
                if when in (None, when_of(one)) and code in (None, one.code):
                    yield one.position, one

        found, cursor = page_walked(walk, self.query, bound_to=f"preview:{batch.pk}")
        return Response({"items": ProspectOut(found, many=True).data, "next_cursor": cursor})
