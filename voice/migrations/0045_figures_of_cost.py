"""What the figures of cost are made of; all hours that are summed up are summed up again.

Until the scheduler's task has done that, the calls are read. Locks: ACCESS EXCLUSIVE on voice_metricshour for
a moment (columns with a constant default rewrite nothing).
"""

from django.db import migrations, models


_MARK = """
INSERT INTO voice_metricsdue (workspace_id, hour) SELECT DISTINCT workspace_id, hour FROM voice_metricshour
"""


class Migration(migrations.Migration):

    dependencies = [
        ('voice', '0040_agent_drafts'),
    ]

    operations = [
        migrations.AddField(
            model_name='metricshour',
            name='cached_audio_tokens',
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='metricshour',
            name='cached_text_tokens',
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='metricshour',
            name='carrier_minutes',
            field=models.BigIntegerField(db_default=0, default=0, help_text='Of all answered calls, each begun minute counted whole.'),
        ),
        migrations.AddField(
            model_name='metricshour',
            name='input_text_tokens',
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='metricshour',
            name='output_text_tokens',
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.RunSQL(_MARK, migrations.RunSQL.noop),
    ]
