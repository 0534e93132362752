"""Whose rules hold on top of the calling hours. A lead whose time zone nobody knows is not called any more.

Locks: both statements change the table's description only (the new column has a constant default).
"""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("workspaces", "0005_outbound_batches")]

    operations = [
        migrations.RemoveField(model_name="workspace", name="call_unknown_time_zone"),
        migrations.AddField(
            model_name="workspace",
            name="calling_rules",
            field=models.CharField(
                choices=[
                    ("strict", "Our narrow hours and limits"),
                    ("legal", "All that the law of the place allows"),
                ],
                default="strict",
                help_text="What holds on top of the calling hours.",
                max_length=6,
            ),
        ),
    ]
