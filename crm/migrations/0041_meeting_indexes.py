from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('crm', '0040_calendar_connectors'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='meeting',
            index=models.Index(condition=models.Q(('sync_at', None), _negated=True), fields=['sync_at'], name='meeting_sync_due'),
        ),
        AddIndexConcurrently(
            model_name='meeting',
            index=models.Index(fields=['workspace', '-created_at', '-id'], name='meeting_recent'),
        ),
        AddIndexConcurrently(
            model_name='meeting',
            index=models.Index(fields=['calendar', 'starts_at'], name='meeting_by_time'),
        ),
    ]
