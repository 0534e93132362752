"""A time of day on the wire."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as f


@extend_schema_field({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"})
class LocalTime(f.TimeField):
    """A time of day, `HH:MM`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="%H:%M", input_formats=["%H:%M"], **kwargs)
