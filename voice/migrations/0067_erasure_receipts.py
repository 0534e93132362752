"""An erasure names its receipt.

Locks: a column that may be empty, with a unique index and a foreign key on a table of few rows; the check
reads only that table. The choices of `waits_for` are no change of the database.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("voice", "0066_recording_queues")]
    operations = [
        migrations.AddField(
            model_name="erasure",
            name="receipt",
            field=models.OneToOneField(
                blank=True,
                help_text="Its link of the chain.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                to="voice.purgereceipt",
            ),
        ),
        migrations.AlterField(
            model_name="erasure",
            name="waits_for",
            field=models.CharField(
                blank=True,
                choices=[
                    ("call", "a call that is not finalized"),
                    ("legal_hold", "a legal hold"),
                    ("import", "an import of leads"),
                    ("file_storage", "the file storage"),
                ],
                help_text="Why it is not done yet.",
                max_length=200,
            ),
        ),
    ]
