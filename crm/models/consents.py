"""What a lead has agreed to. A record is never changed, only revoked."""

from django.db import models

from crm.models.leads import Lead
from tenex.lib.models import Row
from tenex.workspaces.models import Workspace


class ConsentPurpose(models.TextChoices):
    MARKETING = "marketing", "Marketing calls by an automated voice"
    INFORMATIONAL = "informational", "Informational calls by an automated voice"


class Consent(Row):
    """One agreement: to what, where it came from, what proves it, and for how long it holds."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE)
    lead = models.ForeignKey(Lead, on_delete=models.CASCADE, related_name="consents")
    purpose = models.CharField(max_length=15, choices=ConsentPurpose.choices)
    source = models.CharField(max_length=120, help_text="Where it was given: a form, a call, a contract.")
    proof = models.TextField(max_length=4096, blank=True, help_text="The text shown, the words said, a link.")
    given_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_reason = models.CharField(max_length=300, blank=True)
    recorded_by = models.CharField(max_length=200)

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(expires_at=None) | models.Q(expires_at__gt=models.F("given_at")),
                name="consent_lasts",
            ),
            models.CheckConstraint(
                condition=models.Q(revoked_at=None) | models.Q(revoked_at__gte=models.F("given_at")),
                name="consent_given_before_revoked",
            ),
        ]
        indexes = [models.Index(fields=("lead", "purpose"), name="consent_of_lead")]

    def __str__(self) -> str:
        return f"{self.purpose} from {self.source}"
