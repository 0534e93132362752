"""Leads out of a CSV file: the file, how far it is read, and what was wrong with which line."""

from django.db import models
from django.utils import timezone

from tenex.lib.models import Row
from tenex.workspaces.models import Workspace


class ImportStatus(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed"
    CANCELED = "canceled", "Canceled"


class OnDuplicate(models.TextChoices):
    """What to do with a phone or e-mail that a lead has already."""

    ERROR = "error", "Refuse it"
    SKIP = "skip", "Leave the lead as it is"
    UPDATE = "update", "Change the lead"


OPEN = (ImportStatus.QUEUED, ImportStatus.RUNNING)


class LeadImport(Row):
    """One file on its way in. Place and counters move in the transaction of the rows that they count."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="lead_imports")
    status = models.CharField(max_length=10, choices=ImportStatus.choices, default=ImportStatus.QUEUED)
    actor = models.CharField(max_length=200)
    file_name = models.CharField(max_length=200, blank=True)
    encoding = models.CharField(max_length=20, help_text="Of the file as it came; it is kept as UTF-8.")
    delimiter = models.CharField(max_length=1)
    columns = models.JSONField(help_text="[[header, field or null], …] in the order of the file.")
    on_duplicate = models.CharField(max_length=6, choices=OnDuplicate.choices)
    dry_run = models.BooleanField(default=False)
    keeps_rows = models.BooleanField(
        default=False, help_text="Somebody takes the rows over, with their variables (LeadImportRow)."
    )
    size_bytes = models.PositiveIntegerField()
    next_byte = models.PositiveIntegerField(help_text="Where the next record begins.")
    next_line = models.PositiveIntegerField()
    rows_read = models.PositiveIntegerField(default=0)
    created_count = models.PositiveIntegerField(default=0)
    updated_count = models.PositiveIntegerField(default=0)
    unchanged_count = models.PositiveIntegerField(default=0)
    skipped_count = models.PositiveIntegerField(default=0)
    failed_count = models.PositiveIntegerField(default=0)
    failure = models.CharField(max_length=300, blank=True)
    tries = models.PositiveSmallIntegerField(default=0, help_text="Starts since the last batch that held.")
    lease = models.UUIDField(null=True, blank=True, help_text="Of the worker at it.")
    lease_until = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=OPEN, finished_at=None)
                | (~models.Q(status__in=OPEN) & models.Q(finished_at__isnull=False)),
                name="import_over_has_end",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    rows_read=models.F("created_count")
                    + models.F("updated_count")
                    + models.F("unchanged_count")
                    + models.F("skipped_count")
                    + models.F("failed_count")
                ),
                name="import_counts_add_up",
            ),
        ]
        indexes = [
            models.Index(fields=("workspace", "-created_at", "-id"), name="import_page"),
            # Queue of crm.services.imports.due.
            models.Index(fields=("lease_until",), condition=models.Q(status__in=OPEN), name="import_due"),
        ]

    def __str__(self) -> str:
        return self.file_name or str(self.id)


class LeadImportPart(models.Model):
    """A piece of the file, UTF-8 with \\n as line ends; gone when the import is over."""

    lead_import = models.ForeignKey(LeadImport, on_delete=models.CASCADE, related_name="parts")
    start_byte = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=("lead_import", "start_byte"), name="import_part_once")]


class LeadImportError(models.Model):
    """A row that made no lead."""

    lead_import = models.ForeignKey(LeadImport, on_delete=models.CASCADE, related_name="errors")
    line = models.PositiveIntegerField(help_text="Line of the file where the row begins; the header is 1.")
    column = models.CharField(max_length=200, blank=True, help_text="Header of the column that is wrong.")
    code = models.CharField(max_length=40)
    reason = models.CharField(max_length=300)
    lead_id = models.UUIDField(null=True, blank=True, help_text="The lead that is there already.")

    class Meta:
        ordering = ("line",)
        constraints = [models.UniqueConstraint(fields=("lead_import", "line"), name="import_error_once")]


class LeadImportRow(models.Model):
    """A row that led to a lead, for whoever takes the rows over; gone when taken."""

    lead_import = models.ForeignKey(LeadImport, on_delete=models.CASCADE, related_name="kept_rows")
    line = models.PositiveIntegerField()
    lead_id = models.UUIDField()
    variables = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=("lead_import", "line"), name="import_row_once")]


class LeadImportKey(models.Model):
    """A phone or e-mail that a dry run has met in its file: no lead stands for it. Gone when it is over."""

    lead_import = models.ForeignKey(LeadImport, on_delete=models.CASCADE, related_name="keys")
    digest = models.BinaryField(max_length=16)
    lead_id = models.UUIDField(help_text="That a real run would have made or found.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=("lead_import", "digest"), name="import_key_once")]
