import django.utils.timezone
from django.db import migrations, models

import tenex.lib.ids


class Migration(migrations.Migration):
    """A new table, and a column with a default that costs no rewrite. Earlier code inserts without it."""

    dependencies = [("workspaces", "0060_data_keys")]

    operations = [
        migrations.CreateModel(
            name="KeyRotation",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=tenex.lib.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("by", models.CharField(help_text="As in the audit log.", max_length=300)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("counts", models.JSONField(default=dict)),
            ],
            options={
                "ordering": ("-created_at",),
                "constraints": [
                    models.UniqueConstraint(
                        models.Value(1),
                        condition=models.Q(("finished_at", None)),
                        name="key_rotation_one_open",
                    )
                ],
            },
        ),
        migrations.AddField(
            model_name="workspace",
            name="webhook_secret_sealed",
            field=models.TextField(blank=True, db_default="", default="", editable=False),
        ),
        migrations.AlterField(
            model_name="workspace",
            name="webhook_secret",
            field=models.CharField(blank=True, default="", editable=False, max_length=100),
        ),
    ]
