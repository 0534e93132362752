"""Tenancy: workspaces, people, keys, audit."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from tenex.lib.ids import uuid7
from tenex.lib.models import Row


class RecordingConsent(models.TextChoices):
    ANNOUNCE = "announce", "Announce at the start"
    EXPLICIT = "explicit", "Ask for a yes"
    OFF = "off", "Do not record"


def every_day() -> list[int]:
    return [1, 2, 3, 4, 5, 6, 7]


class CallingPurpose(models.TextChoices):
    """Of a call that we place: decides which consent it needs (promises.md 4.1)."""

    MARKETING = "marketing", "Marketing"
    INFORMATIONAL = "informational", "Informational"


class CallingRules(models.TextChoices):
    """Whether our own, narrower hours and limits hold on top of the law's (docs/contactability.md)."""

    STRICT = "strict", "Our narrow hours and limits"
    LEGAL = "legal", "All that the law of the place allows"


class Workspace(Row):
    """A tenant (`company_id` on the wire) and its settings."""

    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=80, unique=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    default_region = models.CharField(
        max_length=2, default="US", help_text="ISO country code that national phone numbers are read in."
    )
    # In plain only what an earlier release wrote (tenex.webhooks.services.secrets).
    webhook_secret = models.CharField(max_length=100, blank=True, default="", editable=False)
    webhook_secret_sealed = models.TextField(blank=True, default="", db_default="", editable=False)
    recording_consent = models.CharField(
        max_length=10, choices=RecordingConsent.choices, default=RecordingConsent.ANNOUNCE
    )
    recording_consent_places = models.JSONField(
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        blank=True,
        help_text="Where another mode holds than elsewhere: country or country and region -> mode.",
    )
    recording_retention_days = models.PositiveIntegerField(default=30, validators=[MinValueValidator(1)])
    transcript_retention_days = models.PositiveIntegerField(default=90, validators=[MinValueValidator(1)])
    journal_retention_days = models.PositiveIntegerField(
        default=90, validators=[MinValueValidator(1)], help_text="Days after a call that its journal is kept."
    )
    evidence_retention_days = models.PositiveIntegerField(
        default=365,
        validators=[MinValueValidator(1)],
        help_text="Days after a call that summary and quotes of its verdict are kept; figures stay.",
    )
    recordings_dated_by_days = models.PositiveIntegerField(
        null=True, editable=False, help_text="The retention that `purge_after` of the recordings was set by."
    )
    calling_window_start = models.TimeField(default="09:00")
    calling_window_end = models.TimeField(default="20:00")
    calling_days = models.JSONField(
        default=every_day, help_text="ISO weekdays on which leads are called, 1 is Monday."
    )
    calling_rules = models.CharField(
        max_length=6,
        choices=CallingRules.choices,
        default=CallingRules.STRICT,
        help_text="What holds on top of the calling hours.",
    )
    max_calls_per_lead_a_day = models.PositiveSmallIntegerField(
        default=3, validators=[MinValueValidator(1), MaxValueValidator(20)], help_text="In any 24 hours."
    )
    max_calls_per_lead_a_week = models.PositiveSmallIntegerField(
        default=8, validators=[MinValueValidator(1), MaxValueValidator(50)], help_text="In any seven days."
    )
    max_calls_per_lead_in_all = models.PositiveSmallIntegerField(
        default=24, validators=[MinValueValidator(1), MaxValueValidator(200)]
    )
    min_gap_between_calls_s = models.PositiveIntegerField(
        default=7200, help_text="Seconds between two calls to one number."
    )
    legal_name = models.CharField(
        max_length=200,
        blank=True,
        help_text="Who calls, as the opening says it; workspaces of one legal name are one caller.",
    )
    default_purpose = models.CharField(
        max_length=15,
        choices=CallingPurpose.choices,
        default=CallingPurpose.MARKETING,
        help_text="Of calls that name none: which consent a lead must have given.",
    )
    calling_countries = models.JSONField(
        default=list,
        blank=True,
        help_text="ISO codes of the countries that are called; empty: that of the default region.",
    )
    max_concurrent_calls = models.PositiveIntegerField(default=10, validators=[MaxValueValidator(1000)])
    calls_per_second = models.FloatField(
        default=1.0, validators=[MinValueValidator(0.01), MaxValueValidator(50)]
    )
    calling_paused_at = models.DateTimeField(
        null=True, blank=True, help_text="Kill switch: while set, nobody is dialled."
    )
    transfer_number = models.CharField(
        max_length=20, blank=True, help_text="E.164 number of a person who takes transferred calls."
    )
    # Taken by tenex.events as the last lock of a transaction: event numbers follow commit order.
    event_seq = models.BigIntegerField(default=0, editable=False)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **extra: Any) -> "User":
        if not email:
            raise ValueError("a user needs an e-mail address")
        user = self.model(email=self.normalize_email(email).lower(), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> "User":
        return self.create_user(email, password, **{"is_staff": True, "is_superuser": True, **extra})


class User(AbstractBaseUser, PermissionsMixin):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=200, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False, help_text="May sign in to the admin.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()
    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        ordering = ("email",)

    def __str__(self) -> str:
        return self.email


class Role(models.TextChoices):
    OWNER = "owner", "Owner"
    ADMIN = "admin", "Admin"
    OPERATOR = "operator", "Operator"
    VIEWER = "viewer", "Viewer"


class Membership(Row):
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.VIEWER)

    class Meta:
        constraints = [models.UniqueConstraint(fields=("workspace", "user"), name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user} in {self.workspace}"


class Invitation(Row):
    """A way into a workspace for whoever has the token; only an HMAC of it is kept."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=10, choices=Role.choices)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    invited_by = models.CharField(max_length=300, help_text="As in the audit log.")
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(
                fields=("workspace", "email"),
                condition=models.Q(accepted_at=None, revoked_at=None),
                name="invitation_one_open",
            )
        ]

    def __str__(self) -> str:
        return f"{self.email} to {self.workspace_id}"


def all_scopes() -> list[str]:
    return ["*"]


class ApiKey(Row):
    """`tnx_<prefix>_<secret>`; only an HMAC of the secret is kept (promises.md R10)."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=8, unique=True, editable=False)
    digest = models.BinaryField(max_length=32, editable=False)
    scopes = models.JSONField(default=all_scopes)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    # Noted by a task out of Valkey, at most once a minute: no request waits for it.
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_ip = models.GenericIPAddressField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.name} (tnx_{self.prefix}_…)"


