"""What a purge would delete, and the receipts of what was deleted."""

from typing import Any, ClassVar

from django.utils import timezone
from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from tenex.rest import filters as strict
from tenex.rest.pagination import page
from tenex.rest.schema import filter_parameters, operation, page_of, query_parameters
from tenex.rest.serializers import Output
from tenex.rest.views import ApiView
from voice.api.filters import OutlookFilters, ReceiptFilters
from voice.api.holds import TAG
from voice.models import KeptClass
from voice.selectors import retention as read
from voice.services import retention


class DueOut(Output):
    """How much of one class."""

    calls = f.IntegerField(help_text="Calls of which something goes.")
    recordings = f.IntegerField(default=0, help_text="Files; of the class `audio` only.")
    bytes = f.IntegerField(default=0, help_text="Their size; of the class `audio` only.")


class OutlookOut(Output):
    """What a purge would delete of one class, and what nobody holds."""

    kept_class = f.ChoiceField(choices=KeptClass.choices)
    days = f.IntegerField(help_text="How long it is kept: those that were asked for, else the workspace's.")
    older_than = f.DateTimeField(help_text="Of calls that ended before this instant.")
    changed = f.BooleanField(help_text="Other days were asked for than the workspace has.")
    now = DueOut(help_text="With the workspace's days: what goes within the next minute.")
    then = DueOut(help_text="With the days that were asked for.")


class OutlooksOut(Output):
    """What a purge would delete, class by class."""

    at = f.DateTimeField()
    classes = OutlookOut(many=True)


class ReceiptOut(Output):
    """What one step of a purge deleted: no text and no number of a person is in it."""

    id = f.UUIDField()
    number = f.IntegerField(help_text="Without a gap within the workspace, from 1.")
    kept_class = f.ChoiceField(
        choices=[*KeptClass.choices, ("person", "Everything about one person")],
        help_text="`person`: an erasure.",
    )
    call_ids = f.ListField(child=f.UUIDField(), help_text="Of whose calls it was; of an erasure none.")
    counts = f.DictField(child=f.IntegerField(), help_text="Rows, files and bytes by kind.")
    older_than = f.DateTimeField(help_text="Calls that ended before this instant.")
    digest = f.CharField(
        help_text="SHA-256 in hex over the JSON `[digest of the receipt before, or empty, kept_class, "
        "call_ids, counts]` without spaces and with sorted keys."
    )
    created_at = f.DateTimeField()


class Outlooks(ApiView):
    scopes: ClassVar = {"GET": "settings:read"}

    @operation(
        "retention_outlook",
        "See what a purge would delete",
        "A dry run: nothing is deleted. With other days than the workspace's it tells what a change of "
        "`PATCH /api/v1/voice/settings` would delete before it is made. What a legal hold keeps is not "
        "counted.",
        tag=TAG,
        response=OutlooksOut,
        parameters=query_parameters(OutlookFilters),
    )
    def get(self, request: Request) -> Response:
        asked: dict[str, Any] = strict.values(OutlookFilters, self.query)
        days = {
            kept_class: int(asked[field])
            for kept_class, field in retention.SETTINGS.items()
            if asked[field] is not None
        }
        at = timezone.now()
        return Response(OutlooksOut({"at": at, "classes": read.outlook(self.workspace, at, days=days)}).data)


class ReceiptList(ApiView):
    scopes: ClassVar = {"GET": "settings:read"}

    @operation(
        "retention_receipts_list",
        "List receipts",
        "One for each step of a purge and each erasure, the newest first. Each holds the hash of the one "
        "before it, so that whoever keeps the last digest sees whether one was changed or taken away.",
        tag=TAG,
        response=page_of(ReceiptOut),
        parameters=filter_parameters(ReceiptFilters),
    )
    def get(self, request: Request) -> Response:
        rows = strict.apply(ReceiptFilters, self.query, read.receipts(self.workspace))
        found = page(rows, self.query, bound_to=f"receipts:{self.workspace.pk}")
        return Response({"items": ReceiptOut(found.items, many=True).data, "next_cursor": found.next_cursor})
