"""What a workspace has entrusted to us: its own account at the carrier, its own key for the model."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from tenex.lib.models import Row
from tenex.workspaces.models import Workspace


class CredentialKind(models.TextChoices):
    TWILIO = "twilio", "Twilio"
    OPENAI = "openai", "OpenAI"


class CredentialState(models.TextChoices):
    """What the provider said when it was asked last."""

    UNKNOWN = "unknown", "Not asked yet"
    VERIFIED = "verified", "Works"
    REFUSED = "refused", "Refused by the provider"
    UNREACHABLE = "unreachable", "The provider did not answer"


class Credential(Row):
    """One of a kind for a workspace; without one the workspace uses that of the settings.

    `sealed` is a JSON object of the secret parts (tenex.workspaces.services.vault). What may be shown stands
    beside it.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=6, choices=CredentialKind.choices)
    account = models.CharField(
        max_length=64, blank=True, help_text="Twilio: the account's SID, AC…; OpenAI: the organization."
    )
    project = models.CharField(max_length=64, blank=True, help_text="OpenAI: the project.")
    api_key_sid = models.CharField(max_length=64, blank=True, help_text="Twilio: of an API key, SK….")
    sealed = models.TextField(editable=False)
    endings = models.JSONField(
        default=dict, editable=False, help_text="Last four characters of each secret part."
    )
    set_at = models.DateTimeField(default=timezone.now, editable=False)
    set_by = models.CharField(max_length=300, editable=False, help_text="As in the audit log.")
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    state = models.CharField(
        max_length=11, choices=CredentialState.choices, default=CredentialState.UNKNOWN, editable=False
    )
    state_detail = models.CharField(max_length=300, blank=True, editable=False)
    checked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ("kind",)
        constraints = [
            models.UniqueConstraint(fields=("workspace", "kind"), name="credential_one_of_a_kind"),
            models.CheckConstraint(
                condition=~Q(kind="twilio") | Q(account__startswith="AC"), name="credential_names_its_account"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.workspace_id}"
