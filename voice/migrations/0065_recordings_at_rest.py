"""How recordings are encrypted, checked and refused; what a call's people were asked, and answered.

Locks: columns with defaults of the database, and none with a check, so no table is rewritten or read.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("voice", "0060_credentials")]
    operations = [
        migrations.AlterField(  # its choices only
            model_name="turn",
            name="speaker",
            field=models.CharField(choices=[("caller", "Caller"), ("agent", "Agent"), ("person", "Operator in the agent's place")], max_length=6),
        ),
        migrations.AddField(
            model_name="call",
            name="recording_asked",
            field=models.CharField(blank=True, choices=[("off", "Not recorded"), ("announce", "They were told"), ("explicit", "They were asked")], db_default="", default="", help_text="What holds for the recording of this call: off, a notice, or a question.", max_length=8),
        ),
        migrations.AddField(
            model_name="call",
            name="recording_answer",
            field=models.CharField(blank=True, choices=[("told", "The notice was spoken"), ("yes", "They agreed"), ("no", "They did not agree"), ("objected", "They objected")], db_default="", default="", help_text="What came of it.", max_length=8),
        ),
        migrations.AddField(
            model_name="recording",
            name="told_ms",
            field=models.IntegerField(help_text="How long it is, as the carrier says.", null=True),
        ),
        migrations.AddField(
            model_name="recording",
            name="verified_at",
            field=models.DateTimeField(help_text="The stored file was read back: its hash, length and two channels are right. Before that the carrier keeps its copy.", null=True),
        ),
        migrations.AddField(
            model_name="recording",
            name="problem",
            field=models.CharField(blank=True, db_default="", default="", max_length=12),
        ),
        migrations.AddField(
            model_name="recording",
            name="problem_detail",
            field=models.CharField(blank=True, db_default="", default="", max_length=80),
        ),
        migrations.AddField(
            model_name="recording",
            name="store_failures",
            field=models.SmallIntegerField(db_default=0, default=0, help_text="Tries in a row that the storage did not take: never given up."),
        ),
        migrations.AddField(
            model_name="recording",
            name="at_rest",
            field=models.CharField(blank=True, choices=[("", "Not by us"), ("envelope", "By a key of the workspace"), ("sse-s3", "By the bucket"), ("sse-kms", "By the bucket, with a key of the key service")], db_default="", default="", max_length=8),
        ),
        migrations.AddField(
            model_name="recording",
            name="key_id",
            field=models.UUIDField(help_text="The data key of a file in an envelope.", null=True),
        ),
        migrations.AddField(
            model_name="recording",
            name="leftovers",
            field=models.JSONField(db_default=models.Value([], models.JSONField()), default=list, help_text="Names in the storage that have to be deleted still."),
        ),
    ]
