"""Holds and receipts, and what a purge has done to a call.

Locks: columns with a constant default or none, so nothing is rewritten or scanned.
"""

import django.db.models.deletion
import django.utils.timezone
import tenex.lib.ids
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0020_import_rows'),
        ('voice', '0031_call_off_record'),
        ('workspaces', '0011_retention_classes'),
    ]

    operations = [
        migrations.CreateModel(
            name='LegalHold',
            fields=[
                ('id', models.UUIDField(default=tenex.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('reason', models.CharField(max_length=300)),
                ('held_by', models.CharField(help_text='As in the audit log.', max_length=300)),
                ('released_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'ordering': ('-created_at',),
            },
        ),
        migrations.CreateModel(
            name='PurgeReceipt',
            fields=[
                ('id', models.UUIDField(default=tenex.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('number', models.PositiveBigIntegerField(help_text='Gap-free within the workspace.')),
                ('kept_class', models.CharField(choices=[('audio', 'Recordings'), ('transcript', 'Transcript, tool arguments and results'), ('journal', 'Journal of the call'), ('evidence', "Verdict's summary and quotes, timeline texts, events")], max_length=10)),
                ('call_ids', models.JSONField(help_text='Of whose calls it was deleted.')),
                ('counts', models.JSONField(help_text='Rows, files and bytes by kind.')),
                ('older_than', models.DateTimeField(help_text='Calls that ended before this instant.')),
                ('digest', models.CharField(max_length=64)),
            ],
            options={
                'ordering': ('-number',),
            },
        ),
        migrations.AddField(
            model_name='call',
            name='purged',
            field=models.SmallIntegerField(db_default=0, default=0, editable=False, help_text='Deleted: 1 transcript, 2 journal, 4 evidence.'),
        ),
        migrations.AddField(
            model_name='recording',
            name='carrier_deleted_at',
            field=models.DateTimeField(help_text="The carrier's own copy is gone.", null=True),
        ),
        migrations.AddField(
            model_name='legalhold',
            name='call',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='voice.call'),
        ),
        migrations.AddField(
            model_name='legalhold',
            name='lead',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='crm.lead'),
        ),
        migrations.AddField(
            model_name='legalhold',
            name='workspace',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='legal_holds', to='workspaces.workspace'),
        ),
        migrations.AddField(
            model_name='purgereceipt',
            name='workspace',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='purge_receipts', to='workspaces.workspace'),
        ),
        migrations.AddConstraint(
            model_name='legalhold',
            constraint=models.CheckConstraint(condition=models.Q(('call', None), ('lead', None), _connector='OR'), name='hold_of_one_thing'),
        ),
        migrations.AddConstraint(
            model_name='purgereceipt',
            constraint=models.UniqueConstraint(fields=('workspace', 'number'), name='purge_receipt_once'),
        ),
    ]
