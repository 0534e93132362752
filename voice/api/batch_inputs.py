"""What integrators may send about batches."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as f

from tenex.lib import limits
from tenex.rest.local_time import LocalTime
from tenex.rest.serializers import KEPT_NUMBER, FreeObject, Input
from tenex.workspaces.models import CallingPurpose
from voice.models import VoicemailPolicy
from voice.outbound import retries
from voice.services.batch_settings import MAX_VERSIONS

_NAME = re.compile(r"[A-Za-z_]\w{0,60}", re.ASCII)
MAX_VARIABLES = 50
MAX_VARIABLE_CHARS = 2000
MAX_MINOR = 10**9


@extend_schema_field(
    {
        "type": "object",
        "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]{0,60}$"},
        "additionalProperties": {
            "anyOf": [
                {"type": "string", "maxLength": MAX_VARIABLE_CHARS},
                KEPT_NUMBER,
                {"type": "boolean"},
            ]
        },
        "maxProperties": MAX_VARIABLES,
    }
)
class Variables(FreeObject):
    """Of one lead: names as in `{{variables.name}}`, values that can be said."""

    default_error_messages = {
        "name": "names are letters, digits and _, at most 61",
        "value": f"values are texts of at most {MAX_VARIABLE_CHARS} characters, numbers, true or false",
        "many": f"at most {MAX_VARIABLES} variables",
    }

    def to_internal_value(self, data: Any) -> Any:
        values = super().to_internal_value(data)
        if len(values) > MAX_VARIABLES:
            self.fail("many")
        for name, value in values.items():
            if not _NAME.fullmatch(name):
                self.fail("name")
            if not isinstance(value, str | int | float) or len(str(value)) > MAX_VARIABLE_CHARS:
                self.fail("value")
        return values


def _delays(help_text: str) -> f.ListField:
    return f.ListField(
        child=f.IntegerField(min_value=retries.MIN_DELAY_S, max_value=retries.MAX_DELAY_S),
        max_length=retries.MAX_RETRIES,
        required=False,
        help_text=help_text,
    )


class RetryPolicyIn(Input):
    """Seconds to wait after the first try, the second, …, by what came of it; no list: no other try."""

    locals()["no-answer"] = _delays("Nobody answered. Waits of an hour and more go to another time of day.")
    busy = _delays("The line was busy.")
    voicemail = _delays("An answering machine. Waits of an hour and more go to another time of day.")
    failed = _delays("The carrier could not connect the call.")

    def to_internal_value(self, data: Any) -> Any:
        return {name: list(waits) for name, waits in super().to_internal_value(data).items() if waits}


class WeightedVersionIn(Input):
    """One version of a split."""

    agent_version_id = f.UUIDField()
    weight = f.IntegerField(min_value=1, max_value=100)


class LeadWithVariablesIn(Input):
    """A lead, and what the agent may say of it."""

    lead_id = f.UUIDField()
    variables = Variables(required=False, help_text="For `{{variables.name}}` in prompt and objective.")


class BatchPatchIn(Input):
    """Changes of a batch: of a draft all, of a started one those that it may still take."""

    name = f.CharField(max_length=200, required=False, allow_blank=True)
    objective = f.CharField(max_length=4000, required=False, help_text="May use `{{…}}` as a prompt may.")
    agent_id = f.UUIDField(required=False, help_text="Draft only. The default or only agent if absent.")
    agent_version = f.IntegerField(
        min_value=1,
        max_value=2**31 - 1,
        required=False,
        allow_null=True,
        help_text="Draft only. Pin this version; null: the current one.",
    )
    versions = f.ListField(
        child=WeightedVersionIn(),
        required=False,
        max_length=MAX_VERSIONS,
        help_text="Draft only. Split between versions of the agent: each lead always gets the same one.",
    )
    number_id = f.UUIDField(required=False, help_text="Draft only. The agent's or only number if absent.")
    calendar_connector_id = f.UUIDField(required=False, help_text="Draft only.")
    purpose = f.ChoiceField(
        choices=CallingPurpose.choices,
        required=False,
        help_text="Draft only. Which consent leads must have given; the workspace's `default_purpose`.",
    )
    starts_at = f.DateTimeField(
        required=False, allow_null=True, help_text="Until it has started. null: at once."
    )
    window_start = LocalTime(
        required=False, allow_null=True, help_text="Calling hours by the lead's clock; null: the workspace's."
    )
    window_end = LocalTime(required=False, allow_null=True)
    window_days = f.ListField(
        child=f.IntegerField(min_value=1, max_value=7),
        min_length=1,
        max_length=7,
        required=False,
        allow_null=True,
        help_text="ISO weekdays, 1 is Monday; null: the workspace's.",
    )
    concurrency = f.IntegerField(min_value=1, max_value=500, required=False)
    calls_per_second = f.FloatField(
        min_value=0.01,
        max_value=50,
        required=False,
        allow_null=True,
        help_text="At most the workspace's, which also holds; null: only that.",
    )
    max_attempts = f.IntegerField(
        min_value=1,
        max_value=8,
        required=False,
        help_text="Calls to a lead who is not reached. A `retry_policy` takes its place.",
    )
    retry_after_s = f.IntegerField(
        min_value=60, max_value=7 * 86_400, required=False, help_text="From one of them to the next."
    )
    retry_policy = RetryPolicyIn(required=False, help_text="`{}`: `max_attempts` and `retry_after_s`.")
    machine_detection = f.BooleanField(
        required=False, help_text="Draft only. Listen for answering machines; true if absent."
    )
    voicemail_policy = f.ChoiceField(choices=VoicemailPolicy.choices, required=False)
    voicemail_message = f.CharField(
        max_length=600,
        required=False,
        allow_blank=True,
        help_text="What is left after the beep; may use `{{…}}`.",
    )
    priority = f.IntegerField(
        min_value=-100, max_value=100, required=False, help_text="Batches with more go first; 0 if absent."
    )
    budget_soft_minor = f.IntegerField(
        min_value=1,
        max_value=MAX_MINOR,
        required=False,
        allow_null=True,
        help_text="US cents. Spent: nobody else is dialed, calls under way come to their end.",
    )
    budget_hard_minor = f.IntegerField(
        min_value=1,
        max_value=MAX_MINOR,
        required=False,
        allow_null=True,
        help_text="US cents. Spent: the batch is paused at once.",
    )

    together: ClassVar[dict[str, Any]] = {
        "dependentRequired": {"window_start": ["window_end"], "window_end": ["window_start"]}
    }

    def validate_window_days(self, value: list[int] | None) -> list[int] | None:
        return sorted(set(value)) if value is not None else None


_SOME = [{"required": ["lead_ids"]}, {"required": ["leads"]}]
_EMPTY_DRAFT = {
    "required": ["draft"],
    "properties": {"draft": {"const": True}, "dry_run": {"const": False}},
}
"""A draft may begin without leads, but of nobody there is nothing to try."""
_MESSAGE_TO_LEAVE = {
    "if": {"properties": {"voicemail_policy": {"const": "leave_message"}}},
    "then": {
        "required": ["voicemail_message"],
        "properties": {"voicemail_message": {"minLength": 1}, "machine_detection": {"const": True}},
    },
}


class BatchIn(BatchPatchIn):
    """An outbound batch: `lead_ids`, `leads` or `segment_id`. Larger ones than 500 leads are appended to."""

    lead_ids = f.ListField(child=f.UUIDField(), min_length=1, max_length=limits.BULK_ITEMS, required=False)
    leads = f.ListField(
        child=LeadWithVariablesIn(),
        min_length=1,
        max_length=limits.BULK_ITEMS,
        required=False,
        help_text="Leads with variables of their own, beside or instead of `lead_ids`; 500 together.",
    )
    segment_id = f.UUIDField(
        required=False, help_text="All leads that are in this segment now, instead of `lead_ids`."
    )
    objective = f.CharField(max_length=4000, help_text="May use `{{…}}` as a prompt may.")
    client_reference = f.CharField(
        max_length=120, required=False, help_text="Your id: the same one again is not another batch."
    )
    draft = f.BooleanField(
        required=False, help_text="true: waits for `POST /batches/{id}/start`; may begin without leads."
    )
    dry_run = f.BooleanField(
        required=False, help_text="true: nothing is made; the answer (200) says what would happen."
    )

    together: ClassVar[dict[str, Any]] = BatchPatchIn.together | {
        "if": {"required": ["segment_id"]},
        "then": {"not": {"anyOf": _SOME}},
        "else": {"anyOf": [*_SOME, _EMPTY_DRAFT]},
        "dependentSchemas": {"voicemail_policy": _MESSAGE_TO_LEAVE},
    }

    def get_fields(self) -> dict[str, f.Field[Any, Any, Any, Any]]:
        """Who is called first, then what for."""
        found = super().get_fields()
        first = ("lead_ids", "leads", "segment_id", "objective")
        return {name: found[name] for name in (*first, *(one for one in found if one not in first))}

    def to_internal_value(self, data: Any) -> Any:
        """Either field is enough, so none is required by itself."""
        given = {"lead_ids", "leads", "segment_id"} & set(data if isinstance(data, Mapping) else ())
        is_draft = isinstance(data, Mapping) and data.get("draft") is True and data.get("dry_run") is not True
        self.fields["lead_ids"].required = not given and not is_draft
        if "segment_id" in given and len(given) > 1:
            wrong = f.ErrorDetail("give either leads or segment_id", code="one_of")
            raise f.ValidationError({"segment_id": [wrong]})
        return super().to_internal_value(data)


class UploadedBatchIn(BatchPatchIn):
    """A batch whose leads are in a file: as `POST /batches`, without leads."""

    objective = f.CharField(max_length=4000)
    client_reference = f.CharField(max_length=120, required=False)
    draft = f.BooleanField(required=False)


class AppendLeadsIn(Input):
    """Leads to add to a batch that is not over."""

    lead_ids = f.ListField(child=f.UUIDField(), min_length=1, max_length=limits.BULK_ITEMS, required=False)
    leads = f.ListField(
        child=LeadWithVariablesIn(), min_length=1, max_length=limits.BULK_ITEMS, required=False
    )

    together: ClassVar[dict[str, Any]] = {"if": {"not": {"required": ["leads"]}}, "then": _SOME[0]}

    def to_internal_value(self, data: Any) -> Any:
        self.fields["lead_ids"].required = not (isinstance(data, Mapping) and "leads" in data)
        return super().to_internal_value(data)
