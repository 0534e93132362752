"""Figures of past hours, summed up once (docs/metrics.md).

A trigger on calls and verdicts writes a `MetricsDue` in the transaction of each change that a figure depends
on, whoever changes the row and however. So, at every instant: either an hour has a due row, and is counted
from its calls, or its rows here are exact.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from tenex.workspaces.models import Workspace
from voice.models.calls import Direction


class MetricsHour(models.Model):
    """Sums over the finalized calls that were created in one hour (of UTC).

    Two kinds of row: one a direction with all calls (`is_total`), and one for each combination of agent,
    number, batch and direction. Rows are only ever replaced together, an hour of a workspace at a time.
    """

    id = models.BigAutoField(primary_key=True)
    workspace = models.ForeignKey(
        Workspace, on_delete=models.CASCADE, db_index=False, related_name="metrics_hours"
    )
    hour = models.DateTimeField(help_text="Its beginning.")
    is_total = models.BooleanField(help_text="All calls of this direction; the three ids are empty.")
    direction = models.CharField(max_length=8, choices=Direction.choices)
    # No foreign keys: a row describes calls, and follows them when they lose what they refer to.
    agent_id = models.UUIDField(null=True)
    number_id = models.UUIDField(null=True)
    batch_id = models.UUIDField(null=True)

    calls = models.IntegerField()
    dialed = models.IntegerField()
    answered = models.IntegerField()
    connected = models.IntegerField()
    connected_dialed = models.IntegerField(help_text="Dialed and answered by a person.")
    handed_over = models.IntegerField()
    meetings_booked = models.IntegerField()
    duration_ms = models.BigIntegerField(help_text="Of the connected calls.")

    qualified = models.IntegerField()
    unqualified = models.IntegerField()
    undetermined = models.IntegerField()
    no_answer = models.IntegerField()
    busy = models.IntegerField()
    failed = models.IntegerField()
    canceled = models.IntegerField()
    voicemail = models.IntegerField()
    opted_out = models.IntegerField()
    callback = models.IntegerField()
    transferred = models.IntegerField()

    with_usage = models.IntegerField(help_text="Calls that used the speech model.")
    input_tokens = models.BigIntegerField()
    cached_tokens = models.BigIntegerField()
    input_audio_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    output_audio_tokens = models.BigIntegerField()
    # What the figures of cost are made of, at the prices of the day on which they are asked for.
    input_text_tokens = models.BigIntegerField(default=0, db_default=0)
    cached_text_tokens = models.BigIntegerField(default=0, db_default=0)
    cached_audio_tokens = models.BigIntegerField(default=0, db_default=0)
    output_text_tokens = models.BigIntegerField(default=0, db_default=0)
    carrier_minutes = models.BigIntegerField(
        default=0, db_default=0, help_text="Of all answered calls, each begun minute counted whole."
    )

    turns = models.IntegerField(help_text="Answers of the agent whose delay was measured.")
    turns_ms = models.BigIntegerField()
    histogram = ArrayField(
        models.IntegerField(), help_text="Turns by delay; the bounds are in voice.selectors.measures."
    )

    class Meta:
        verbose_name = "hour of metrics"
        verbose_name_plural = "hours of metrics"
        ordering = ("-hour", "-is_total", "id")
        constraints = [
            models.UniqueConstraint(
                fields=("workspace", "hour", "is_total", "direction", "agent_id", "number_id", "batch_id"),
                nulls_distinct=False,
                name="metrics_hour_once",
            ),
            models.CheckConstraint(
                condition=Q(is_total=False) | Q(agent_id=None, number_id=None, batch_id=None),
                name="metrics_total_is_of_all",
            ),
        ]
        indexes = [
            # Read by voice.selectors.metrics: without a filter, and with each of them.
            models.Index(fields=("workspace", "hour"), condition=Q(is_total=True), name="metrics_of_all"),
            models.Index(
                fields=("workspace", "agent_id", "hour"), condition=Q(is_total=False), name="metrics_of_agent"
            ),
            models.Index(
                fields=("workspace", "number_id", "hour"),
                condition=Q(is_total=False, number_id__isnull=False),
                name="metrics_of_number",
            ),
            models.Index(
                fields=("workspace", "batch_id", "hour"),
                condition=Q(is_total=False, batch_id__isnull=False),
                name="metrics_of_batch",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:00} {self.direction}"


class MetricsDue(models.Model):
    """This hour's calls have changed since its rows were written. Only inserted by the triggers.

    Appended to, never updated: concurrent changes do not wait for each other here, and none is lost to a
    worker that sums up the hour meanwhile.
    """

    id = models.BigAutoField(primary_key=True)
    workspace_id = models.UUIDField()
    hour = models.DateTimeField()

    class Meta:
        verbose_name = "hour to sum up"
        verbose_name_plural = "hours to sum up"
        # Queue of services.metrics, and what selectors.metrics counts from the calls.
        indexes = [models.Index(fields=("workspace_id", "hour"), name="metrics_due")]
