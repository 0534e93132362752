"""What integrators may send about calls, sessions and batches."""

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework import serializers as f

from tenex.lib import limits
from tenex.rest.serializers import FreeObject, Input, either


class SessionIn(Input):
    """A call to provision. Outbound: `lead_id` or `phone`."""

    agent_id = f.UUIDField()
    direction = f.ChoiceField(choices=["inbound", "outbound", "browser"], default="outbound")
    lead_id = f.UUIDField(required=False)
    phone = f.CharField(max_length=40, required=False)
    number_id = f.UUIDField(required=False, help_text="Number to call from; the workspace's first if absent.")
    objective = f.CharField(max_length=4000, required=False)
    calendar_connector_id = f.UUIDField(required=False)
    variables = FreeObject(required=False, help_text="For the prompt: `{{variables.name}}`.")

    together: ClassVar[dict[str, Any]] = {
        "if": {"properties": {"direction": {"const": "outbound"}}},
        "then": either("lead_id", "phone"),
    }

    def validate(self, attrs: dict[str, object]) -> dict[str, object]:
        who = [name for name in ("lead_id", "phone") if name in attrs]
        if attrs["direction"] == "outbound" and len(who) != 1:
            raise f.ValidationError(
                {"lead_id": [f.ErrorDetail("give either lead_id or phone", code="one_of")]}
            )
        return attrs


class SayIn(Input):
    """A line for the agent to say."""

    text = f.CharField(max_length=1000)


class TransferIn(Input):
    """Whom to hand the caller to."""

    to = f.CharField(
        max_length=40,
        required=False,
        default="",
        help_text="Phone number; the workspace's transfer number if absent.",
    )
    reason = f.CharField(max_length=300, required=False, default="")


class BatchIn(Input):
    """An outbound batch: `lead_ids` or `segment_id`. Larger ones than 500 leads are appended to."""

    lead_ids = f.ListField(child=f.UUIDField(), min_length=1, max_length=limits.BULK_ITEMS, required=False)
    segment_id = f.UUIDField(
        required=False, help_text="All leads that are in this segment now, instead of `lead_ids`."
    )
    objective = f.CharField(max_length=4000, help_text="May use `{{…}}` as a prompt may.")
    name = f.CharField(max_length=200, required=False, allow_blank=True)
    agent_id = f.UUIDField(required=False, help_text="The workspace's default or only agent if absent.")
    agent_version = f.IntegerField(
        min_value=1, max_value=2**31 - 1, required=False, help_text="Pin this version."
    )
    number_id = f.UUIDField(required=False, help_text="The workspace's first number if absent.")
    calendar_connector_id = f.UUIDField(required=False)
    client_reference = f.CharField(
        max_length=120, required=False, help_text="Your id: the same one again is not another batch."
    )
    concurrency = f.IntegerField(min_value=1, max_value=500, required=False)
    max_attempts = f.IntegerField(
        min_value=1, max_value=8, required=False, help_text="Calls to a lead who is not reached."
    )
    retry_after_s = f.IntegerField(
        min_value=60, max_value=7 * 86_400, required=False, help_text="From one of them to the next."
    )
    machine_detection = f.BooleanField(
        required=False, help_text="Hang up on answering machines; true if absent."
    )
    starts_at = f.DateTimeField(required=False)

    together: ClassVar[dict[str, Any]] = either("lead_ids", "segment_id")

    def to_internal_value(self, data: Any) -> Any:
        """Either field is enough, so neither is required by itself."""
        given = {"lead_ids", "segment_id"} & set(data if isinstance(data, Mapping) else ())
        self.fields["lead_ids"].required = not given
        if len(given) == 2:
            wrong = f.ErrorDetail("give either lead_ids or segment_id", code="one_of")
            raise f.ValidationError({"segment_id": [wrong]})
        return super().to_internal_value(data)


class BatchPatchIn(Input):
    """Changes of a batch that is not over."""

    name = f.CharField(max_length=200, required=False, allow_blank=True)
    objective = f.CharField(max_length=4000, required=False)
    concurrency = f.IntegerField(min_value=1, max_value=500, required=False)
    max_attempts = f.IntegerField(min_value=1, max_value=8, required=False)
    retry_after_s = f.IntegerField(min_value=60, max_value=7 * 86_400, required=False)


class AppendLeadsIn(Input):
    """Leads to add to a batch that is not over."""

    lead_ids = f.ListField(child=f.UUIDField(), min_length=1, max_length=limits.BULK_ITEMS)
