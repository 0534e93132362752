"""Erasures that are done get the receipt that was written in their transaction, at the same instant.

What is not done forgets in which words it waited: it is looked at anew within a minute.
"""

from django.db import migrations

_FILL = """
UPDATE voice_erasure e SET receipt_id = r.id FROM voice_purgereceipt r
WHERE e.receipt_id IS NULL AND e.finished_at IS NOT NULL AND r.workspace_id = e.workspace_id
AND r.kept_class = 'person' AND r.older_than = e.finished_at
"""
_ANEW = "UPDATE voice_erasure SET waits_for = '' WHERE finished_at IS NULL AND waits_for <> ''"


class Migration(migrations.Migration):
    dependencies = [("voice", "0067_erasure_receipts")]
    operations = [migrations.RunSQL([_FILL, _ANEW], migrations.RunSQL.noop)]
