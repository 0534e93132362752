"""What is kept how long, what may not be deleted, and the proof of what was."""

from django.db import models
from django.db.models import Q

from crm.models import Lead
from tenex.lib.models import Row
from tenex.workspaces.models import Workspace
from voice.models.calls import Call


class KeptClass(models.TextChoices):
    """Kinds of what is kept of a call. Each has a retention of its own (Workspace.*_retention_days)."""

    AUDIO = "audio", "Recordings"
    TRANSCRIPT = "transcript", "Transcript, tool arguments and results"
    JOURNAL = "journal", "Journal of the call"
    EVIDENCE = "evidence", "Verdict's summary and quotes, timeline texts, events"


PERSON = "person"
"""Class of the receipts of erasures."""


class LegalHold(Row):
    """While it is not released, nothing of this call, lead, or (without either) workspace is deleted."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="legal_holds")
    call = models.ForeignKey(Call, on_delete=models.PROTECT, null=True, blank=True)
    lead = models.ForeignKey(Lead, on_delete=models.PROTECT, null=True, blank=True)
    reason = models.CharField(max_length=300)
    held_by = models.CharField(max_length=300, help_text="As in the audit log.")
    released_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.CheckConstraint(condition=Q(call=None) | Q(lead=None), name="hold_of_one_thing"),
        ]

    def __str__(self) -> str:
        if self.call_id:
            return f"hold on call {self.call_id}"
        return f"hold on lead {self.lead_id}" if self.lead_id else "hold on everything"


class PurgeReceipt(Row):
    """What one step of a purge deleted: counts, and a hash that binds it to the receipt before it.

    No text and no number of a person is in it. `digest` is SHA-256 over the previous digest, the class, the
    counts and the ids of the calls, in hex (:func:`voice.services.retention.digest_of`).
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="purge_receipts")
    number = models.PositiveBigIntegerField(help_text="Gap-free within the workspace.")
    kept_class = models.CharField(
        max_length=10, choices=[*KeptClass.choices, (PERSON, "Everything about one person")]
    )
    call_ids = models.JSONField(help_text="Of whose calls it was deleted.")
    counts = models.JSONField(help_text="Rows, files and bytes by kind.")
    older_than = models.DateTimeField(help_text="Calls that ended before this instant.")
    digest = models.CharField(max_length=64)

    class Meta:
        ordering = ("-number",)
        constraints = [models.UniqueConstraint(fields=("workspace", "number"), name="purge_receipt_once")]

    def __str__(self) -> str:
        return f"receipt {self.number}"


class WaitsFor(models.TextChoices):
    """What an erasure has to wait for."""

    CALL = "call", "a call that is not finalized"
    HOLD = "legal_hold", "a legal hold"
    IMPORT = "import", "an import of leads"
    STORAGE = "file_storage", "the file storage"


class Erasure(Row):
    """Somebody asked that everything about a person be deleted. The row is the certificate that it was.

    Of the person it keeps a keyed hash of the number (that of the do-not-call list) and nothing that can be
    read; which leads they were is forgotten when it is done.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="erasures")
    subject_hash = models.BinaryField(max_length=32, null=True, help_text="HMAC-SHA-256 of the number.")
    phone = models.CharField(max_length=20, blank=True, help_text="E.164; empty when it is done.")
    lead_ids = models.JSONField(default=list, help_text="Whom it is about; empty when it is done.")
    asked_by = models.CharField(max_length=300, help_text="As in the audit log.")
    waits_for = models.CharField(
        max_length=200, choices=WaitsFor.choices, blank=True, help_text="Why it is not done yet."
    )
    finished_at = models.DateTimeField(null=True, blank=True)
    counts = models.JSONField(default=dict, help_text="Rows and files by kind.")
    receipt = models.OneToOneField(
        PurgeReceipt, on_delete=models.PROTECT, null=True, blank=True, help_text="Its link of the chain."
    )

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.CheckConstraint(
                condition=Q(finished_at=None) | Q(phone="", lead_ids=[]), name="erasure_forgets_whom"
            )
        ]

    def __str__(self) -> str:
        return f"erasure {self.pk}"
