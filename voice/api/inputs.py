"""What integrators may send about calls, sessions and batches."""

from rest_framework import serializers as f

from tenex.lib import limits
from tenex.rest.serializers import FreeObject, Input


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
    """An outbound batch. Larger ones than 500 leads are appended to."""

    lead_ids = f.ListField(child=f.UUIDField(), min_length=1, max_length=limits.BULK_ITEMS)
    objective = f.CharField(max_length=4000)
    name = f.CharField(max_length=200, required=False, allow_blank=True)
    agent_id = f.UUIDField(required=False, help_text="The workspace's only agent if absent.")
    agent_version = f.IntegerField(
        min_value=1, max_value=2**31 - 1, required=False, help_text="Pin this version."
    )
    number_id = f.UUIDField(required=False, help_text="The workspace's first number if absent.")
    calendar_connector_id = f.UUIDField(required=False)
    client_reference = f.CharField(
        max_length=120, required=False, help_text="Your id: the same one again is not another batch."
    )
    concurrency = f.IntegerField(min_value=1, max_value=500, required=False)
    max_attempts = f.IntegerField(min_value=1, max_value=8, required=False)
    starts_at = f.DateTimeField(required=False)


class AppendLeadsIn(Input):
    """Leads to add to a batch that is not over."""

    lead_ids = f.ListField(child=f.UUIDField(), min_length=1, max_length=limits.BULK_ITEMS)
