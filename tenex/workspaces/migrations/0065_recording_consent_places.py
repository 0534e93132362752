"""Places where another mode of recording holds. A column with a default of the database: nothing is rewritten."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("workspaces", "0061_key_rotation")]
    operations = [
        migrations.AddField(
            model_name="workspace",
            name="recording_consent_places",
            field=models.JSONField(blank=True, db_default=models.Value({}, models.JSONField()), default=dict, help_text="Where another mode holds than elsewhere: country or country and region -> mode."),
        ),
    ]
