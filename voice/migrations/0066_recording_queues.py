"""The queues of recordings' files.

Locks: built concurrently, so calls go on being written. A build that was interrupted leaves an invalid index
behind: drop it by name, then migrate again.
"""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("voice", "0065_recordings_at_rest")]
    operations = [
        AddIndexConcurrently(
            model_name="recording",
            index=models.Index(condition=models.Q(("leftovers", []), _negated=True), fields=["created_at"], name="recording_leftover"),
        ),
        AddIndexConcurrently(
            model_name="recording",
            index=models.Index(condition=models.Q(models.Q(("problem", ""), _negated=True), ("status__in", ("pending", "stored", "failed"))), fields=["workspace", "created_at"], name="recording_problem"),
        ),
        AddIndexConcurrently(
            model_name="recording",
            index=models.Index(condition=models.Q(("carrier_deleted_at__isnull", True), ("problem", ""), ("status", "stored"), ("verified_at__isnull", True)), fields=["created_at"], name="recording_unverified"),
        ),
    ]
