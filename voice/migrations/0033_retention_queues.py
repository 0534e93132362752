"""The queues of retention.

Locks: built concurrently, so calls go on being written. A build that was interrupted leaves an invalid index
behind: drop it by name, then migrate again.
"""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("voice", "0032_retention")]
    operations = [
        AddIndexConcurrently(
            model_name='call',
            index=models.Index(condition=models.Q(('purged__lt', 7), ('status', 'finalized')), fields=['workspace', 'ended_at'], name='call_kept'),
        ),
        AddIndexConcurrently(
            model_name='recording',
            index=models.Index(condition=models.Q(('status__in', ('pending', 'stored'))), fields=['purge_after'], name='recording_past'),
        ),
        AddIndexConcurrently(
            model_name='recording',
            index=models.Index(condition=models.Q(('carrier_deleted_at__isnull', True), ('status__in', ('stored', 'deleted'))), fields=['created_at'], name='recording_at_carrier'),
        ),
    ]
