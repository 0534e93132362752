"""The columns that every row of ours has. The only file of tenex.lib that knows Django's ORM."""

from django.db import models
from django.utils import timezone

from tenex.lib.ids import uuid7


class Row(models.Model):
    """A row with a time-ordered public id."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True
