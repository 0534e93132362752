"""Named sets of leads: lists kept by hand, or rules that are asked each time."""

from django.db import models
from django.utils import timezone

from crm.models.leads import Lead
from tenex.lib.models import Row
from tenex.workspaces.models import Workspace


class SegmentKind(models.TextChoices):
    STATIC = "static", "A list kept by hand"
    RULES = "rules", "Rules over the leads' fields"


class Segment(Row):
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="segments")
    name = models.CharField(max_length=120)
    description = models.CharField(max_length=500, blank=True)
    kind = models.CharField(max_length=6, choices=SegmentKind.choices)
    rules = models.JSONField(
        null=True, blank=True, help_text='{"all": [{"field": "stage", "op": "eq", "value": "new"}]}'
    )
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint(fields=("workspace", "name"), name="segment_name_once"),
            models.CheckConstraint(
                condition=models.Q(kind="static", rules__isnull=True)
                | models.Q(kind="rules", rules__isnull=False),
                name="segment_rules_of_rules",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class SegmentMember(Row):
    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="members")
    lead = models.ForeignKey(Lead, on_delete=models.CASCADE, related_name="segment_memberships")

    class Meta:
        constraints = [models.UniqueConstraint(fields=("segment", "lead"), name="segment_member_once")]
