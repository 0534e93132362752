import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import tenex.lib.ids


class Migration(migrations.Migration):
    """Keys of workspaces, sealed. A new table: no lock on what is used."""

    dependencies = [("workspaces", "0020_audit_of_object")]

    operations = [
        migrations.CreateModel(
            name="DataKey",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=tenex.lib.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[("fields", "Columns with secrets"), ("files", "Files")], max_length=6
                    ),
                ),
                (
                    "wrapped",
                    models.CharField(
                        editable=False, help_text="Names the key that opens it.", max_length=200
                    ),
                ),
                ("wrapped_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("retired_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="workspaces.workspace",
                    ),
                ),
            ],
            options={
                "ordering": ("-created_at",),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("retired_at", None)),
                        fields=("workspace", "kind"),
                        name="data_key_one_seals",
                    )
                ],
            },
        ),
    ]
