"""What the dialer's workers agree on: whose turn it is, when the carrier may be asked, who can carry a call.

Instants are Unix seconds of the database's clock: workers on several machines read one clock.
"""

from django.db import models

from tenex.workspaces.models import Workspace
from voice.models.batches import Batch


class Pacer(models.Model):
    """A workspace's pace and its place in the fair order of workspaces (voice.services.pacing)."""

    workspace = models.OneToOneField(Workspace, on_delete=models.CASCADE, primary_key=True)
    next_at_s = models.FloatField(default=0.0, help_text="Its next dial may start then.")
    finish = models.FloatField(
        default=0.0, help_text="Virtual time at which what it was given so far is used up: least goes first."
    )
    batch_virtual = models.FloatField(
        default=0.0, help_text="The same clock for its batches: where the last one that was served began."
    )


class BatchPacer(models.Model):
    """The same for a batch among those of its workspace."""

    batch = models.OneToOneField(Batch, on_delete=models.CASCADE, primary_key=True, related_name="pacer")
    next_at_s = models.FloatField(default=0.0, help_text="Its next dial may start then.")
    finish = models.FloatField(default=0.0)
    judged_from = models.DateTimeField(
        null=True, blank=True, help_text="Calls before it no longer count for the circuit breaker."
    )


class CarrierAccount(models.Model):
    """The carrier's account that all workspaces share: one lock for what it must never see too much of."""

    sid = models.CharField(max_length=64, primary_key=True)
    virtual = models.FloatField(
        default=0.0, help_text="Where the workspace that was served last began: who comes late starts here."
    )
    next_at_s = models.FloatField(default=0.0, help_text="The next request may start then.")
    strikes = models.PositiveSmallIntegerField(
        default=0, help_text="Answers of 5xx and 429 and time-outs, less the good ones since."
    )
    hold_until_s = models.FloatField(
        default=0.0, help_text="Nobody is dialed before: the carrier is in trouble."
    )

    def __str__(self) -> str:
        return self.sid


class CarrierSlot(models.Model):
    """One of the starts that the carrier may see in a second; as many rows as it takes in one.

    Taken for an attempt before the carrier is asked, free again one second after the request certainly had
    reached it. So no slot is seen twice in a second, whatever the requests meet on their way. `free_at_s` is
    also the lease: what a dead worker has taken is free when its request can no longer be under way.
    """

    account = models.ForeignKey(
        CarrierAccount, on_delete=models.CASCADE, related_name="slots", db_index=False
    )
    index = models.PositiveSmallIntegerField()
    free_at_s = models.FloatField(default=0.0)
    attempt_id = models.UUIDField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=("account", "index"), name="carrier_slot_once")]
        indexes = [
            # Read by voice.services.pacing when an answer frees the slot.
            models.Index(
                fields=("attempt_id",),
                condition=models.Q(attempt_id__isnull=False),
                name="carrier_slot_attempt",
            )
        ]


class MediaProcess(models.Model):
    """A process that carries calls: a lease that it renews while it can (voice.services.capacity)."""

    name = models.CharField(max_length=80, primary_key=True, help_text="host:pid:start")
    capacity = models.PositiveIntegerField(help_text="Calls that it takes at a time.")
    live_calls = models.PositiveIntegerField(default=0, help_text="When it last said so.")
    draining = models.BooleanField(default=False)
    started_at = models.DateTimeField()
    alive_until = models.DateTimeField()

    class Meta:
        verbose_name_plural = "media processes"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
