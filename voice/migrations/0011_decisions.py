"""Decision rows: why somebody was called, or was not. A new table: nothing else is locked."""

import django.db.models.deletion
import django.utils.timezone
import tenex.lib.ids
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0006_outbound_batches'),
        ('voice', '0010_outbound_batches'),
        ('workspaces', '0010_calling_rules'),
    ]

    operations = [
        migrations.CreateModel(
            name='Decision',
            fields=[
                ('id', models.UUIDField(default=tenex.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('stage', models.CharField(choices=[('preview', 'Preview'), ('enqueue', 'Taken into a batch or queue'), ('dial', 'Right before the dial')], max_length=7)),
                ('allowed', models.BooleanField()),
                ('code', models.CharField(blank=True, help_text='Why not; empty if allowed.', max_length=40)),
                ('detail', models.CharField(blank=True, max_length=200)),
                ('until', models.DateTimeField(help_text='When it is asked again; empty: never, or allowed.', null=True)),
                ('inputs', models.JSONField(default=dict)),
                ('at', models.DateTimeField(help_text='The instant that was decided about.')),
            ],
            options={
                'ordering': ('-created_at', '-id'),
            },
        ),
        migrations.AddField(
            model_name='decision',
            name='batch',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, to='voice.batch'),
        ),
        migrations.AddField(
            model_name='decision',
            name='call',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, to='voice.call'),
        ),
        migrations.AddField(
            model_name='decision',
            name='lead',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, to='crm.lead'),
        ),
        migrations.AddField(
            model_name='decision',
            name='recipient',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, to='voice.recipient'),
        ),
        migrations.AddField(
            model_name='decision',
            name='workspace',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='workspaces.workspace'),
        ),
        migrations.AddIndex(
            model_name='decision',
            index=models.Index(fields=['workspace', '-created_at', '-id'], name='decision_page'),
        ),
        migrations.AddIndex(
            model_name='decision',
            index=models.Index(fields=['lead', '-created_at', '-id'], name='decision_of_lead'),
        ),
        migrations.AddIndex(
            model_name='decision',
            index=models.Index(condition=models.Q(('batch__isnull', False)), fields=['batch', '-created_at', '-id'], name='decision_of_batch'),
        ),
        migrations.AddIndex(
            model_name='decision',
            index=models.Index(condition=models.Q(('recipient__isnull', False)), fields=['recipient', '-created_at', '-id'], name='decision_of_recipient'),
        ),
        migrations.AddIndex(
            model_name='decision',
            index=models.Index(condition=models.Q(('call__isnull', False)), fields=['call', '-created_at', '-id'], name='decision_of_call'),
        ),
        migrations.AddConstraint(
            model_name='decision',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('allowed', True), ('code', ''), ('until__isnull', True)), models.Q(('allowed', False), models.Q(('code', ''), _negated=True)), _connector='OR'), name='decision_reason_iff_refused'),
        ),
    ]
