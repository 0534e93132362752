"""All hours that have calls are to be summed up; the scheduler's task does it, and until then the calls are read.

Locks: none that anybody waits for; one scan of voice_call.
"""

from django.db import migrations

_MARK = """
INSERT INTO voice_metricsdue (workspace_id, hour)
SELECT DISTINCT workspace_id, date_trunc('hour', created_at, 'UTC') FROM voice_call WHERE status = 'finalized'
"""


class Migration(migrations.Migration):

    dependencies = [("voice", "0007_metrics")]
    operations = [migrations.RunSQL(_MARK, migrations.RunSQL.noop)]
