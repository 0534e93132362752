"""A point in time in a query: an instant, or what a clock on the wall shows in a zone named beside it."""

from datetime import datetime
from zoneinfo import ZoneInfo

import django_filters
from django import forms


class MomentField(forms.Field):
    """ISO 8601. A date or time without an offset stays without one: :func:`in_zone` makes it an instant."""

    def to_python(self, value: object) -> datetime | None:
        if value in self.empty_values:
            return None
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            raise forms.ValidationError("Enter a date or a time in ISO 8601.", code="invalid") from None
        if not 2000 <= moment.year < 2100:
            raise forms.ValidationError("Must lie in this century.", code="invalid")
        return moment


class MomentFilter(django_filters.Filter):  # type: ignore[misc]
    field_class = MomentField


def in_zone(moment: datetime, zone: ZoneInfo) -> datetime:
    """The instant."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
