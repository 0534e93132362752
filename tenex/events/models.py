"""Append-only facts. A row here is the promise that everybody who subscribed will hear of it."""

from django.db import models
from django.utils import timezone

from tenex.workspaces.models import Workspace


class Event(models.Model):
    """One fact (`call.ended`, `lead.updated`, …).

    The id is derived from what happened where that can happen only once (tenex.events.services), so a
    second row for the same fact cannot exist.
    """

    id = models.CharField(primary_key=True, max_length=40)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="events")
    seq = models.BigIntegerField(help_text="Gap-free within the workspace, in commit order.")
    type = models.CharField(max_length=60)
    call_id = models.UUIDField(null=True, blank=True)
    occurred_at = models.DateTimeField(default=timezone.now)
    data = models.JSONField()
    relayed_at = models.DateTimeField(null=True, blank=True, help_text="Deliveries have been made out.")

    class Meta:
        ordering = ("-seq",)
        constraints = [models.UniqueConstraint(fields=("workspace", "seq"), name="event_seq_once")]
        indexes = [
            # Queue of webhooks.relay.
            models.Index(
                fields=("occurred_at",), condition=models.Q(relayed_at=None), name="event_unrelayed"
            ),
            # Spans of time of one workspace (webhooks.replays).
            models.Index(fields=("workspace", "occurred_at"), name="event_span"),
            models.Index(fields=("call_id",), condition=~models.Q(call_id=None), name="event_call"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"
