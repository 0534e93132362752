from django.db import migrations, models

_SEALED = {"blank": True, "db_default": "", "default": "", "editable": False}
_PLAIN = {"blank": True, "default": "", "editable": False, "max_length": 100}


class Migration(migrations.Migration):
    """Room for sealed secrets. The plain ones are sealed, and emptied, by `tenex.webhooks.seal` once processes of
    the earlier release are gone: those sign by the plain columns, and insert rows without the new ones.
    """

    dependencies = [("webhooks", "0003_lanes_and_replays")]

    operations = [
        migrations.AddField("retiringsecret", "secret_sealed", models.TextField(**_SEALED)),
        migrations.AddField(
            "webhooksubscription",
            "secret_sealed",
            models.TextField(help_text="whsec_…; signs the Standard Webhooks headers.", **_SEALED),
        ),
        migrations.AddField("webhooksubscription", "previous_secret_sealed", models.TextField(**_SEALED)),
        migrations.AlterField("retiringsecret", "secret", models.CharField(**_PLAIN)),
        migrations.AlterField("webhooksubscription", "secret", models.CharField(**_PLAIN)),
        migrations.AlterField("webhooksubscription", "previous_secret", models.CharField(**_PLAIN)),
    ]
