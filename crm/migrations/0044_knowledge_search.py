"""Passages are searched by their language, with their document's title.

The generated column is made anew, which writes the table of passages once under its lock. Until now it held
what people had typed by hand: a few thousand rows take less than a second.
"""

import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.deletion
from django.contrib.postgres.search import SearchVector
from django.db import migrations, models
from django.db.models import Case, Value, When

LANGUAGES = ("english", "german", "french", "spanish", "italian", "portuguese", "dutch")


def words(config):
    return SearchVector("title", "heading", weight="A", config=Value(config)) + SearchVector(
        "text", weight="B", config=Value(config)
    )


class Migration(migrations.Migration):
    dependencies = [("crm", "0043_knowledge_versions")]

    operations = [
        migrations.RemoveIndex(model_name="chunk", name="chunk_search"),
        migrations.RemoveField(model_name="chunk", name="search"),
        migrations.AddField(
            model_name="chunk",
            name="search",
            field=models.GeneratedField(
                db_persist=True,
                expression=Case(
                    *(When(language=name, then=words(name)) for name in LANGUAGES), default=words("simple")
                ),
                output_field=django.contrib.postgres.search.SearchVectorField(),
            ),
        ),
        migrations.RemoveConstraint(model_name="chunk", name="chunk_position_once"),
        migrations.AlterField(
            model_name="chunk",
            name="version",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="chunks",
                to="crm.documentversion",
            ),
        ),
        migrations.AddConstraint(
            model_name="chunk",
            constraint=models.UniqueConstraint(fields=("version", "position"), name="chunk_once"),
        ),
        migrations.AddIndex(
            model_name="chunk",
            index=django.contrib.postgres.indexes.GinIndex(
                fields=["workspace", "search"], name="chunk_words"
            ),
        ),
        # Passage and words stay in the row: fetched from beside it they cost most of a search.
        migrations.RunSQL(
            "ALTER TABLE crm_chunk SET (toast_tuple_target = 8160)",
            "ALTER TABLE crm_chunk RESET (toast_tuple_target)",
        ),
        migrations.RemoveField(model_name="document", name="body"),
        migrations.AddConstraint(
            model_name="document",
            constraint=models.CheckConstraint(
                condition=models.Q(("source", "entry"), ("entry_kind", ""), _connector="XOR"),
                name="document_entry_has_kind",
            ),
        ),
    ]
