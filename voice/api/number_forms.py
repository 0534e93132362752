"""What goes in and out about phone numbers."""

from typing import Any, ClassVar

import django_filters as df
from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as f

from tenex.rest.serializers import Input, Output
from voice.models import NumberSource, NumberStatus, PhoneNumber

KINDS = ("local", "mobile", "toll_free")


class NumberIn(Input):
    """A number to buy (`buy`), or one that the carrier account has."""

    e164 = f.CharField(
        max_length=40,
        required=False,
        help_text="In international form, or national in the workspace's region.",
    )
    provider_sid = f.RegexField(
        r"^PN[0-9a-f]{32}$", required=False, help_text="Twilio's `PN…` id, instead of `e164`."
    )
    buy = f.BooleanField(
        required=False,
        default=False,
        help_text="Buys the number at the carrier. This costs money, now and every month.",
    )
    configure = f.BooleanField(
        required=False,
        default=True,
        help_text="Points the number's voice and status addresses at the carrier to here. `false` asks the "
        "carrier nothing: the number is only written down.",
    )
    label = f.CharField(max_length=100, required=False, allow_blank=True)  # type: ignore[assignment]
    agent_id = f.UUIDField(required=False, allow_null=True, help_text="Who answers calls to it.")
    calendar_id = f.UUIDField(
        required=False, allow_null=True, help_text="Where calls to it book; the agent's calendar if absent."
    )
    fallback_number = f.CharField(max_length=40, required=False, allow_blank=True)

    together: ClassVar[dict[str, Any]] = {
        "if": {"properties": {"buy": {"const": True}}, "required": ["buy"]},
        "then": {
            "required": ["e164"],
            "not": {"required": ["provider_sid"]},
            "properties": {"configure": {"const": True}},
        },
        "else": {
            "if": {"properties": {"configure": {"const": False}}, "required": ["configure"]},
            "then": {"required": ["e164"]},
            "else": {"anyOf": [{"required": ["e164"]}, {"required": ["provider_sid"]}]},
        },
    }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs.get("e164") and (attrs["buy"] or not attrs["configure"] or "provider_sid" not in attrs):
            raise f.ValidationError({"e164": [f.ErrorDetail("which number?", code="missing")]})
        if attrs["buy"] and "provider_sid" in attrs:
            wrong = f.ErrorDetail("a number that is bought has no id yet", code="one_of")
            raise f.ValidationError({"provider_sid": [wrong]})
        if attrs["buy"] and not attrs["configure"]:
            wrong = f.ErrorDetail("a number that is bought is set up too", code="one_of")
            raise f.ValidationError({"configure": [wrong]})
        return attrs


class NumberPatchIn(Input):
    """Routing of a number."""

    label = f.CharField(max_length=100, required=False, allow_blank=True)  # type: ignore[assignment]
    agent_id = f.UUIDField(required=False, allow_null=True)
    calendar_id = f.UUIDField(required=False, allow_null=True)
    fallback_number = f.CharField(max_length=40, required=False, allow_blank=True)


class NumberProblemOut(Output):
    """Why the number could not be bought or set up: the carrier's own code, or one of ours."""

    code = f.CharField()
    detail = f.CharField()


class NumberOut(Output):
    """A phone number and the agent that answers it."""

    id = f.UUIDField()
    company_id = f.UUIDField(source="workspace_id")
    e164 = f.CharField()
    label = f.CharField()  # type: ignore[assignment]
    status = f.ChoiceField(
        choices=NumberStatus.choices,
        help_text="`pending` until the carrier has answered; `failed` has a `problem` and is not yours.",
    )
    source = f.ChoiceField(choices=NumberSource.choices)  # type: ignore[assignment]
    provider_sid = f.CharField()
    capabilities = f.DictField(child=f.BooleanField(), help_text="As the carrier says: `voice`, `sms`, …")
    agent_id = f.UUIDField(allow_null=True)
    calendar_id = f.UUIDField(allow_null=True)
    fallback_number = f.CharField(help_text="Where calls go when the agent or the model is not available.")
    problem = f.SerializerMethodField()
    created_at = f.DateTimeField()

    @extend_schema_field(NumberProblemOut(allow_null=True))
    def get_problem(self, number: Any) -> dict[str, str] | None:
        if not number.problem_code:
            return None
        return {"code": number.problem_code, "detail": number.problem_detail}


class AvailableNumberOut(Output):
    """A number that the carrier sells."""

    e164 = f.CharField()
    country = f.CharField()
    type = f.ChoiceField(choices=KINDS, source="kind")
    locality = f.CharField()
    region = f.CharField()
    postal_code = f.CharField()
    capabilities = f.DictField(child=f.BooleanField())
    address_requirements = f.ChoiceField(
        choices=["none", "any", "local", "foreign"],
        help_text="Which address of yours the carrier must have before it sells the number.",
    )
    beta = f.BooleanField()


class AvailableNumbersOut(Output):
    """What is for sale right now; nothing is reserved."""

    items = AvailableNumberOut(many=True)


class NumberFilters(df.FilterSet):  # type: ignore[misc]
    status = df.ChoiceFilter(
        choices=[one for one in NumberStatus.choices if one[0] != NumberStatus.RELEASED],
        help_text="How far the carrier is with it.",
    )
    agent_id = df.UUIDFilter(help_text="Numbers that this agent answers.")
    q = df.CharFilter(method="search", max_length=100, help_text="Part of the number or of the label.")

    def search(self, rows: QuerySet[PhoneNumber], name: str, value: str) -> QuerySet[PhoneNumber]:
        return rows.filter(Q(e164__contains=value) | Q(label__icontains=value))
