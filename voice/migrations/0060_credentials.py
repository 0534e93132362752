import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import tenex.lib.ids

_ACCOUNT = {
    "blank": True,
    "db_default": "",
    "default": "",
    "editable": False,
    "help_text": "The workspace's own account at the carrier; empty: that of the settings.",
    "max_length": 64,
}


class Migration(migrations.Migration):
    """A new table, and two columns with a constant default: no rewrite, and earlier code inserts without them."""

    dependencies = [("voice", "0045_figures_of_cost"), ("workspaces", "0060_data_keys")]

    operations = [
        migrations.CreateModel(
            name="Credential",
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
                    models.CharField(choices=[("twilio", "Twilio"), ("openai", "OpenAI")], max_length=6),
                ),
                (
                    "account",
                    models.CharField(
                        blank=True,
                        help_text="Twilio: the account's SID, AC…; OpenAI: the organization.",
                        max_length=64,
                    ),
                ),
                ("project", models.CharField(blank=True, help_text="OpenAI: the project.", max_length=64)),
                (
                    "api_key_sid",
                    models.CharField(blank=True, help_text="Twilio: of an API key, SK….", max_length=64),
                ),
                ("sealed", models.TextField(editable=False)),
                (
                    "endings",
                    models.JSONField(
                        default=dict, editable=False, help_text="Last four characters of each secret part."
                    ),
                ),
                ("set_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "set_by",
                    models.CharField(editable=False, help_text="As in the audit log.", max_length=300),
                ),
                ("last_used_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("unknown", "Not asked yet"),
                            ("verified", "Works"),
                            ("refused", "Refused by the provider"),
                            ("unreachable", "The provider did not answer"),
                        ],
                        default="unknown",
                        editable=False,
                        max_length=11,
                    ),
                ),
                ("state_detail", models.CharField(blank=True, editable=False, max_length=300)),
                ("checked_at", models.DateTimeField(blank=True, editable=False, null=True)),
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
                "ordering": ("kind",),
                "constraints": [
                    models.UniqueConstraint(fields=("workspace", "kind"), name="credential_one_of_a_kind"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "twilio"), _negated=True),
                            ("account__startswith", "AC"),
                            _connector="OR",
                        ),
                        name="credential_names_its_account",
                    ),
                ],
            },
        ),
        migrations.AddField("phonenumber", "account_sid", models.CharField(**_ACCOUNT)),
        migrations.AddField("call", "account_sid", models.CharField(**_ACCOUNT)),
    ]
