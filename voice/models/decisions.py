"""Why somebody was called, or was not: the evidence (promises.md R17)."""

from django.db import models
from django.db.models import Q

from crm.models import Lead
from tenex.lib.models import Row
from tenex.workspaces.models import Workspace
from voice.models.batches import Batch, Recipient
from voice.models.calls import Call


class DecisionStage(models.TextChoices):
    PREVIEW = "preview", "Preview"
    ENQUEUE = "enqueue", "Taken into a batch or queue"
    DIAL = "dial", "Right before the dial"


class Decision(Row):
    """One answer of `voice.outbound.contactability.decide`, with what it was made of. Never changed."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, db_index=False)
    lead = models.ForeignKey(Lead, on_delete=models.SET_NULL, null=True, db_index=False)
    batch = models.ForeignKey(Batch, on_delete=models.SET_NULL, null=True, db_index=False)
    recipient = models.ForeignKey(Recipient, on_delete=models.SET_NULL, null=True, db_index=False)
    call = models.ForeignKey(Call, on_delete=models.SET_NULL, null=True, db_index=False)
    stage = models.CharField(max_length=7, choices=DecisionStage.choices)
    allowed = models.BooleanField()
    code = models.CharField(max_length=40, blank=True, help_text="Why not; empty if allowed.")
    detail = models.CharField(max_length=200, blank=True)
    until = models.DateTimeField(null=True, help_text="When it is asked again; empty: never, or allowed.")
    inputs = models.JSONField(default=dict)
    at = models.DateTimeField(help_text="The instant that was decided about.")

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = [
            models.CheckConstraint(
                condition=Q(allowed=True, code="", until__isnull=True) | (Q(allowed=False) & ~Q(code="")),
                name="decision_reason_iff_refused",
            )
        ]
        indexes = [
            # Pages of the list, by each of its filters.
            models.Index(fields=("workspace", "-created_at", "-id"), name="decision_page"),
            models.Index(fields=("lead", "-created_at", "-id"), name="decision_of_lead"),
            models.Index(
                fields=("batch", "-created_at", "-id"),
                condition=Q(batch__isnull=False),
                name="decision_of_batch",
            ),
            # The last one of a recipient or a call, which the dialer asks for before it repeats a refusal.
            models.Index(
                fields=("recipient", "-created_at", "-id"),
                condition=Q(recipient__isnull=False),
                name="decision_of_recipient",
            ),
            models.Index(
                fields=("call", "-created_at", "-id"),
                condition=Q(call__isnull=False),
                name="decision_of_call",
            ),
        ]

    def __str__(self) -> str:
        return self.code or "allowed"
