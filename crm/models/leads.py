"""Leads, their timeline, and who must not be called."""

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Upper
from django.utils import timezone

from tenex.lib.models import Row
from tenex.workspaces.models import User, Workspace


class Company(Row):
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="companies")
    name = models.CharField(max_length=200)
    domain = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name_plural = "companies"
        ordering = ("name",)
        constraints = [models.UniqueConstraint(fields=("workspace", "name"), name="company_name_once")]
        indexes = [models.Index("workspace", Upper("name"), name="company_name_upper")]

    def __str__(self) -> str:
        return self.name


class Stage(models.TextChoices):
    NEW = "new", "New"
    CONTACTED = "contacted", "Contacted"
    QUALIFIED = "qualified", "Qualified"
    UNQUALIFIED = "unqualified", "Unqualified"
    CUSTOMER = "customer", "Customer"


class Qualification(models.TextChoices):
    QUALIFIED = "qualified", "Qualified"
    UNQUALIFIED = "unqualified", "Unqualified"
    UNDETERMINED = "undetermined", "Undetermined"


class Lead(Row):
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="leads")
    company = models.ForeignKey(
        Company, on_delete=models.SET_NULL, null=True, blank=True, related_name="leads"
    )
    owner = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="leads")
    first_name = models.CharField(max_length=100, blank=True)
    last_name = models.CharField(max_length=100, blank=True)
    title = models.CharField(max_length=120, blank=True)
    phone = models.CharField(max_length=20, null=True, blank=True, help_text="E.164")  # noqa: DJ001 - unique if known
    email = models.EmailField(null=True, blank=True)  # noqa: DJ001 - unique if known
    time_zone = models.CharField(max_length=64, blank=True, help_text="IANA name; empty if not known.")
    country = models.CharField(max_length=2, blank=True, help_text="ISO code of the address.")
    region = models.CharField(max_length=10, blank=True, help_text="State or province code of the address.")
    source = models.CharField(max_length=80, blank=True)
    notes = models.TextField(blank=True, max_length=4096)
    custom = models.JSONField(default=dict, blank=True)
    stage = models.CharField(max_length=12, choices=Stage.choices, default=Stage.NEW)
    qualification = models.CharField(max_length=12, choices=Qualification.choices, blank=True)
    last_call_at = models.DateTimeField(null=True, blank=True)
    last_outcome = models.CharField(max_length=20, blank=True)
    opted_out_at = models.DateTimeField(null=True, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(default=timezone.now)
    # Kept by a trigger, whoever writes: name, e-mail, digits of the phone and firm, in small letters.
    search = models.TextField(default="", db_default="", editable=False)

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(
                fields=("workspace", "phone"),
                condition=models.Q(phone__isnull=False, archived_at=None),
                name="lead_phone_once",
            ),
            models.UniqueConstraint(
                fields=("workspace", "email"),
                condition=models.Q(email__isnull=False, archived_at=None),
                name="lead_email_once",
            ),
            models.CheckConstraint(
                condition=~models.Q(phone="") & ~models.Q(email=""), name="lead_empty_is_null"
            ),
        ]
        indexes = [
            models.Index(fields=("workspace", "-created_at", "-id"), name="lead_page"),
            # The page of one stage, also of a rare one.
            models.Index(fields=("workspace", "stage", "-created_at", "-id"), name="lead_page_of_stage"),
            # Any part of a word, for `q` of the list.
            GinIndex(fields=("search",), opclasses=["gin_trgm_ops"], name="lead_search"),
            # Equality of custom fields.
            GinIndex(fields=("custom",), opclasses=["jsonb_path_ops"], name="lead_custom"),
        ]

    def __str__(self) -> str:
        return self.name or self.phone or str(self.id)

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


class TimelineEntry(Row):
    """One line of a lead's history."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE)
    lead = models.ForeignKey(Lead, on_delete=models.CASCADE, related_name="timeline")
    type = models.CharField(max_length=40, help_text="call.verdict, meeting.booked, lead.opted_out, note, …")
    call_id = models.UUIDField(null=True, blank=True)
    summary = models.CharField(max_length=500, blank=True)
    data = models.JSONField(default=dict)

    class Meta:
        verbose_name_plural = "timeline entries"
        ordering = ("-created_at", "-id")
        constraints = [
            # One write-back a call.
            models.UniqueConstraint(
                fields=("call_id",), condition=models.Q(type="call.verdict"), name="write_back_once"
            )
        ]
        indexes = [models.Index(fields=("lead", "-created_at"), name="timeline_page")]


class SuppressionSource(models.TextChoices):
    CALL = "call", "Said so in a call"
    KEY = "key", "Pressed 9"
    API = "api", "API or admin"
    IMPORT = "import", "Imported list"


class Suppression(Row):
    """A number that this workspace must not dial."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="suppressions")
    phone_hash = models.BinaryField(
        max_length=32, help_text="HMAC-SHA-256 of the E.164 number (promises.md R16)."
    )
    phone_hint = models.CharField(max_length=12, blank=True, help_text="Masked, for people.")
    source = models.CharField(max_length=10, choices=SuppressionSource.choices)
    reason = models.CharField(max_length=300, blank=True)
    call_id = models.UUIDField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)
        constraints = [models.UniqueConstraint(fields=("workspace", "phone_hash"), name="suppression_once")]


class FollowUpStatus(models.TextChoices):
    OPEN = "open", "Open"
    DONE = "done", "Done"
    CANCELED = "canceled", "Canceled"


class FollowUp(Row):
    """Something promised to a lead: a callback at a time, a person to get in touch."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE)
    lead = models.ForeignKey(Lead, on_delete=models.CASCADE, related_name="follow_ups")
    call_id = models.UUIDField(null=True, blank=True)
    kind = models.CharField(max_length=20, default="callback")
    due_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=500, blank=True)
    status = models.CharField(max_length=10, choices=FollowUpStatus.choices, default=FollowUpStatus.OPEN)
    data = models.JSONField(
        default=dict, blank=True, db_default={}, help_text="Of an unanswered question: what was found since."
    )
    answer_at = models.DateTimeField(
        null=True, blank=True, help_text="When its questions are looked up the next time."
    )

    class Meta:
        ordering = ("due_at",)
        constraints = [
            models.UniqueConstraint(
                fields=("call_id", "kind"), condition=~models.Q(call_id=None), name="follow_up_once_a_call"
            )
        ]
        indexes = [
            # Queue of crm.services.questions.due.
            models.Index(
                fields=("answer_at",),
                condition=models.Q(answer_at__isnull=False),
                name="follow_up_answer_due",
            )
        ]
