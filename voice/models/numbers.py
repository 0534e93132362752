"""Phone numbers: who answers them, and how far the carrier is with them."""

from django.db import models
from django.db.models import Q

from crm.models import Calendar
from tenex.lib.models import Row
from tenex.workspaces.models import Workspace
from voice.models.agents import Agent


class NumberStatus(models.TextChoices):
    PENDING = "pending", "Being bought or set up at the carrier"
    ACTIVE = "active", "In use"
    FAILED = "failed", "Could not be bought or set up"
    RELEASING = "releasing", "Being given back to the carrier"
    RELEASED = "released", "Given up"


class NumberSource(models.TextChoices):
    RECORDED = "recorded", "Written down; set up at the carrier by somebody else"
    IMPORTED = "imported", "Of the carrier account"
    BOUGHT = "bought", "Bought by us"


HELD = (NumberStatus.PENDING, NumberStatus.ACTIVE, NumberStatus.RELEASING)
"""Nobody else can have a number of these."""


class PhoneNumber(Row):
    """A number. What must happen at the carrier is a state of the row first (promises.md R3).

    `asked_at` is set before the carrier is asked to sell: from then on the number may be ours, and it is
    looked up before it is asked for again.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="numbers")
    e164 = models.CharField(max_length=20)
    label = models.CharField(max_length=100, blank=True)
    status = models.CharField(
        max_length=9, choices=NumberStatus.choices, default=NumberStatus.ACTIVE, editable=False
    )
    source = models.CharField(
        max_length=8, choices=NumberSource.choices, default=NumberSource.RECORDED, editable=False
    )
    provider_sid = models.CharField(max_length=64, blank=True, help_text="Twilio PN…")
    account_sid = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="The workspace's own account at the carrier; empty: that of the settings.",
    )
    capabilities = models.JSONField(default=dict, blank=True, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.SET_NULL, null=True, blank=True, related_name="numbers")
    calendar = models.ForeignKey(
        Calendar,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="Where calls to this number book; empty: the agent's.",
    )
    fallback_number = models.CharField(
        max_length=20, blank=True, help_text="Where calls go when the agent or the model is not available."
    )
    asked_at = models.DateTimeField(null=True, editable=False)
    tries = models.PositiveSmallIntegerField(default=0, editable=False)
    lookups = models.PositiveSmallIntegerField(
        default=0, editable=False, help_text="How often the carrier's list did not have it."
    )
    next_at = models.DateTimeField(
        null=True, editable=False, help_text="When the next step at the carrier is due."
    )
    problem_code = models.CharField(max_length=40, blank=True, editable=False)
    problem_detail = models.CharField(max_length=300, blank=True, editable=False)
    released_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ("e164",)
        constraints = [
            # Also the index that the voice webhook looks a number up by.
            models.UniqueConstraint(fields=("e164",), condition=Q(status__in=HELD), name="number_held_once"),
            models.CheckConstraint(
                condition=Q(status="released", released_at__isnull=False)
                | (~Q(status="released") & Q(released_at__isnull=True)),
                name="number_released_iff_given_up",
            ),
            models.CheckConstraint(
                condition=Q(status__in=("pending", "releasing"), next_at__isnull=False)
                | (~Q(status__in=("pending", "releasing")) & Q(next_at__isnull=True)),
                name="number_due_iff_at_work",
            ),
        ]
        indexes = [
            # Queue of voice.services.number_orders.
            models.Index(fields=("next_at",), condition=Q(next_at__isnull=False), name="number_due"),
        ]

    def __str__(self) -> str:
        return self.e164
