"""The agent of the calls that are there already, some thousands in a transaction.

Locks: only the rows of one step, for as long as the step takes. Interrupted, it goes on where it stopped.
"""

import uuid

from django.db import migrations

_STEP = """
WITH step AS (
  SELECT id FROM voice_call WHERE id > %s AND agent_id IS NULL AND agent_version_id IS NOT NULL
  ORDER BY id LIMIT 5000
)
UPDATE voice_call SET agent_id = NULL -- the trigger of the migration before puts the agent in
FROM step WHERE voice_call.id = step.id RETURNING voice_call.id
"""


def fill(apps, schema_editor):
    last = uuid.UUID(int=0)
    while True:
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(_STEP, [last])
            done = [row[0] for row in cursor.fetchall()]
        if not done:
            return
        last = max(done)


class Migration(migrations.Migration):

    atomic = False
    dependencies = [("voice", "0004_call_agent")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