class IdempotentRequest(Row):
    """The first answer to a request with an Idempotency-Key (promises.md D3)."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE)
    scope = models.CharField(
        max_length=100, help_text="Who asked: the key or user that the header belongs to."
    )
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of method, path and body.")
    lease_until = models.DateTimeField(help_text="Until then the first request counts as in flight.")
    status = models.PositiveSmallIntegerField(null=True)
    body = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=("workspace", "scope", "key"), name="idempotency_key_once")
        ]
        indexes = [models.Index(fields=("created_at",), name="idempotency_age")]


class AuditEntry(Row):
    """Who did what. Append-only."""

    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="audit")
    actor = models.CharField(max_length=300, help_text="user:<email>, key:<prefix> or system:<part>")
    action = models.CharField(max_length=80)
    object_type = models.CharField(max_length=40, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    data = models.JSONField(default=dict)

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ("-created_at", "-id")
        indexes = [
            models.Index(fields=("workspace", "-created_at"), name="audit_recent"),
            # What was done with one thing, on its page.
            models.Index(fields=("workspace", "object_type", "object_id"), name="audit_of_object"),
        ]


class KeyKind(models.TextChoices):
    """What a data key is for. One opens nothing of the other, and each is replaced in its own time."""

    FIELDS = "fields", "Columns with secrets"
    FILES = "files", "Files"


class DataKey(Row):
    """A key of one workspace, sealed by a key encryption key of the settings (promises.md R15).

    Its id is the key id of what it seals. At a time one of a kind seals; a retired one only opens.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=6, choices=KeyKind.choices)
    wrapped = models.CharField(max_length=200, editable=False, help_text="Names the key that opens it.")
    wrapped_at = models.DateTimeField(default=timezone.now, editable=False)
    retired_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(
                fields=("workspace", "kind"), condition=models.Q(retired_at=None), name="data_key_one_seals"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} key {self.pk} of {self.workspace_id}"


class KeyRotation(Row):
    """One run of `rotate_keys --data-keys`. While it is open, the next run goes on with it.

    Data keys that were made before it are replaced; `created_at` says what "before" is.
    """

    by = models.CharField(max_length=300, help_text="As in the audit log.")
    finished_at = models.DateTimeField(null=True, blank=True)
    counts = models.JSONField(default=dict)

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(
                models.Value(1), condition=models.Q(finished_at=None), name="key_rotation_one_open"
            )
        ]

    def __str__(self) -> str:
        return f"since {self.created_at:%Y-%m-%d %H:%M}"
