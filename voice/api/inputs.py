"""What integrators may send about calls and sessions."""

from typing import Any, ClassVar

from rest_framework import serializers as f

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


class WhisperIn(Input):
    """An instruction for the agent."""

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
