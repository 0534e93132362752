"""What takes time on a table that is in use: the search column of the rows that are there, and the indexes.

Outside a transaction: rows are locked five thousand at a time, and the indexes are built beside the writers.
"""

import django.contrib.postgres.indexes
import django.db.models.expressions
import django.db.models.functions.text
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

ROWS = 5000


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
        migrations.RunPython(fill, migrations.RunPython.noop),
        AddIndexConcurrently(
            model_name='company',
            index=models.Index(models.F('workspace'), django.db.models.functions.text.Upper('name'), name='company_name_upper'),
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
