"""What takes time on a table that is in use: the search column of the rows that are there, and the indexes.

Outside a transaction: rows are locked five thousand at a time, and the indexes are built beside the writers.
May be killed and begun again: what is left of an earlier attempt is dropped first.
"""

import django.contrib.postgres.indexes
import django.db.models.expressions
import django.db.models.functions.text
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

ROWS = 5000
INDEXES = ("company_name_upper", "lead_page_of_stage", "lead_search", "lead_custom")


def fill(apps, schema_editor):
    """The trigger writes the column; an update of nothing is enough."""
    with schema_editor.connection.cursor() as cursor:
        last = "00000000-0000-0000-0000-000000000000"
        while True:
            cursor.execute(
                "SELECT max(id::text) FROM (SELECT id FROM crm_lead WHERE id > %s ORDER BY id LIMIT %s) AS part",
                [last, ROWS],
            )
            (until,) = cursor.fetchone()
            if until is None:
                return
            cursor.execute(
                "UPDATE crm_lead SET search = '' WHERE id > %s AND id <= %s AND search = ''", [last, until]
            )
            last = until


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('crm', '0004_crm_module'),
    ]

    operations = [
        migrations.RunSQL([f"DROP INDEX CONCURRENTLY IF EXISTS {name}" for name in INDEXES], migrations.RunSQL.noop),
        migrations.RunPython(fill, migrations.RunPython.noop),
        AddIndexConcurrently(
            model_name='company',
            index=models.Index(models.F('workspace'), django.db.models.functions.text.Upper('name'), name='company_name_upper'),
        ),
        AddIndexConcurrently(
            model_name='lead',
            index=models.Index(fields=['workspace', 'stage', '-created_at', '-id'], name='lead_page_of_stage'),
        ),
        AddIndexConcurrently(
            model_name='lead',
            index=django.contrib.postgres.indexes.GinIndex(fields=['search'], name='lead_search', opclasses=['gin_trgm_ops']),
        ),
        AddIndexConcurrently(
            model_name='lead',
            index=django.contrib.postgres.indexes.GinIndex(fields=['custom'], name='lead_custom', opclasses=['jsonb_path_ops']),
        ),
    ]
