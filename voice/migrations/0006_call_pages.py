"""Indexes of the list of calls: one for each filter, in the order of the pages.

Locks: indexes are built and dropped concurrently, so calls go on being written. Those of the foreign keys,
which the new ones replace, are dropped by Django's own statement: ACCESS EXCLUSIVE for a moment. A build that
was interrupted leaves an invalid index behind: drop it by name, then migrate again.
"""

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.operations import (
    AddIndexConcurrently,
    RemoveIndexConcurrently,
    TrigramExtension,
)
from django.db import migrations, models
from django.db.models import CASCADE, PROTECT, SET_NULL, Q

_LIVE = ("queued", "dialing", "ringing", "in_progress")


def _index(*fields, name, **more):
    return AddIndexConcurrently("call", models.Index(fields=fields, name=name, **more))


def _key(name, to, on_delete, **more):
    """A foreign key loses the index of its own."""
    field = models.ForeignKey(db_index=False, on_delete=on_delete, to=to, **more)
    return migrations.AlterField("call", name, field)


class Migration(migrations.Migration):

    atomic = False
    dependencies = [
        ("voice", "0005_call_agent_filled"),
        ("crm", "0003_one_booking_a_call"),
        ("workspaces", "0001_initial"),
    ]

    operations = [
        TrigramExtension(),
        _index("lead", "-created_at", "-id", name="call_page_lead"),
        _index("workspace", "agent", "-created_at", "-id", name="call_page_agent"),
        _index(
            "batch", "-created_at", "-id", name="call_page_batch", condition=Q(batch__isnull=False)
        ),
        _index("workspace", "direction", "-created_at", "-id", name="call_page_direction"),
        _index("workspace", "outcome", "-created_at", "-id", name="call_page_outcome"),
        _index(
            "workspace",
            "status",
            "-created_at",
            "-id",
            name="call_page_status",
            condition=Q(status__in=(*_LIVE, "ended", "finalizing")),
        ),
        _index(
            "batch", name="call_live_batch", condition=Q(batch__isnull=False, status__in=_LIVE)
        ),
        AddIndexConcurrently(
            "call",
            GinIndex(
                OpClass("from_number", "gin_trgm_ops"),
                OpClass("to_number", "gin_trgm_ops"),
                name="call_numbers",
            ),
        ),
        RemoveIndexConcurrently("call", "call_of_lead"),
        RemoveIndexConcurrently("call", "call_of_batch"),
        _key("workspace", "workspaces.workspace", CASCADE, related_name="calls"),
        _key("number", "voice.phonenumber", SET_NULL, null=True, related_name="calls"),
        _key(
            "agent_version",
            "voice.agentversion",
            PROTECT,
            null=True,
            related_name="calls",
        ),
        _key("lead", "crm.lead", SET_NULL, null=True, blank=True, related_name="calls"),
        _key("calendar", "crm.calendar", SET_NULL, null=True, blank=True),
        _key("batch", "voice.batch", SET_NULL, null=True, blank=True, related_name="calls"),
    ]
